// A server that is stopped, or killed, and started again on its port: stock clients come back by themselves.
//
//   node restart.mjs -- COMMAND [ARGS...]
//
// COMMAND starts a server with the behaviours app; `--listen 127.0.0.1:PORT` is appended to it. It is started, ended and
// started again here, by its pid.

import assert from "node:assert/strict";
import { runAndExit } from "./lib/check.mjs";
import { Lab, MODES, VERSIONS, ask, next, settled } from "./lib/clients.mjs";
import { PollingSession } from "./lib/polling.mjs";
import { startServer, stopServer } from "./lib/process.mjs";
import { Tcp } from "./lib/tcp.mjs";
import { RawWebSocket } from "./lib/ws.mjs";

const command = process.argv.slice(process.argv.indexOf("--") + 1);
if (!process.argv.includes("--") || command.length === 0) {
  console.error("usage: node restart.mjs -- COMMAND [ARGS...]");
  process.exit(2);
}

const WATCHDOG_MS = 60_000;
const start = (port = 0) => startServer([...command, "--listen", `127.0.0.1:${port}`]);
const KINDS = VERSIONS.flatMap((version) => MODES.map((mode) => [version, mode]));

/** A server, and what it takes to end whatever is left of it. */
class Stage {
  #labs = [];

  async open() {
    this.server = await start();
    this.url = this.server.url;
    return this;
  }

  lab(version, mode) {
    const lab = new Lab(this.url, version, mode);
    this.#labs.push(lab);
    return lab;
  }

  async again() {
    this.server = await start(new URL(this.url).port);
  }

  async close() {
    await Promise.all(this.#labs.map((lab) => lab.close()));
    await stopServer(this.server, "SIGKILL").catch(() => {});
  }
}

/** Ends the server in some way while clients of every kind are connected; all must be back afterwards. */
async function assertComeBack(stage, end, reasons) {
  const clients = await Promise.all(
    KINDS.map(async ([version, mode]) => {
      const socket = await stage.lab(version, mode).connect("/behaviours", {
        reconnection: true,
        reconnectionDelay: 20,
        reconnectionDelayMax: 100,
      });
      await settled(socket, mode);
      return { socket, id: socket.id, kind: `${version} ${mode}` };
    }),
  );
  const gone = clients.map(({ socket }) => next(socket, "disconnect"));
  await end();
  for (const [i, waiting] of gone.entries()) {
    const [reason] = await waiting;
    assert.ok(reasons.includes(reason), `${clients[i].kind}: ${reason}`);
  }
  const back = clients.map(({ socket }) => next(socket, "connect"));
  const buffered = clients.map(({ socket }, i) => ask(socket, "echo", `meanwhile ${i}`).catch((error) => error));
  await stage.again();
  await Promise.all(back);
  assert.deepEqual(await Promise.all(buffered), clients.map((_, i) => `meanwhile ${i}`));
  for (const { socket, id } of clients) {
    assert.notEqual(socket.id, id);
    assert.equal(await ask(socket, "nsp"), "/behaviours");
  }
}

const checks = [
  {
    name: "clients of every kind come back after a stop",
    run: (stage) =>
      assertComeBack(stage, async () => assert.equal(await stopServer(stage.server), 0), [
        "transport close",
        "transport error",
      ]),
  },
  {
    name: "clients of every kind come back after a kill",
    run: (stage) =>
      assertComeBack(stage, () => stopServer(stage.server, "SIGKILL"), ["transport close", "transport error"]),
  },
  {
    name: "S26 a stop closes WebSockets without a word, ends polls, and exits with 0",
    async run({ url, server }) {
      const ws = await RawWebSocket.session(url);
      ws.send("40");
      await ws.text();
      const session = await PollingSession.open(url);
      await session.join("/");
      const get = await session.pending();
      server.child.kill("SIGTERM");
      assert.equal(await ws.closed(), 1005);
      assert.equal((await get.response).text, "1");
      assert.equal(await server.exited, 0);
    },
  },
  {
    name: "a stop ends although clients hold connections open and say nothing",
    async run({ url, server }) {
      const idle = await Tcp.open(url);
      const half = await Tcp.open(url);
      await half.flushed("GET /socket.io/?EIO=4&tra");
      const silent = await RawWebSocket.session(url);
      server.child.kill("SIGTERM");
      assert.equal(await server.exited, 0);
      for (const tcp of [idle, half, silent.tcp]) tcp.destroy();
    },
  },
];

await runAndExit("restart", checks, () => new Stage().open(), { watchdog: WATCHDOG_MS });
