// The scenarios of backend-restart.mjs against one gateway, in random order, for as long as is wanted. Between two of them
// nobody is connected: then the gateway must hold no more than it did before.
//
//   node soak.mjs [--minutes 30] [--backend node|PROGRAM] [--clients 2000] [--processes 2] [--gap 5000] [--busy MS]
//                 [--cycles N] [--seed N] -- GATEWAY [ARGS...]
//
// --busy, --cycles  120 000 ms and 200 times, or less if the soak is short
//
// A line for each round; exit code 1 if anything was wrong.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { finish, within } from "./lib/check.mjs";
import { Random } from "./lib/random.mjs";
import { Gateway } from "./restarts/gateway.mjs";
import { scenarios } from "./restarts/scenarios.mjs";
import { Stage } from "./restarts/stage.mjs";

/** What resident memory may grow, in MiB, beyond the most after any of the first rounds. */
const GROWTH_MIB = 32;
/** Descriptors that may be there besides those at the start: connections of whoever reads the metrics. */
const FILES = 4;

const split = process.argv.indexOf("--");
const command = process.argv.slice(split + 1);
if (split < 0 || command.length === 0) {
  console.error("usage: node soak.mjs [--minutes N] [--clients N] … -- GATEWAY [ARGS...]");
  process.exit(2);
}
const { values: options } = parseArgs({
  args: process.argv.slice(2, split),
  options: {
    minutes: { type: "string", default: "30" },
    backend: { type: "string", default: "node" },
    clients: { type: "string", default: "2000" },
    processes: { type: "string", default: "2" },
    gap: { type: "string", default: "5000" },
    busy: { type: "string" },
    cycles: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const { backend, ...numbers } = options;
const settings = { backend, ...Object.fromEntries(Object.entries(numbers).map(([name, text]) => [name, Number(text)])) };
settings.busy ??= Math.min(120_000, 6000 * settings.minutes);
settings.cycles ??= Math.min(200, 5 * settings.minutes);
settings.watchdog = 60_000 + 20 * settings.clients + settings.busy;
const ROUND_MS = 4 * settings.watchdog + 5000 * settings.cycles;

const random = new Random(settings.seed);
const folder = mkdtempSync(join(tmpdir(), "tidegate-soak-"));
const gateway = await Gateway.start(command, join(folder, "b.sock"), {
  TIDEGATE_BACKEND_HOLD: `${2 * settings.gap}ms`,
  TIDEGATE_SOCKET_IO_PING_INTERVAL: "5s",
  TIDEGATE_SOCKET_IO_PING_TIMEOUT: "20s",
});
console.log(`soak: ${settings.minutes} minutes, ${settings.clients} clients, backend ${backend}, seed ${settings.seed}`);

const until = performance.now() + settings.minutes * 60_000;
const files = gateway.files();
const count = { passed: 0, failed: 0 };
let deck = [];
let most = 0;

/** One scenario, from nobody to nobody. */
async function play(scenario) {
  const stage = new Stage(gateway, settings, random);
  try {
    await within(ROUND_MS, "the round", scenario.run(stage));
    await stage.leave();
  } finally {
    await stage.close();
  }
}

/** Nothing of the clients and backends that were there may be left. */
function assertNoLeak() {
  const memory = gateway.memory();
  if (count.passed + count.failed < scenarios.length) most = Math.max(most, memory);
  if (memory > most + GROWTH_MIB) throw new Error(`${Math.round(memory)} MiB, after at most ${Math.round(most)} MiB`);
  if (gateway.files() > files + FILES) throw new Error(`${gateway.files()} descriptors, ${files} at the start`);
}

while (performance.now() < until && gateway.server.child.exitCode === null) {
  if (deck.length === 0) deck = [...scenarios];
  const [scenario] = deck.splice(random.below(deck.length), 1);
  const start = performance.now();
  let problem;
  try {
    await play(scenario);
    assertNoLeak();
    count.passed++;
  } catch (error) {
    problem = error;
    count.failed++;
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const state = `${seconds} s, ${Math.round(gateway.memory())} MiB, ${gateway.files()} fds`;
  console.log(`${problem ? "FAIL" : "ok  "} ${scenario.name} (${state})`);
  if (problem) {
    console.log(problem.stack);
    await gateway.empty().catch((error) => console.log(error.message));
  }
}

try {
  await gateway.stop();
} catch (error) {
  console.log(`FAIL the gateway's end: ${error.message}`);
  count.failed++;
  await gateway.kill();
}
rmSync(folder, { recursive: true });
finish("soak", count);
