// Events and acks in both directions: values, order, timeouts.

import assert from "node:assert/strict";
import { ask, askAll, collect, next, settled } from "../lib/clients.mjs";

const TIMED_OUT = "operation has timed out";
const v4Only = (lab) => lab.version !== "v4" && "socket.io-client 3 cannot do it";

const VALUES = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e21,
  5e-324,
  1.7976931348623157e308,
  Number.MAX_SAFE_INTEGER,
  "",
  "plain",
  "é€中文",
  "😀👨‍👩‍👧‍👦🇪🇺",
  "quotes \" and \\ and / and \b\f\n\r\t",
  "\0\u0001\u001f\u007f\u0080",
  "\u2028\u2029\ufeff\ufffd\uffff",
  "\ud800 lone \udfff \udc00\ud800",
  "\x1e record separator \x1e",
  "<script>&amp;</script>",
  '42["not","a","packet"]',
  [],
  {},
  [[], [[]], {}],
  { "": 0, " ": 1, "a.b": 2, "é": 3, "1": 4, constructor: 5, _placeholder: false },
  { deep: { deeper: [{ deepest: [1, [2, [3, { four: null }]]] }] } },
  Array.from({ length: 1000 }, (_, i) => i),
];

function nested(depth) {
  let value = "core";
  for (let i = 0; i < depth; i++) value = i % 2 ? [value] : { v: value };
  return value;
}

const range = (n) => Array.from({ length: n }, (_, i) => i);

/** Checks the order of events both ways until well after the upgrade; returns how many were sent before it. */
async function trafficUntilUpgraded(lab) {
  const socket = lab.start("/behaviours");
  const echoes = collect(socket, "echo");
  const ticks = collect(socket, "tick");
  let sent = 0;
  let sentBefore;
  socket.io.engine.once("upgrade", () => (sentBefore = sent));
  await next(socket, "connect");
  if (sentBefore !== undefined) return 0;
  for (let waves = 1; sentBefore === undefined || sent < sentBefore + 500; waves++) {
    for (let i = 0; i < 20; i++) socket.emit("echo", sent++);
    await ask(socket, "ticks", 10);
    assert.deepEqual(ticks, Array.from({ length: waves * 10 }, (_, i) => i % 10));
    assert.ok(waves < 10_000, "never upgraded");
  }
  await ask(socket, "nsp");
  assert.deepEqual(echoes, range(sent));
  return sentBefore;
}

const values = [
  {
    name: "every JSON value comes back as it went, as an ack",
    async run(lab) {
      const socket = await lab.connect("/");
      for (const value of VALUES) assert.deepEqual(await ask(socket, "echo", value), value);
      assert.deepEqual(await askAll(socket, "echo", ...VALUES), VALUES);
    },
  },
  {
    name: "every JSON value comes back as it went, as an event",
    async run(lab) {
      const socket = await lab.connect("/");
      const back = [];
      socket.on("echo", (...args) => back.push(args));
      for (const value of VALUES) socket.emit("echo", value);
      socket.emit("echo", ...VALUES);
      await ask(socket, "nsp");
      assert.deepEqual(back, [...VALUES.map((value) => [value]), VALUES]);
    },
  },
  {
    name: "an event may have no args, and so may an ack",
    async run(lab) {
      const socket = await lab.connect("/");
      assert.deepEqual(await askAll(socket, "echo"), []);
      const back = next(socket, "echo");
      socket.emit("echo");
      assert.deepEqual(await back, []);
    },
  },
  {
    name: "deep nesting comes back as it went",
    async run(lab) {
      const socket = await lab.connect("/");
      assert.deepEqual(await ask(socket, "echo", nested(200)), nested(200));
    },
  },
  {
    name: "what JSON cannot say arrives as null",
    async run(lab) {
      const socket = await lab.connect("/");
      assert.deepEqual(await askAll(socket, "echo", undefined, Number.NaN, [undefined, Infinity], { a: undefined }), [
        null,
        null,
        [null, null],
        {},
      ]);
    },
  },
  {
    name: "an event name may be any string that is not reserved",
    async run(lab) {
      const socket = await lab.connect();
      for (const ev of ["", " ", "é😀", "error2", "toString", "constructor", "message", 'a"b\\c', "x".repeat(5000)]) {
        const back = next(socket, ev);
        assert.equal(await ask(socket, "in", { rooms: [socket.id], ev, args: [1, "two"] }), true);
        assert.deepEqual(await back, [1, "two"]);
      }
    },
  },
  {
    name: "an event nobody listens to is not an error",
    async run(lab) {
      const socket = await lab.connect();
      socket.emit("nobody listens", 1, { two: 3 });
      await ask(socket, "in", { rooms: [socket.id], ev: "nobody here either" });
      assert.equal(await ask(socket, "echo", "alive"), "alive");
    },
  },
  {
    name: "the conformance events work",
    async run(lab) {
      for (const namespace of ["/", "/custom"]) {
        const socket = await lab.connect(namespace);
        const back = next(socket, "message-back");
        socket.emit("message", 1, "2", { 3: [true] });
        assert.deepEqual(await back, [1, "2", { 3: [true] }]);
        assert.deepEqual(await askAll(socket, "message-with-ack", 1, "2", { 3: [false] }), [1, "2", { 3: [false] }]);
      }
    },
  },
];

const order = [
  {
    name: "a thousand events come back in order",
    async run(lab) {
      const socket = await lab.connect("/");
      const seen = collect(socket, "echo");
      for (const i of range(1000)) socket.emit("echo", i);
      await ask(socket, "nsp");
      assert.deepEqual(seen, range(1000));
    },
  },
  {
    name: "a thousand acks come back, each once, in order",
    async run(lab) {
      const socket = await lab.connect("/");
      const seen = [];
      await Promise.all(range(1000).map(async (i) => seen.push(await ask(socket, "echo", i))));
      assert.deepEqual(seen, range(1000));
    },
  },
  {
    name: "a thousand events of one turn of the application arrive in order",
    async run(lab) {
      const socket = await lab.connect();
      const seen = collect(socket, "tick");
      assert.equal(await ask(socket, "ticks", 1000), 1000);
      assert.deepEqual(seen, range(1000));
    },
  },
  {
    name: "an upgrade in the middle of traffic loses, doubles and reorders nothing",
    skip: (lab) => lab.mode !== "upgrade" && "there is no upgrade",
    async run(lab) {
      // A client may be upgraded before its first event: the machine is busy, or a backend takes longer to let it in. Then
      // another one is tried.
      for (let attempt = 0; attempt < 100; attempt++) {
        if ((await trafficUntilUpgraded(lab)) > 0) return;
      }
      assert.fail("no client was upgraded in the middle of its traffic");
    },
  },
  {
    name: "events of several namespaces of one connection arrive in the order they were emitted",
    async run(lab) {
      const socket = await lab.connect();
      const custom = await lab.beside(socket, "/custom");
      const seen = [];
      socket.on("here", (i) => seen.push(i));
      custom.on("there", (i) => seen.push(i));
      const asked = range(40).map((i) =>
        i % 2
          ? ask(socket, "in", { rooms: [socket.id], ev: "here", args: [i] })
          : ask(socket, "emit-in", { nsp: "/custom", rooms: [custom.id], ev: "there", args: [i] }),
      );
      await Promise.all(asked);
      assert.deepEqual(seen, range(40));
    },
  },
  {
    name: "text and binary events keep their order",
    async run(lab) {
      const socket = await lab.connect("/");
      const seen = [];
      socket.on("echo", (i, binary) => seen.push([i, binary ? [...new Uint8Array(binary)] : null]));
      for (const i of range(100)) {
        if (i % 3) socket.emit("echo", i);
        else socket.emit("echo", i, Buffer.of(i));
      }
      await ask(socket, "nsp");
      assert.deepEqual(seen, range(100).map((i) => [i, i % 3 ? null : [i]]));
    },
  },
];

const acks = [
  {
    name: "acks may come in another order than their events",
    async run(lab) {
      const key = lab.name("hold");
      const socket = await lab.connect();
      const seen = [];
      const held = ask(socket, "hold", key, "first").then((value) => seen.push(value));
      seen.push(await ask(socket, "echo", "second"));
      await ask(socket, "release", key);
      await held;
      assert.deepEqual(seen, ["second", "first"]);
    },
  },
  {
    name: "a client acks the server's event, with any args",
    async run(lab) {
      const socket = await lab.connect();
      socket.on("question", (a, b, answer) => answer(b, a, null, { list: [a] }));
      const { err, res } = await ask(socket, "call-me", { ev: "question", args: [1, "zwei"], timeout: 10_000 });
      assert.equal(err, null);
      assert.deepEqual(res, ["zwei", 1, null, { list: [1] }]);
      socket.on("blank", (answer) => answer());
      assert.deepEqual(await ask(socket, "call-me", { ev: "blank", timeout: 10_000 }), { err: null, res: [] });
    },
  },
  {
    name: "a client that acks without a timeout on the other side is heard too",
    async run(lab) {
      const socket = await lab.connect();
      socket.on("question", (answer) => answer("yes"));
      assert.deepEqual(await ask(socket, "call-me", { ev: "question" }), { err: null, res: ["yes"] });
    },
  },
  {
    name: "the server's timeout passes when the client does not ack, and a late ack does no harm",
    async run(lab) {
      const socket = await lab.connect();
      let answer;
      socket.on("question", (callback) => (answer = callback));
      const report = await ask(socket, "call-me", { ev: "question", timeout: 50 });
      assert.deepEqual(report, { err: TIMED_OUT, res: [] });
      answer("too late");
      assert.equal(await ask(socket, "echo", "alive"), "alive");
    },
  },
  {
    name: "a hundred questions of the server are each answered with their own answer",
    async run(lab) {
      const socket = await lab.connect();
      socket.on("square", (n, answer) => (n % 2 ? answer(n * n) : queueMicrotask(() => answer(n * n))));
      const reports = await Promise.all(
        range(100).map((n) => ask(socket, "call-me", { ev: "square", args: [n], timeout: 15_000 })),
      );
      assert.deepEqual(reports.map(({ res }) => res[0]), range(100).map((n) => n * n));
    },
  },
  {
    name: "the client's timeout passes when the server does not ack",
    skip: v4Only,
    async run(lab) {
      const socket = await lab.connect();
      const error = await new Promise((resolve) => socket.timeout(50).emit("never", 1, resolve));
      assert.equal(error.message, TIMED_OUT);
      assert.deepEqual(await socket.timeout(15_000).emitWithAck("echo", "x"), "x");
      await assert.rejects(socket.timeout(50).emitWithAck("never"), { message: TIMED_OUT });
    },
  },
  {
    name: "acks that are pending at the disconnect fail",
    skip: v4Only,
    async run(lab) {
      const socket = await lab.connect();
      const pending = socket.timeout(15_000).emitWithAck("never");
      pending.catch(() => {});
      await ask(socket, "nsp");
      socket.disconnect();
      await assert.rejects(pending, { message: "socket has been disconnected" });
    },
  },
  {
    name: "a client that retries has each event acked once",
    skip: v4Only,
    async run(lab) {
      const socket = await lab.connect("/behaviours", { retries: 3, ackTimeout: 15_000 });
      const answers = await Promise.all(
        range(20).map((i) => new Promise((resolve) => socket.emit("echo", i, (err, value) => resolve(err ?? value)))),
      );
      assert.deepEqual(answers, range(20));
    },
  },
];

const flags = [
  {
    name: "the compress flag is taken by both sides",
    async run(lab) {
      const socket = await lab.connect();
      const text = "x".repeat(5000);
      for (const compress of [true, false]) {
        const back = next(socket, "echo");
        socket.compress(compress).emit("echo", text);
        assert.equal((await back)[0], text);
        const burst = next(socket, "big one");
        socket.emit("burst", [{ flags: { compress }, ev: "big one", args: [text] }]);
        assert.equal((await burst)[0], text);
      }
    },
  },
  {
    name: "a client's volatile event is an event",
    async run(lab) {
      const socket = await lab.connect();
      await settled(socket, lab.mode);
      // The client drops it itself while its transport is busy, so it is offered until one gets through.
      const back = next(socket, "echo");
      let heard = false;
      back.then(() => (heard = true));
      while (!heard) {
        socket.volatile.emit("echo", "volatile");
        await ask(socket, "nsp");
      }
      assert.deepEqual(await back, ["volatile"]);
    },
  },
  {
    name: "a volatile event to an idle WebSocket arrives",
    skip: (lab) => lab.mode === "polling" && "P21 and P22 say it for polling",
    async run(lab) {
      const socket = await lab.connect();
      await settled(socket, lab.mode);
      for (const i of range(20)) {
        assert.equal(await ask(socket, "nsp"), "/behaviours");
        const seen = next(socket, "maybe");
        socket.emit("burst", [{ flags: { volatile: true }, ev: "maybe", args: [i] }]);
        assert.deepEqual(await seen, [i]);
      }
    },
  },
  {
    name: "volatile events may be dropped, but neither reordered nor doubled, and ordinary ones stay",
    async run(lab) {
      const socket = await lab.connect();
      const seen = collect(socket, "n");
      const binary = Buffer.alloc(20_000);
      const burst = range(300).map((i) => ({
        ev: "n",
        flags: i % 3 === 0 ? {} : { volatile: true },
        args: i % 30 === 0 ? [i, binary] : [i],
      }));
      socket.emit("burst", burst);
      await ask(socket, "nsp");
      assert.deepEqual(seen, [...new Set(seen)].sort((a, b) => a - b));
      assert.deepEqual(seen.filter((i) => i % 3 === 0), range(100).map((i) => i * 3));
    },
  },
];

export const eventBehaviours = [...values, ...order, ...acks, ...flags];
