// protocol.md 9.4, U1 to U4 and U10, and S24, S25: what happens by itself, against a server with short times.
//
// Only order and lower bounds are asserted. A lower bound holds however slow the machine is, because it is counted from
// before the client did what starts the server's timer. That something does *not* happen is proved by another session,
// to which it does happen meanwhile.

import assert from "node:assert/strict";
import { PollingSession } from "../lib/polling.mjs";
import { OP, RawWebSocket } from "../lib/ws.mjs";

const PING_INTERVAL_MS = 300;
const PING_TIMEOUT_MS = 200;
const UPGRADE_TIMEOUT_MS = 500;
const CONNECT_TIMEOUT_MS = 500;
const PONG_LATENCY_MS = 100;
/** Timers of a server may round down by this much. */
const GRAIN_MS = 2;

const now = () => performance.now();
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function assertNotBefore(deadline, what) {
  assert.ok(now() >= deadline - GRAIN_MS, `${what} came ${Math.round(deadline - now())} ms too early`);
}

/** A session on WebSocket that joined `/`; `ws.start` is a time before it was opened. */
async function joined(url) {
  const start = now();
  const ws = await RawWebSocket.session(url);
  ws.start = start;
  ws.send("40");
  ws.id = JSON.parse((await ws.text()).slice(2)).sid;
  return ws;
}

const heartbeat = [
  {
    name: "U1 a silent WebSocket is pinged, then closed",
    async run({ url, reason }) {
      const ws = await joined(url);
      assert.equal(await ws.text(), "2");
      assertNotBefore(ws.start + PING_INTERVAL_MS, "the ping");
      assert.equal(await ws.closed(), 1005);
      assertNotBefore(ws.start + PING_INTERVAL_MS + PING_TIMEOUT_MS, "the close");
      assert.equal(await reason(ws.id), "ping timeout");
    },
  },
  {
    name: "U2 the next ping is counted from the pong",
    async run({ url }) {
      const ws = await joined(url);
      for (let i = 0; i < 4; i++) {
        assert.equal(await ws.text(), "2");
        await sleep(PONG_LATENCY_MS);
        const ponged = now();
        ws.send("3");
        ws.frame(OP.ping, "in order");
        assert.equal((await ws.next()).opcode, OP.pong);
        if (i < 3) {
          const frame = await ws.next();
          assert.equal(frame.payload.toString(), "2");
          assertNotBefore(ponged + PING_INTERVAL_MS, "the ping after a pong");
          ws.send("3");
        }
      }
      ws.destroy();
    },
  },
  {
    name: "U3 other packets put the close off once for each ping, and no more",
    async run({ url, reason }) {
      const ws = await joined(url);
      assert.equal(await ws.text(), "2");
      const extended = now();
      ws.send("6");
      const feeding = setInterval(() => ws.send("6"), 20);
      try {
        const frame = await ws.next();
        assert.equal(frame.opcode, OP.close);
      } finally {
        clearInterval(feeding);
      }
      assertNotBefore(extended + PING_TIMEOUT_MS, "the close");
      ws.destroy();
      assert.equal(await reason(ws.id), "ping timeout");
    },
  },
  {
    name: "U4 a silent polling session is pinged, then ended",
    async run({ url }) {
      const start = now();
      const session = await PollingSession.open(url);
      assert.deepEqual(await session.packets(), ["2"]);
      assertNotBefore(start + PING_INTERVAL_MS, "the ping");
      assert.deepEqual(await session.packets(), ["1"]);
      assertNotBefore(start + PING_INTERVAL_MS + PING_TIMEOUT_MS, "the end");
      assert.equal((await session.get()).text, '{"code":1,"message":"Session ID unknown"}');
    },
  },
  {
    name: "U4 a polling session that nobody polls is ended too",
    async run({ url, reason }) {
      const session = await PollingSession.open(url);
      const id = await session.join("/");
      assert.equal(await reason(id), "ping timeout");
    },
  },
  {
    name: "a polling session that pongs lives, while a silent one beside it dies",
    async run({ url }) {
      const session = await PollingSession.open(url);
      for (let i = 0; i < 4; i++) {
        assert.deepEqual(await session.packets(), ["2"]);
        await session.push("3");
      }
      await session.push("40");
    },
  },
  {
    name: "a ping goes to the transport the session is on",
    async run({ url }) {
      const session = await PollingSession.open(url);
      const ws = await RawWebSocket.candidate(url, session.sid);
      ws.send("2probe");
      assert.equal(await ws.text(), "3probe");
      ws.send("5");
      for (let i = 0; i < 3; i++) {
        assert.equal(await ws.text(), "2");
        ws.send("3");
      }
      ws.destroy();
    },
  },
  {
    name: "a WebSocket ping is no heartbeat",
    async run({ url, reason }) {
      const ws = await joined(url);
      assert.equal(await ws.text(), "2");
      const feeding = setInterval(() => ws.frame(OP.ping, ""), 20);
      const closed = await reason(ws.id).finally(() => clearInterval(feeding));
      assert.equal(closed, "ping timeout");
      ws.destroy();
    },
  },
  {
    name: "pongs nobody asked for do not put off the ping",
    stock: false,
    why: "Node restarts its timer at each (1.10)",
    async run({ url }) {
      const ws = await joined(url);
      const feeding = setInterval(() => ws.send("3"), 20);
      const packet = await ws.text().finally(() => clearInterval(feeding));
      assert.equal(packet, "2");
      ws.destroy();
    },
  },
  {
    name: "a ping that is not answered across an upgrade ends the session",
    stock: false,
    why: "Node forgets the ping at the upgrade (1.10)",
    async run({ url, reason }) {
      const session = await PollingSession.open(url);
      const id = await session.join("/");
      assert.deepEqual(await session.packets(), ["2"]);
      const ws = await RawWebSocket.candidate(url, session.sid);
      ws.send("2probe");
      assert.equal(await ws.text(), "3probe");
      ws.send("5");
      assert.equal(await reason(id), "ping timeout");
      ws.destroy();
    },
  },
];

const upgradeTimeout = [
  {
    name: "U10 a candidate that does not finish is closed, and the polling session lives",
    async run({ url }) {
      const session = await PollingSession.open(url);
      await session.join("/");
      for (const steps of [[], ["2probe"], ["2probe", "2probe"]]) {
        const start = now();
        const ws = await RawWebSocket.candidate(url, session.sid);
        for (const step of steps) {
          ws.send(step);
          assert.equal(await ws.text(), "3probe");
        }
        assert.equal(await ws.closed(), 1005);
        assertNotBefore(start + UPGRADE_TIMEOUT_MS, "the close");
        await session.push('421["echo",1]');
        assert.deepEqual(await session.packets(), ["431[1]"]);
      }
    },
  },
];

const connectTimeout = [
  {
    name: "S24 a connection that joins nothing is closed",
    async run({ url }) {
      const start = now();
      const ws = await RawWebSocket.session(url);
      assert.equal(await ws.closed(), 1005);
      assertNotBefore(start + CONNECT_TIMEOUT_MS, "the close");
    },
  },
  {
    name: "S24 a polling session that joins nothing is ended",
    async run({ url }) {
      const start = now();
      const session = await PollingSession.open(url);
      assert.deepEqual(await session.packets(), ["1"]);
      assertNotBefore(start + CONNECT_TIMEOUT_MS, "the end");
    },
  },
  {
    name: "S24 failed and undecided CONNECTs do not count",
    async run({ url, release }) {
      const key = `s24-${Math.random()}`;
      const start = now();
      const ws = await RawWebSocket.session(url);
      ws.send("40/unknown,", "40/mw,", `40/behaviours,{"hold":"${key}"}`);
      assert.equal(await ws.text(), '44/unknown,{"message":"Invalid namespace"}');
      assert.equal(await ws.text(), '44/mw,{"message":"nope"}');
      assert.equal(await ws.closed(), 1005);
      assertNotBefore(start + CONNECT_TIMEOUT_MS, "the close");
      await release(key);
    },
  },
  {
    name: "S25 a connection that joined once stays open, also after leaving",
    async run({ url }) {
      const left = await RawWebSocket.session(url);
      left.send("40");
      await left.text();
      left.send("41");
      const silent = await RawWebSocket.session(url);
      assert.equal(await silent.closed(), 1005);
      left.send("40/admin,");
      assert.match(await left.text(), /^40\/admin,\{/);
      left.destroy();
    },
  },
];

/** See raw/profiles.mjs. */
export const timingProfiles = {
  heartbeat: {
    flags: ["--ping-interval", `${PING_INTERVAL_MS}ms`, "--ping-timeout", `${PING_TIMEOUT_MS}ms`],
    vectors: heartbeat,
  },
  "upgrade-timeout": { flags: ["--upgrade-timeout", `${UPGRADE_TIMEOUT_MS}ms`], vectors: upgradeTimeout },
  "connect-timeout": { flags: ["--connect-timeout", `${CONNECT_TIMEOUT_MS}ms`], vectors: connectTimeout },
};
