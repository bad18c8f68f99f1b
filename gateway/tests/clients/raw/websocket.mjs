// protocol.md 9.3: WebSocket frames after the open packet, and RFC 6455 where a server must be strict.

import assert from "node:assert/strict";
import { OP, RawWebSocket, frameBytes } from "../lib/ws.mjs";

const PH = '{"_placeholder":true,"num":0}';

/** A session that joined `/`: the socket id is `ws.id`. */
async function joined(url) {
  const ws = await RawWebSocket.session(url);
  ws.send("40");
  ws.id = JSON.parse((await ws.text()).slice(2)).sid;
  return ws;
}

/** Each message, on a session of its own, ends it with this close code. */
async function assertCloses(url, code, messages) {
  for (const message of messages) {
    const ws = await RawWebSocket.session(url);
    ws.send(message);
    assert.equal(await ws.closed(), code, `after ${JSON.stringify(message)}`);
  }
}

/** Raw bytes on a joined session end it with this close code, and the application sees this reason. */
async function assertViolation({ url, reason }, bytes, code, why = "transport error") {
  const ws = await joined(url);
  ws.tcp.write(bytes);
  assert.equal(await ws.closed(), code, bytes.subarray(0, 16).toString("hex"));
  assert.equal(await reason(ws.id), why);
}

/** A frame whose length field is written in `width` bytes, whatever the length. */
function longLength(payload, width) {
  const short = frameBytes(OP.text, payload);
  const length = Buffer.alloc(width);
  length[width - 1] = payload.length;
  return Buffer.concat([Buffer.of(short[0], 0x80 | (width === 2 ? 126 : 127)), length, short.subarray(2)]);
}

const engineIo = [
  {
    name: "W1 a malformed Engine.IO packet closes the WebSocket, and the application sees parse error",
    async run({ url, reason }) {
      await assertCloses(url, 1005, ["abc", "", "7", "x4"]);
      const ws = await joined(url);
      ws.send("abc");
      assert.equal(await ws.closed(), 1005);
      assert.equal(await reason(ws.id), "parse error");
    },
  },
  {
    name: "W2 a client's ping closes the WebSocket, and the application sees transport error",
    async run({ url, reason }) {
      await assertCloses(url, 1005, ["2", "2probe"]);
      const ws = await joined(url);
      ws.send("2");
      assert.equal(await ws.closed(), 1005);
      assert.equal(await reason(ws.id), "transport error");
    },
  },
  {
    name: "W3 open, pong, upgrade and noop packets are ignored",
    async run({ url }) {
      const ws = await joined(url);
      ws.send("0", "3", "3probe", "5", "6", "6x");
      await ws.roundTrip();
      ws.destroy();
    },
  },
  {
    name: "W3 a client's close packet is ignored",
    oracleOnly: "protocol.md 10: Tidegate may close",
    async run({ url }) {
      const ws = await joined(url);
      ws.send("1");
      await ws.roundTrip();
      ws.destroy();
    },
  },
  {
    name: "W3 a client's close packet ends the session",
    stock: false,
    why: "Node ignores it (1.4)",
    async run({ url, reason }) {
      const ws = await joined(url);
      ws.send("1");
      assert.equal(await ws.closed(), 1005);
      assert.equal(await reason(ws.id), "transport close");
    },
  },
  {
    name: "W4 what is not Socket.IO closes the WebSocket",
    run: ({ url }) => assertCloses(url, 1005, ["4", "4abc", Buffer.from([1, 2]), Buffer.alloc(0), "bAQID"]),
  },
  {
    name: "W11 a session with b64 gets binary as text",
    async run({ url }) {
      const ws = await RawWebSocket.session(url, "quiet=1&b64=1");
      ws.send("40");
      await ws.text();
      ws.send(`451-["echo",${PH}]`, "bAQIDBA==");
      assert.equal(await ws.text(), `451-["echo",${PH}]`);
      assert.equal(await ws.text(), "bAQIDBA==");
      ws.destroy();
    },
  },
];

const frames = [
  {
    name: "W5 a message over the limit closes with 1009, one at the limit is taken",
    async run({ url, reason }) {
      const ws = await joined(url);
      const atLimit = `42["echo","${"x".repeat(1_000_000 - '42["echo",""]'.length)}"]`;
      ws.send(atLimit);
      assert.equal(await ws.text(), atLimit);
      ws.send(`${atLimit} `);
      assert.equal(await ws.closed(), 1009);
      assert.equal(await reason(ws.id), "transport error");
    },
  },
  {
    name: "W5 a message over the limit in fragments closes with 1009",
    async run({ url, reason }) {
      const ws = await joined(url);
      const fragment = "x".repeat(300_000);
      ws.frame(OP.text, `42["echo","${fragment}`, { fin: false });
      for (let i = 0; i < 4; i++) ws.frame(OP.continuation, fragment, { fin: false });
      assert.equal(await ws.closed(), 1009);
      assert.equal(await reason(ws.id), "transport error");
    },
  },
  {
    name: "W5 an announced length over the limit closes with 1009 before the bytes are sent",
    run: (context) =>
      assertViolation(context, Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4]), 1009),
  },
  {
    name: "W6 text that is not UTF-8 closes with 1007",
    async run(context) {
      for (const hex of ["fffe", "34c0af", "34eda080", "34f4908080", "34e282"]) {
        await assertViolation(context, frameBytes(OP.text, Buffer.from(hex, "hex")), 1007);
      }
    },
  },
  {
    name: "W6 a character cut by fragments is whole",
    async run({ url }) {
      const ws = await joined(url);
      const bytes = Buffer.from('421["echo","€😀"]');
      for (let i = 0; i < bytes.length; i++) {
        ws.frame(i === 0 ? OP.text : OP.continuation, bytes.subarray(i, i + 1), { fin: i === bytes.length - 1 });
      }
      assert.equal(await ws.text(), '431["€😀"]');
      ws.destroy();
    },
  },
  {
    name: "W7 an unmasked frame closes with 1002",
    run: (context) => assertViolation(context, frameBytes(OP.text, "3", { masked: false }), 1002),
  },
  {
    name: "W7 a reserved bit closes with 1002",
    async run(context) {
      for (const rsv of [4, 2, 1]) await assertViolation(context, frameBytes(OP.text, "3", { rsv }), 1002);
    },
  },
  {
    name: "W7 a reserved opcode closes with 1002",
    async run(context) {
      for (const opcode of [3, 7, 11, 15]) await assertViolation(context, frameBytes(opcode, "3"), 1002);
    },
  },
  {
    name: "W7 a fragmented or long control frame closes with 1002",
    async run(context) {
      await assertViolation(context, frameBytes(OP.ping, "x", { fin: false }), 1002);
      await assertViolation(context, frameBytes(OP.ping, "x".repeat(126)), 1002);
    },
  },
  {
    name: "W7 a continuation of nothing, and a message within a message, close with 1002",
    async run(context) {
      await assertViolation(context, frameBytes(OP.continuation, "3"), 1002);
      const twice = [frameBytes(OP.text, "3", { fin: false }), frameBytes(OP.text, "3")];
      await assertViolation(context, Buffer.concat(twice), 1002);
    },
  },
  {
    name: "W7 a length with the highest bit set is refused",
    async run({ url, reason }) {
      const ws = await joined(url);
      ws.tcp.write(Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4]));
      assert.ok([1002, 1009].includes(await ws.closed()));
      assert.equal(await reason(ws.id), "transport error");
    },
  },
  {
    name: "a length in more bytes than it needs is taken or refused with 1002, never misread",
    async run({ url }) {
      for (const width of [2, 8]) {
        const ws = await joined(url);
        ws.tcp.write(longLength(Buffer.from('421["echo",1]'), width));
        const frame = await ws.next();
        if (frame.opcode === OP.close) assert.equal(frame.payload.readUInt16BE(0), 1002);
        else assert.equal(frame.payload.toString(), "431[1]");
        ws.destroy();
      }
    },
  },
  {
    name: "W8 a WebSocket ping is answered with its payload, also within a fragmented message",
    async run({ url }) {
      const ws = await joined(url);
      ws.frame(OP.ping, "hi");
      assert.deepEqual(pick(await ws.next()), { opcode: OP.pong, text: "hi" });
      ws.frame(OP.text, '420["echo",', { fin: false });
      ws.frame(OP.ping, "in between");
      ws.frame(OP.continuation, '"x"]');
      assert.deepEqual(pick(await ws.next()), { opcode: OP.pong, text: "in between" });
      assert.equal(await ws.text(), '430["x"]');
      ws.frame(OP.pong, "unasked");
      await ws.roundTrip();
      ws.destroy();
    },
  },
  {
    name: "W9 a close is echoed, and the application sees transport close",
    async run({ url, reason }) {
      for (const payload of [Buffer.concat([Buffer.from([0x0f, 0xa1]), Buffer.from("x")]), Buffer.alloc(0)]) {
        const ws = await joined(url);
        ws.frame(OP.close, payload);
        const frame = await ws.next();
        assert.equal(frame.opcode, OP.close);
        assert.equal(frame.payload.subarray(0, 2).toString("hex"), payload.subarray(0, 2).toString("hex"));
        assert.equal((await ws.tcp.rest()).length, 0);
        assert.equal(await reason(ws.id), "transport close");
      }
    },
  },
  {
    name: "W9 an illegal close frame is answered with 1002 or 1007",
    async run(context) {
      await assertViolation(context, frameBytes(OP.close, Buffer.of(3)), 1002);
      for (const code of [0, 999, 1004, 1005, 1006, 1016, 2999, 5000]) {
        await assertViolation(context, frameBytes(OP.close, Buffer.of(code >> 8, code & 255)), 1002);
      }
      await assertViolation(context, frameBytes(OP.close, Buffer.of(0x03, 0xe8, 0xff)), 1007);
    },
  },
  {
    name: "W9 a connection that just ends is transport close",
    async run({ url, reason }) {
      for (const how of ["end", "destroy", "reset"]) {
        const ws = await joined(url);
        ws.tcp[how]();
        assert.equal(await reason(ws.id), "transport close", how);
        ws.destroy();
      }
    },
  },
  {
    name: "W10 a message in fragments is one message",
    async run({ url }) {
      const ws = await joined(url);
      ws.frame(OP.text, '420["echo",', { fin: false });
      ws.frame(OP.continuation, "", { fin: false });
      ws.frame(OP.continuation, '"x"]');
      assert.equal(await ws.text(), '430["x"]');
      ws.destroy();
    },
  },
];

function pick({ opcode, payload }) {
  return { opcode, text: payload.toString("utf8") };
}

export const websocketVectors = [...engineIo, ...frames];
