// Backends that are killed, replaced, drained, busy or gone, while stock clients are connected: they must not notice.
//
//   node backend-restart.mjs [--backend node|PROGRAM] [--clients 2000] [--processes 2] [--gap 2000] [--busy 6000]
//                            [--cycles 6] [--only TEXT] [--seed N] -- GATEWAY [ARGS...]
//
// --backend    app-stock.mjs on the Node SDK, or another program that takes its flags (BEHAVIOURS.md, "Several processes")
// --clients    half of them poll, a quarter of them upgrade
// --processes  that the clients are in
// --gap        ms without a backend
// --busy       ms that a backend is in a busy loop
// --cycles     times that a backend is replaced by another
//
// GATEWAY is started anew for each scenario, with its flags for addresses and the socket appended. RLIMIT_NOFILE must be
// two and a half times the clients.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runAndExit } from "./lib/check.mjs";
import { Random } from "./lib/random.mjs";
import { Gateway } from "./restarts/gateway.mjs";
import { scenarios } from "./restarts/scenarios.mjs";
import { Stage } from "./restarts/stage.mjs";

const split = process.argv.indexOf("--");
const command = process.argv.slice(split + 1);
if (split < 0 || command.length === 0) {
  console.error("usage: node backend-restart.mjs [--backend node|PROGRAM] [--clients N] … -- GATEWAY [ARGS...]");
  process.exit(2);
}
const { values: options } = parseArgs({
  args: process.argv.slice(2, split),
  options: {
    backend: { type: "string", default: "node" },
    clients: { type: "string", default: "2000" },
    processes: { type: "string", default: "2" },
    gap: { type: "string", default: "2000" },
    busy: { type: "string", default: "6000" },
    cycles: { type: "string", default: "6" },
    only: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const { backend, only, ...numbers } = options;
const settings = { backend, ...Object.fromEntries(Object.entries(numbers).map(([name, text]) => [name, Number(text)])) };
settings.watchdog = 30_000 + 20 * settings.clients;

/** A scenario with a gateway of its own. */
async function open({ hold = 30_000, ping: [interval, timeout] = [3000, 20_000], most = Infinity }) {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-restart-"));
  const gateway = await Gateway.start(command, join(folder, "b.sock"), {
    TIDEGATE_BACKEND_HOLD: `${hold}ms`,
    TIDEGATE_SOCKET_IO_PING_INTERVAL: `${interval}ms`,
    TIDEGATE_SOCKET_IO_PING_TIMEOUT: `${timeout}ms`,
  });
  const some = { ...settings, clients: Math.min(settings.clients, most) };
  const stage = new Stage(gateway, some, new Random(settings.seed));
  return {
    stage,
    async close() {
      await stage.close();
      await gateway.kill();
      rmSync(folder, { recursive: true });
    },
  };
}

const checks = scenarios.map((scenario) => ({
  ...scenario,
  async run({ stage }) {
    await scenario.run(stage);
    await stage.leave();
    await stage.gateway.stop();
  },
}));
console.log(`seed ${settings.seed}`);
await runAndExit("backend-restart", checks, open, { only, watchdog: 2 * settings.watchdog + 30_000 });
