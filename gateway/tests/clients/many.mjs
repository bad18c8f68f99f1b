// Many clients at once: they connect over mixed transports, stay, echo with ack, and leave.
//
//   node many.mjs URL [N=3000] [--at-once 200] [--rounds 3]
//
// --at-once  how many handshakes are under way at a time

import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { baseUrl, finish, within } from "./lib/check.mjs";
import { Lab, MODES, ask, collect } from "./lib/clients.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { "at-once": { type: "string", default: "200" }, rounds: { type: "string", default: "3" } },
});
const url = baseUrl(positionals[0], "node many.mjs URL [N] [--at-once N] [--rounds N]");
const count = Number(positionals[1] ?? 3000);
const WATCHDOG_MS = 240_000;

/** Runs `work(i)` for every i below count, `limit` at a time. */
async function inTurns(limit, work) {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(limit, count) }, worker));
}

async function scenario() {
  const labs = MODES.map((mode) => new Lab(url, "v4", mode));
  const clients = new Array(count);
  let lost = 0;
  let leaving = false;
  let start = performance.now();
  const took = (what) => {
    console.log(`     ${what} (${Math.round(performance.now() - start)} ms)`);
    start = performance.now();
  };

  await inTurns(Number(options["at-once"]), async (i) => {
    const socket = await labs[i % labs.length].connect("/behaviours");
    socket.on("disconnect", () => (lost += leaving ? 0 : 1));
    clients[i] = socket;
  });
  took(`${count} clients are connected`);
  assert.equal(new Set(clients.map(({ id }) => id)).size, count, "every client has an id of its own");

  for (let round = 0; round < Number(options.rounds); round++) {
    const answers = await Promise.all(clients.map((socket, i) => ask(socket, "echo", `${round}-${i}`)));
    answers.forEach((answer, i) => assert.equal(answer, `${round}-${i}`));
    took(`all of them echoed, round ${round + 1}`);
  }

  const event = labs[0].name("news");
  const heard = clients.map((socket) => collect(socket, event));
  const marker = labs[0].name("marker");
  const markers = clients.map((socket) => new Promise((resolve) => socket.once(marker, resolve)));
  await ask(clients[0], "in", { ev: event, args: ["to all"] });
  await ask(clients[0], "in", { ev: marker });
  await Promise.all(markers);
  heard.forEach((list) => assert.deepEqual(list, ["to all"]));
  took("one broadcast reached each of them once");

  assert.equal(lost, 0, "nobody was disconnected");
  leaving = true;
  await Promise.all(labs.map((lab) => lab.close()));
}

try {
  await within(WATCHDOG_MS, "the scenario", scenario());
  finish("many", { passed: 1, failed: 0 });
} catch (error) {
  console.log(`FAIL ${error.stack}`);
  finish("many", { passed: 0, failed: 1 });
}
