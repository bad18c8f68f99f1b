// Sessions without a home connection: every polling request comes over a new TCP connection, so that on a gateway with
// several cores any request may land on any of them. Half of the sessions upgrade in the middle of their traffic.
//
//   node cross-core.mjs URL [SESSIONS=1000] [--events 30]
//
// Each session sends numbered events, which come back, and asks the application for numbered events of its own.
// No request may be refused, and both rows of numbers must arrive complete, in order, each number once.

import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { baseUrl, deferred, finish, within } from "./lib/check.mjs";
import { PollingSession, RS } from "./lib/polling.mjs";
import { OP, RawWebSocket } from "./lib/ws.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { events: { type: "string", default: "30" } },
});
const url = baseUrl(positionals[0], "node cross-core.mjs URL [SESSIONS] [--events N]");
const sessions = Number(positionals[1] ?? 1000);
const events = Number(options.events);
const HANDSHAKES_AT_ONCE = 200;
const BATCH = 3;
const WATCHDOG_MS = 240_000;

const PREFIX = "42/behaviours,";

/** One session: polls all the time, sends in batches, and may move to a WebSocket in between. */
class Traveller {
  #echoes = [];
  #ticks = [];
  #complete = deferred();
  #ws = null;
  #posting = Promise.resolve();
  #polling = null;

  static async open(upgrades) {
    const session = await PollingSession.open(url);
    await session.join("/behaviours");
    return new Traveller(session, upgrades);
  }

  constructor(session, upgrades) {
    this.session = session;
    this.upgrades = upgrades;
  }

  async travel() {
    this.#polling = this.#poll();
    this.#polling.catch(this.#complete.reject);
    const half = Math.floor(events / 2);
    for (let i = 0; i < events; i += BATCH) {
      if (this.upgrades && this.#ws === null && i >= half) await this.#upgrade();
      await this.#send(i, Math.min(i + BATCH, events));
    }
    await this.#complete.promise;
    assert.deepEqual(this.#echoes, Array.from({ length: events }, (_, i) => i), "echoes");
    const ticks = Array.from({ length: Math.ceil(events / BATCH) }, () => [0, 1, 2]).flat();
    assert.deepEqual(this.#ticks, ticks, "ticks");
    await this.#leave();
  }

  #send(from, to) {
    const packets = [];
    for (let i = from; i < to; i++) packets.push(`${PREFIX}["echo",${i}]`);
    packets.push(`${PREFIX}${from}["ticks",3]`);
    return this.#out(...packets);
  }

  /** Packets towards the server: never two POSTs at a time. */
  #out(...packets) {
    if (this.#ws) return void this.#ws.send(...packets);
    this.#posting = this.#posting.then(() => this.session.push(...packets));
    return this.#posting;
  }

  #in(packet) {
    if (packet === "2") return void Promise.resolve(this.#out("3")).catch(this.#complete.reject);
    if (packet === "6") return;
    const [, name, number] = /^42\/behaviours,\["(echo|tick)",(\d+)\]$/.exec(packet) ?? [];
    if (name) (name === "echo" ? this.#echoes : this.#ticks).push(Number(number));
    else assert.match(packet, /^43\/behaviours,\d+\[3\]$/);
    const expected = events + 3 * Math.ceil(events / BATCH);
    if (this.#echoes.length + this.#ticks.length >= expected) this.#complete.resolve();
  }

  #moving = false;
  #done = false;

  async #poll() {
    while (!this.#moving && !this.#done) {
      const response = await this.session.get();
      if (this.#done) return;
      assert.equal(response.status, 200, `a poll was refused: ${response.text}`);
      response.text.split(RS).forEach((packet) => this.#in(packet));
    }
  }

  /** As the JS client does it: `5` goes out when no poll and no POST is under way. */
  async #upgrade() {
    const ws = await RawWebSocket.candidate(url, this.session.sid);
    ws.send("2probe");
    assert.equal(await ws.text(), "3probe");
    this.#moving = true;
    await this.#posting;
    await this.#polling;
    ws.send("5");
    this.#ws = ws;
    this.#read(ws).catch(this.#complete.reject);
  }

  async #read(ws) {
    for (let frame = await ws.next(); !this.#done; frame = await ws.next()) {
      assert.equal(frame?.opcode, OP.text, "the WebSocket was closed");
      this.#in(frame.payload.toString("utf8"));
    }
  }

  async #leave() {
    this.#done = true;
    if (this.#ws) return this.#ws.destroy();
    const response = await this.session.post("1");
    assert.equal(response.text, "ok");
    await this.#polling;
  }
}

async function scenario() {
  let start = performance.now();
  const travellers = [];
  let next = 0;
  const opener = async () => {
    while (next < sessions) travellers.push(await Traveller.open(next++ % 2 === 0));
  };
  await Promise.all(Array.from({ length: Math.min(HANDSHAKES_AT_ONCE, sessions) }, opener));
  console.log(`     ${sessions} sessions are open (${Math.round(performance.now() - start)} ms)`);
  start = performance.now();
  const results = await Promise.allSettled(travellers.map((traveller) => traveller.travel()));
  console.log(`     all of them have travelled (${Math.round(performance.now() - start)} ms)`);
  return results;
}

const results = await within(WATCHDOG_MS, "the scenario", scenario()).catch((reason) => [{ status: "rejected", reason }]);
const failed = results.filter(({ status }) => status === "rejected");
for (const { reason } of failed.slice(0, 5)) console.log(`FAIL ${reason.stack}`);
finish("cross-core", { passed: results.length - failed.length, failed: failed.length });
