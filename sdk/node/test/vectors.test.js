"use strict";
// The byte-exact frames of docs/backend-protocol.md §9, against the SDK's writer and against the codec of the fake gateway, which
// the other tests hold the SDK to.

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const test = require("node:test");
const { frame, parse } = require("./fake-gateway.js");
const { Writer } = require("../lib/writer.js");
const { putBack } = require("../lib/packet.js");

const PAGE = path.join(__dirname, "../../../docs/backend-protocol.md");

/** `{direction, type, kind, fields, bytes}` for each fenced block. */
function vectors() {
  const page = fs.readFileSync(PAGE, "utf8");
  return [...page.matchAll(/^```vector (\S+) (\S+)(?: (\S+))?\n(.*)\n([^`]*)```$/gm)].map(([, direction, type, kind, fields, hex]) => ({
    direction, type, kind, fields: JSON.parse(fields), bytes: Buffer.from(hex.replace(/\s/g, ""), "hex"),
  }));
}

const key = (text) => {
  const [slot, generation, shard] = text.split(".").map(Number);
  return { slot, generation, shard };
};
const attachments = ({ attachments }) => attachments.map((hex) => Buffer.from(hex, "hex"));
const args = (packet) => putBack(JSON.parse(packet.json), attachments(packet));
const flags = ({ flags, timeout }) => ({ volatile: (flags & 1) !== 0, compress: (flags & 2) === 0, local: (flags & 4) !== 0, timeout });
const exact = (number) => Number.isSafeInteger(Number(number));

/** How the SDK says it; `undefined` where it never would. */
const SAY = {
  CREDIT: (w, { bytes }) => w.give(bytes),
  SERVE: (w, { flags, namespaces }) => w.serve(flags === 1, namespaces),
  WITHDRAW: (w, { namespaces }) => w.withdraw(namespaces),
  DRAIN: (w) => w.drain(),
  ACCEPT: (w, { socket }) => w.accept(key(socket)),
  REJECT: (w, { socket, message, data }) => w.reject(key(socket), message, data === "" ? undefined : JSON.parse(data)),
  DECLINE: (w, { socket }) => w.decline(key(socket)),
  EMIT: (w, v) => w.emit(key(v.socket), args(v.packet), (v.flags & 8) === 0 ? undefined : Number(v.ack), flags(v)),
  ACK: (w, { socket, ack, packet }) => w.ack(key(socket), Number(BigInt(ack) & 0xffffffffn), Number(BigInt(ack) >> 32n), args(packet)),
  BROADCAST: (w, v) => w.broadcast(v.selector, args(v.packet), Number(v.request), flags(v)),
  JOIN: (w, { socket, rooms }) => w.join(key(socket), rooms),
  LEAVE: (w, { socket, rooms }) => w.leave(key(socket), rooms),
  DISCONNECT: (w, { socket }) => w.disconnect(key(socket)),
  CLOSE: (w, { session }) => w.closeSession(key(session)),
  DATA: (w, { socket, data }) => w.data(key(socket), data),
  SOCKETS_JOIN: (w, { selector, rooms }) => w.socketsJoin(selector, rooms),
  SOCKETS_LEAVE: (w, { selector, rooms }) => w.socketsLeave(selector, rooms),
  DISCONNECT_SOCKETS: (w, { selector, close }) => w.disconnectSockets(selector, close !== 0),
  FETCH: (w, { request, selector }) => w.fetch(Number(request), selector),
  SERVER_EMIT: (w, { namespace, request, timeout, array }) => w.serverEmit(namespace, Number(request), timeout, JSON.parse(array)),
  SERVER_ACK: (w, { token, answer }) => w.serverAck({ low: Number(token), high: 0 }, answer),
  RELEASED: (w, { socket }) => w.released(key(socket)),
};

function said(type, fields) {
  const chunks = [];
  const stream = { write: (chunk) => chunks.push(Buffer.from(chunk)), cork() {}, uncork() {}, writableLength: 0 };
  const writer = new Writer(() => {});
  if (type === "HELLO") return writer.hello(fields.window, fields.software, fields.process);
  writer.open(stream, 1 << 20, 1 << 20);
  SAY[type](writer, fields);
  writer.flush();
  return Buffer.concat(chunks);
}

/** Those that name things as the fake gateway does. */
const GATEWAY_NAMES = { handshake: "handshake", timed_out: "timedOut", responses: "values", array: "args" };
const JSON_FIELDS = new Set(["options", "handshake", "array"]);

function forGateway([name, value]) {
  const as = GATEWAY_NAMES[name] ?? name;
  if (name === "socket" || name === "session") return [as, key(value)];
  if (name === "packet") return [as, { text: value.json, attachments: attachments(value) }];
  if (name === "sockets") return [as, value.map((one) => Object.fromEntries(Object.entries(one).map(forGateway)))];
  if (name === "responses") return [as, value.map((text) => JSON.parse(text))];
  if (["request", "ack", "token"].includes(name)) return [as, BigInt(value)];
  return [as, JSON_FIELDS.has(name) ? JSON.parse(value) : value];
}

const all = vectors();
test("the page has vectors", { skip: all.length === 0 && "this copy of the page has no §9 yet" }, () => {
  assert.ok(all.length > 50);
});

for (const [i, { direction, type, kind, fields, bytes }] of all.entries()) {
  if (kind === "error") continue;
  const name = `vector ${i}: ${direction} ${type} ${kind ?? ""}`;
  if (direction === "to-backend") {
    test(name, () => assert.equal(frame(type, Object.fromEntries(Object.entries(fields).map(forGateway))).toString("hex"), bytes.toString("hex")));
    continue;
  }
  // What has white space, or numbers beyond those of JavaScript, the SDK does not say.
  const text = fields.packet?.json ?? "[]";
  const sayable = kind === undefined && JSON.stringify(JSON.parse(text)) === text && (type !== "EMIT" || exact(fields.ack));
  test(name, { skip: !sayable && "nothing the SDK would say" }, () => {
    assert.equal(said(type, fields).toString("hex"), bytes.toString("hex"));
    assert.equal(parse(bytes).type, type);
  });
}
