// protocol.md 9.4, U5 to U13: the upgrade from polling to WebSocket, with default options.

import assert from "node:assert/strict";
import { assertMatch } from "../lib/check.mjs";
import { HttpConnection } from "../lib/http.mjs";
import { PollingSession } from "../lib/polling.mjs";
import { OP, RawWebSocket, upgradeHeaders } from "../lib/ws.mjs";

/** A polling session that joined `/`, and a candidate for it. */
async function joined(url) {
  const session = await PollingSession.open(url);
  const id = await session.join("/");
  return { session, id };
}

/** A candidate that has been probed. */
async function probed(url, session) {
  const ws = await RawWebSocket.candidate(url, session.sid);
  ws.send("2probe");
  assert.equal(await ws.text(), "3probe");
  return ws;
}

/** The polling session still works: an event goes up and its ack comes down. */
async function assertPolls(session) {
  await session.push('429["echo","polling"]');
  assert.deepEqual(await session.packets(), ['439["polling"]']);
}

async function assertOffPolling(session) {
  for (const response of [await session.get(), await session.post("3")]) {
    assert.equal(response.status, 400);
    assert.equal(response.text, '{"code":3,"message":"Bad request"}');
  }
}

/** A candidate is turned away: by a 400, or by a close right after the 101. */
async function assertTurnedAway(url, sid) {
  const connection = await HttpConnection.open(url);
  connection.send("GET", `/socket.io/?EIO=4&transport=websocket&sid=${sid}`, upgradeHeaders());
  const response = await connection.response();
  if (response.status === 101) {
    const ws = new RawWebSocket(connection.tcp, response);
    ws.send("2probe");
    assert.equal(await ws.closed(), 1005);
  } else {
    assert.equal(response.status, 400);
  }
  connection.destroy();
}

export const upgradeVectors = [
  {
    name: "U5 U6 a probe is answered, the pending GET gets a noop, and the session moves",
    async run({ url }) {
      const session = await PollingSession.open(url);
      const get = await session.pending();
      const ws = await probed(url, session);
      assert.equal((await get.response).text, "6");
      ws.send("5", "40");
      assertMatch(await ws.text(), /^40\{"sid":"[\w-]{20}"\}$/);
      await assertOffPolling(session);
      await assertTurnedAway(url, session.sid);
      await ws.roundTrip();
      ws.destroy();
    },
  },
  {
    name: "U5 every GET that waits during the upgrade gets a noop",
    async run({ url }) {
      const session = await PollingSession.open(url);
      const ws = await probed(url, session);
      for (let i = 0; i < 3; i++) assert.deepEqual(await session.packets(), ["6"]);
      ws.send("5", "40");
      assertMatch(await ws.text(), /^40\{/);
      ws.destroy();
    },
  },
  {
    name: "U5 a repeated probe is answered again",
    async run({ url }) {
      const session = await PollingSession.open(url);
      const ws = await probed(url, session);
      ws.send("2probe");
      assert.equal(await ws.text(), "3probe");
      assert.deepEqual(await session.packets(), ["6"]);
      ws.destroy();
    },
  },
  {
    name: "U7 an upgrade without a probe is accepted",
    oracleOnly: "protocol.md 10: Tidegate rejects it",
    async run({ url }) {
      const session = await PollingSession.open(url);
      const get = await session.pending();
      const ws = await RawWebSocket.candidate(url, session.sid);
      ws.send("5");
      assert.equal((await get.response).text, "1");
      ws.send("40");
      assertMatch(await ws.text(), /^40\{/);
      ws.destroy();
    },
  },
  {
    name: "U7 an upgrade without a probe is rejected, and the polling session lives",
    stock: false,
    why: "Node accepts it (1.11)",
    async run({ url }) {
      const { session } = await joined(url);
      const ws = await RawWebSocket.candidate(url, session.sid);
      ws.send("5");
      assert.equal(await ws.closed(), 1005);
      await assertPolls(session);
    },
  },
  {
    name: "U8 a candidate that does not begin with a probe is closed, and the polling session lives",
    async run({ url }) {
      const { session } = await joined(url);
      for (const first of ["4hello", "2", "1", "abc", "", "3probe", Buffer.of(1)]) {
        const ws = await RawWebSocket.candidate(url, session.sid);
        ws.send(first);
        assert.equal(await ws.closed(), 1005, `after ${JSON.stringify(first)}`);
        await assertPolls(session);
      }
      const ws = await probed(url, session);
      ws.send("5", '421["echo",1]');
      assert.equal(await ws.text(), "431[1]");
      ws.destroy();
    },
  },
  {
    name: "U9 a second candidate is closed, and the first upgrades",
    async run({ url }) {
      const { session } = await joined(url);
      const first = await probed(url, session);
      const second = await RawWebSocket.candidate(url, session.sid);
      assert.equal(await second.closed(), 1005);
      await assertPolls(session);
      first.send("5", '421["echo",1]');
      assert.equal(await first.text(), "431[1]");
      first.destroy();
    },
  },
  {
    name: "U11 what is emitted between the probe and the upgrade comes on the WebSocket, after the upgrade",
    async run({ url }) {
      const { session } = await joined(url);
      const ws = await probed(url, session);
      await session.push('42["echo","d1"]', '42["echo","d2"]');
      ws.frame(OP.ping, "is anything before this?");
      assert.equal((await ws.next()).opcode, OP.pong);
      ws.send("5");
      assert.equal(await ws.text(), '42["echo","d1"]');
      assert.equal(await ws.text(), '42["echo","d2"]');
      await ws.roundTrip();
      ws.destroy();
    },
  },
  {
    name: "U12 what is emitted between the probe and the upgrade is polled, if somebody polls",
    async run({ url }) {
      const { session } = await joined(url);
      const ws = await probed(url, session);
      await assertPolls(session);
      await assertPolls(session);
      ws.send("5");
      await ws.roundTrip();
      ws.destroy();
    },
  },
  {
    name: "U13 a candidate may die at any step, and another one upgrades",
    async run({ url }) {
      const { session } = await joined(url);
      for (const how of ["destroy", "reset", "end"]) {
        const silent = await RawWebSocket.candidate(url, session.sid);
        silent.tcp[how]();
        silent.destroy();
        const afterProbe = await openUntilFree(url, session);
        afterProbe.tcp[how]();
        afterProbe.destroy();
        await assertPolls(session);
      }
      const ws = await openUntilFree(url, session);
      ws.send("5", '421["echo",1]');
      assert.equal(await ws.text(), "431[1]");
      ws.destroy();
    },
  },
  {
    name: "a server that disconnects in the middle of an upgrade flushes to the WebSocket, then closes it",
    async run({ url, reason }) {
      const { session, id } = await joined(url);
      const ws = await probed(url, session);
      await session.push('42["echo","first"]', '42["bye",true]');
      ws.send("5");
      assert.equal(await ws.text(), '42["echo","first"]');
      assert.equal(await ws.text(), "41");
      assert.equal(await ws.closed(), 1005);
      assert.equal(await reason(id), "server namespace disconnect");
    },
  },
  {
    name: "a session that was opened on WebSocket cannot be moved to another",
    stock: false,
    why: "Node does not check the current transport (1.11)",
    async run({ url }) {
      const ws = await RawWebSocket.session(url);
      ws.send("40");
      await ws.text();
      await assertTurnedAway(url, ws.opened.sid);
      await ws.roundTrip();
      ws.destroy();
    },
  },
];

/** A probed candidate; one that died before it may not have been noticed yet, and then this one is turned away. */
async function openUntilFree(url, session) {
  for (;;) {
    const ws = await RawWebSocket.candidate(url, session.sid);
    ws.send("2probe");
    const frame = await ws.next();
    if (frame?.opcode === OP.text && frame.payload.toString() === "3probe") return ws;
    ws.destroy();
  }
}
