// Binary in every place it may be, and payloads that are big or too big.

import assert from "node:assert/strict";
import { ask, askAll, next, settled } from "../lib/clients.mjs";

const ALL_BYTES = Buffer.from(Uint8Array.from({ length: 256 }, (_, i) => i));

/** Any binary as an array of numbers, inside any value, so that values can be compared. */
function plain(value) {
  if (value instanceof ArrayBuffer) return { bytes: [...new Uint8Array(value)] };
  if (ArrayBuffer.isView(value)) return { bytes: [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)] };
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

async function assertEchoes(socket, ...args) {
  assert.deepEqual(plain(await askAll(socket, "echo", ...args)), plain(args), "as an ack");
  const back = next(socket, "echo");
  socket.emit("echo", ...args);
  assert.deepEqual(plain(await back), plain(args), "as an event");
}

const binary = [
  {
    name: "binary of every length comes back byte by byte",
    async run(lab) {
      const socket = await lab.connect("/");
      for (const length of [0, 1, 2, 3, 4, 125, 126, 127, 1000, 65_535, 65_536, 100_000]) {
        const bytes = Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 7) % 256));
        await assertEchoes(socket, bytes);
      }
      await assertEchoes(socket, ALL_BYTES);
    },
  },
  {
    name: "binary may be a Buffer, a typed array or an ArrayBuffer",
    async run(lab) {
      const socket = await lab.connect("/");
      await assertEchoes(socket, Buffer.from([1, 2]), new Uint8Array([3, 4]), new Uint8Array([5, 6]).buffer);
    },
  },
  {
    name: "binary may be nested and mixed with anything",
    async run(lab) {
      const socket = await lab.connect("/");
      await assertEchoes(socket, { a: [{ b: Buffer.of(1), c: "text" }, [Buffer.of(2, 3)]] }, null, Buffer.alloc(0), [
        "é",
        { d: Buffer.of(4) },
      ]);
    },
  },
  {
    name: "an event may have ten attachments",
    async run(lab) {
      const socket = await lab.connect("/");
      await assertEchoes(socket, ...Array.from({ length: 10 }, (_, i) => Buffer.alloc(i * 10, i)));
    },
  },
  {
    name: "a value that looks like a placeholder stays a value",
    async run(lab) {
      const socket = await lab.connect("/");
      await assertEchoes(socket, { _placeholder: true, num: 0 }, { _placeholder: true, num: 99 });
    },
  },
  {
    name: "the server emits binary of its own, nested, and acks with it",
    async run(lab) {
      const socket = await lab.connect();
      const event = next(socket, "bin");
      const ack = await ask(socket, "bin");
      assert.deepEqual(plain(await event), [
        { a: { bytes: [1, 2] }, list: [{ bytes: [] }, "x", { b: { bytes: [3] } }] },
        { bytes: [255] },
      ]);
      assert.deepEqual(plain(ack), [{ bytes: [255] }, "x"]);
    },
  },
  {
    name: "a client acks the server's binary with binary",
    async run(lab) {
      const socket = await lab.connect();
      socket.on("swap", (a, b, answer) => answer({ b, a }, Buffer.of(9)));
      const { err, res } = await ask(socket, "call-me", { ev: "swap", args: [Buffer.of(1), "x"], timeout: 10_000 });
      assert.equal(err, null);
      assert.deepEqual(plain(res), [{ b: "x", a: { bytes: [1] } }, { bytes: [9] }]);
    },
  },
  {
    name: "two hundred binary events come back in order, none mixed with another",
    async run(lab) {
      const socket = await lab.connect("/");
      const all = Array.from({ length: 200 }, (_, i) => [Buffer.alloc(i, i), i, Buffer.of(i)]);
      const back = await Promise.all(all.map((args) => askAll(socket, "echo", ...args)));
      assert.deepEqual(plain(back), plain(all));
    },
  },
  {
    name: "binary in a namespace that is not the root comes back",
    async run(lab) {
      for (const namespace of ["/custom", "/dyn-7"]) await assertEchoes(await lab.connect(namespace), Buffer.of(1), [2]);
    },
  },
];

const UP_BYTES = 900_000;
const DOWN_BYTES = 4_000_000;

const big = [
  {
    name: "900 KB of text go up and come back",
    async run(lab) {
      const socket = await lab.connect();
      const text = "abcdefghi€".repeat(UP_BYTES / 12).slice(0, UP_BYTES / 2);
      const measured = await ask(socket, "measure", text);
      assert.equal(measured.length, text.length);
      assert.equal(await ask(socket, "echo", text), text);
    },
  },
  {
    name: "as much binary as the limit lets through goes up and comes back",
    async run(lab) {
      const socket = await lab.connect();
      // Before the upgrade it travels as base64, which is a third longer.
      const bytes = Buffer.alloc(lab.mode === "websocket" ? UP_BYTES : Math.floor((UP_BYTES * 3) / 4), 7);
      assert.deepEqual(await ask(socket, "measure", bytes), {
        binary: true,
        length: bytes.length,
        sum: bytes.length * 7,
      });
      assert.ok(Buffer.from(await ask(socket, "echo", bytes)).equals(bytes));
    },
  },
  {
    name: "several MB of text and binary come down",
    async run(lab) {
      const socket = await lab.connect();
      const text = await ask(socket, "big", { bytes: DOWN_BYTES });
      assert.ok(text === "x".repeat(DOWN_BYTES));
      const bytes = Buffer.from(await ask(socket, "big", { bytes: DOWN_BYTES, binary: true }));
      assert.equal(bytes.length, DOWN_BYTES);
      for (let i = 0; i < DOWN_BYTES; i += 997) assert.equal(bytes[i], i % 251);
    },
  },
  {
    name: "big and small payloads keep their order",
    async run(lab) {
      const socket = await lab.connect();
      const sizes = [10, 300_000, 0, 70_000, 1, 126, 500_000, 5];
      const lengths = [];
      await Promise.all(
        sizes.map(async (bytes) => lengths.push((await ask(socket, "echo", "y".repeat(bytes))).length)),
      );
      assert.deepEqual(lengths, sizes);
    },
  },
  {
    name: "too much closes the connection of who sent it, and of nobody else",
    async run(lab) {
      const [socket, other] = await lab.crowd(2);
      await settled(socket, lab.mode);
      const { id } = socket;
      const seen = next(socket, "disconnect");
      socket.emit("measure", "x".repeat(1_100_000));
      const [reason] = await seen;
      assert.equal(reason, lab.mode === "polling" ? "transport error" : "transport close");
      // On polling the session outlives the 413; the client ends it, with its polls cut off or with a close packet.
      const { reason: told } = await ask(other, "last-disconnect", id);
      const expected = lab.mode === "polling" ? ["transport error", "transport close"] : ["transport error"];
      assert.ok(expected.includes(told), told);
    },
  },
];

export const payloadBehaviours = [...binary, ...big];
