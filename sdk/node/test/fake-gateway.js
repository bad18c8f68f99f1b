"use strict";
// A gateway for tests: speaks the backend protocol (docs/backend-protocol.md) over a Unix socket and does only what a test
// tells it. It has a codec of its own, written from the page, so that the SDK is not checked against itself.

const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");

const SENT_BY_BACKEND = {
  0x01: ["HELLO", { magic: "bytes4", lowest: "u16", highest: "u16", window: "u32", software: "text16", name: "text16" }],
  0x02: ["CREDIT", { bytes: "u32" }],
  0x03: ["SERVE", { flags: "u8", namespaces: "texts" }],
  0x04: ["WITHDRAW", { namespaces: "texts" }],
  0x05: ["DRAIN", {}],
  0x20: ["ACCEPT", { socket: "key" }],
  0x21: ["REJECT", { socket: "key", message: "text16", data: "text32" }],
  0x22: ["DECLINE", { socket: "key" }],
  0x23: ["EMIT", { flags: "u8", socket: "key", ack: "u64", timeout: "u32", packet: "packet" }],
  0x24: ["ACK", { socket: "key", ack: "u64", packet: "packet" }],
  0x25: ["BROADCAST", { flags: "u8", namespace: "text16", rooms: "texts", except: "texts", request: "u64", timeout: "u32", packet: "packet" }],
  0x26: ["JOIN", { socket: "key", rooms: "texts" }],
  0x27: ["LEAVE", { socket: "key", rooms: "texts" }],
  0x28: ["DISCONNECT", { socket: "key" }],
  0x29: ["CLOSE", { session: "key" }],
  0x2a: ["DATA", { socket: "key", data: "json" }],
  0x2b: ["SOCKETS_JOIN", { namespace: "text16", rooms: "texts", except: "texts", join: "texts" }],
  0x2c: ["SOCKETS_LEAVE", { namespace: "text16", rooms: "texts", except: "texts", leave: "texts" }],
  0x2d: ["DISCONNECT_SOCKETS", { namespace: "text16", rooms: "texts", except: "texts", close: "u8" }],
  0x2e: ["FETCH", { request: "u64", namespace: "text16", rooms: "texts", except: "texts" }],
  0x2f: ["SERVER_EMIT", { namespace: "text16", request: "u64", timeout: "u32", args: "json" }],
  0x30: ["SERVER_ACK", { token: "u64", value: "json" }],
  0x31: ["RELEASED", { socket: "key" }],
};

const SENT_BY_GATEWAY = {
  WELCOME: [0x81, { magic: "bytes4", version: "u16", window: "u32", portion: "u32", longest: "u32", software: "text16", options: "json" }],
  REFUSE: [0x82, { code: "u16", message: "text16" }],
  CREDIT: [0x83, { bytes: "u32" }],
  TICK: [0x84, {}],
  FETCHED: [0x85, { request: "u64", last: "u8", sockets: "fetched" }],
  ASKED: [0x86, { request: "u64", clients: "u32" }],
  ANSWER: [0x87, { request: "u64", packet: "packet" }],
  ANSWERED: [0x88, { request: "u64", timedOut: "u8" }],
  PEERS: [0x89, { links: "u32" }],
  SERVER_RESPONSES: [0x8a, { request: "u64", asked: "u32", values: "jsons" }],
  DRAINED: [0x8b, {}],
  CONNECT: [0xa0, {
    flags: "u8", socket: "key", session: "key", id: "id", revision: "u8", transport: "text16", namespace: "text16",
    handshake: "json", rooms: "texts", data: "text32",
  }],
  EVENT: [0xa1, { flags: "u8", socket: "key", ack: "u64", packet: "packet" }],
  ACK: [0xa2, { socket: "key", ack: "u64", packet: "packet" }],
  DISCONNECTED: [0xa3, { socket: "key", reason: "u8" }],
  HANDOVER: [0xa4, { socket: "key" }],
  SERVER_EVENT: [0xa5, { token: "u64", namespace: "text16", args: "json" }],
  TRANSPORT: [0xa6, { session: "key", transport: "text16" }],
  CONNECTION_ERROR: [0xa7, { code: "u8", message: "text16", handshake: "json" }],
};

const int = (size) => (value) => {
  const buf = Buffer.alloc(size);
  buf.writeUIntLE(Number(value), 0, Math.min(size, 6));
  return buf;
};
const u8 = int(1);
const u16 = int(2);
const u32 = int(4);
const u64 = (value) => {
  const buf = Buffer.alloc(8);
  buf.writeBigUInt64LE(BigInt(value));
  return buf;
};
const sized = (length) => (bytes) => [length(bytes.length), bytes];
const text16 = (text) => sized(u16)(Buffer.from(text));
const text32 = (text) => sized(u32)(Buffer.from(text));
const texts = (list) => [u16(list.length), ...list.flatMap(text16)];
const json = (value) => text32(JSON.stringify(value));
const key = ({ slot, generation, shard }) => [u32(slot), u32(generation), u16(shard)];

const WRITE = {
  u8, u16, u32, u64, text16, text32, texts, json, key,
  bytes4: (text) => Buffer.from(text),
  id: (text) => Buffer.from(text, "latin1"),
  /** `{json, attachments}`, or an array without attachments. */
  packet: (packet) => {
    const { text = JSON.stringify(packet.args ?? packet), attachments = [] } = packet;
    return [...text32(text), u16(attachments.length), ...attachments.flatMap((bytes) => [u32(bytes.length), bytes])];
  },
  jsons: (values) => [u32(values.length), ...values.flatMap(json)],
  fetched: (sockets) => [u32(sockets.length), ...sockets.flatMap(({ socket, id, rooms, data, handshake }) => [
    ...key(socket), Buffer.from(id), ...texts(rooms), ...text32(data), ...json(handshake),
  ])],
};

class Cursor {
  constructor(buf) {
    this.buf = buf;
    this.at = 0;
  }

  bytes(count) {
    if (this.at + count > this.buf.length) throw new Error("the SDK sent a frame that is too short");
    this.at += count;
    return this.buf.subarray(this.at - count, this.at);
  }

  u8() { return this.bytes(1)[0]; }
  u16() { return this.bytes(2).readUInt16LE(); }
  u32() { return this.bytes(4).readUInt32LE(); }
  u64() { return Number(this.bytes(8).readBigUInt64LE()); }
  bytes4() { return this.bytes(4).toString(); }
  text16() { return this.bytes(this.u16()).toString(); }
  text32() { return this.bytes(this.u32()).toString(); }
  texts() { return Array.from({ length: this.u16() }, () => this.text16()); }
  json() { return JSON.parse(this.text32()); }
  key() { return { slot: this.u32(), generation: this.u32(), shard: this.u16() }; }
  packet() {
    const text = this.text32();
    const attachments = Array.from({ length: this.u16() }, () => Buffer.from(this.bytes(this.u32())));
    return { args: JSON.parse(text), text, attachments };
  }
}

/** One frame as bytes: `frame("EVENT", {flags, socket, ack, packet})`. */
function frame(name, values = {}) {
  const [type, fields] = SENT_BY_GATEWAY[name];
  const body = Buffer.concat(Object.entries(fields).flatMap(([field, kind]) => {
    if (values[field] === undefined) throw new Error(`${name} needs ${field}`);
    return WRITE[kind](values[field]);
  }));
  return Buffer.concat([u32(1 + body.length), u8(type), body]);
}

function parse(buf) {
  const [type, fields] = SENT_BY_BACKEND[buf[4]] ?? [`0x${buf[4].toString(16)}`, {}];
  const cursor = new Cursor(buf.subarray(5));
  const parsed = { type, bytes: buf.length, counted: (buf[4] & 0x20) !== 0 };
  for (const [field, kind] of Object.entries(fields)) parsed[field] = cursor[kind]();
  if (cursor.at !== cursor.buf.length) throw new Error(`the SDK sent ${type} with ${cursor.buf.length - cursor.at} bytes too many`);
  return parsed;
}

const HANDSHAKE = {
  headers: { host: "example.com", "user-agent": "test" },
  time: "Fri Nov 20 2026 08:47:38 GMT+0000 (Coordinated Universal Time)",
  address: "192.0.2.7",
  xdomain: false,
  secure: true,
  issued: 1795164458000,
  url: "/socket.io/?EIO=4&transport=websocket",
  query: { EIO: "4", transport: "websocket" },
  auth: { token: "t" },
};

const LIMITS = { window: 1 << 20, portion: 1 << 18, longest: 8 << 20 };

/** One link, seen from the gateway. */
class FakeLink {
  constructor(gateway, stream) {
    this.gateway = gateway;
    this.stream = stream;
    /** Frames that nobody has asked for yet; every read of the stream, for those who count writes. */
    this.frames = [];
    this.reads = 0;
    this.waiting = [];
    this.closed = false;
    this.rest = Buffer.alloc(0);
    this.nextSlot = 1;
    stream.on("data", (bytes) => this.read(bytes));
    stream.on("error", () => {});
    stream.on("close", () => {
      this.closed = true;
      this.wake();
    });
  }

  read(bytes) {
    this.reads++;
    if (this.gateway.raw) return this.gateway.raw(this, bytes);
    this.rest = Buffer.concat([this.rest, bytes]);
    while (this.rest.length >= 4 && this.rest.length >= 4 + this.rest.readUInt32LE()) {
      const bytes = 4 + this.rest.readUInt32LE();
      this.frames.push(parse(this.rest.subarray(0, bytes)));
      this.rest = this.rest.subarray(bytes);
    }
    this.wake();
    return undefined;
  }

  wake() {
    for (const wake of this.waiting.splice(0)) wake();
  }

  /** The next frame, which must be of this type; CREDIT from the backend is not looked at unless asked for. */
  async expect(type) {
    for (;;) {
      const at = this.frames.findIndex((frame) => frame.type === type || frame.type !== "CREDIT");
      if (at >= 0) {
        const [frame] = this.frames.splice(at, 1);
        if (frame.type !== type) throw new Error(`expected ${type}, got ${JSON.stringify(frame)}`);
        return frame;
      }
      if (this.closed) throw new Error(`expected ${type}, but the link was closed`);
      await new Promise((resolve) => this.waiting.push(resolve));
    }
  }

  /** Resolves when the SDK has ended the link. */
  async ended() {
    while (!this.closed) await new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Sends frames as one batch: `send(["EVENT", {…}], …)`. */
  send(...frames) {
    this.stream.write(Buffer.concat([...frames.map(([name, values]) => frame(name, values)), frame("TICK")]));
  }

  welcome(values = {}) {
    const { options = {}, ...limits } = { ...this.gateway.limits, ...values };
    this.send(["WELCOME", { magic: "TDGB", version: 1, ...LIMITS, software: "fake", options: { gateway: { version: "0" }, ...options }, ...limits }]);
  }

  key() {
    return { slot: this.nextSlot++, generation: 7, shard: 1 };
  }

  /** The values of a CONNECT, for a client of its own unless `session` is given. */
  client(values = {}) {
    const socket = values.socket ?? this.key();
    return {
      flags: 0, socket, session: this.key(), id: `id-${String(socket.slot).padStart(17, "0")}`, revision: 4, transport: "websocket",
      namespace: "/", handshake: HANDSHAKE, rooms: [], data: "", ...values,
    };
  }

  /** Connects a client, and waits until it is accepted. Returns the values of its CONNECT. */
  async connect(values) {
    const client = this.client(values);
    this.send(["CONNECT", client]);
    await this.expect("ACCEPT");
    return client;
  }

  event(client, args, ack, flags = 0) {
    return ["EVENT", { flags: flags | (ack === undefined ? 0 : 1), socket: client.socket, ack: ack ?? 0, packet: args }];
  }

  destroy() {
    this.stream.destroy();
  }
}

class FakeGateway {
  /** Listens at a path of its own. */
  static async listen(limits = {}) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "tidegate-"));
    const gateway = new FakeGateway(path.join(dir, "backend.sock"), limits);
    await gateway.open();
    return gateway;
  }

  constructor(path, limits) {
    this.path = path;
    this.limits = limits;
    this.links = [];
    this.waiting = [];
    this.streams = new Set();
    this.dialled = 0;
  }

  open() {
    this.server = net.createServer((stream) => {
      this.dialled++;
      this.streams.add(stream);
      stream.on("close", () => this.streams.delete(stream));
      this.links.push(new FakeLink(this, stream));
      for (const wake of this.waiting.splice(0)) wake();
    });
    return new Promise((resolve) => this.server.listen(this.path, resolve));
  }

  /** The next link, after its HELLO and our WELCOME, unless `welcome` is false. */
  async link({ welcome = true, ...values } = {}) {
    while (this.links.length === 0) await new Promise((resolve) => this.waiting.push(resolve));
    const link = this.links.shift();
    link.hello = await link.expect("HELLO");
    if (welcome) link.welcome(values);
    return link;
  }

  /** As if the gateway had died; it can be opened again. */
  async close() {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const stream of this.streams) stream.destroy();
    await closed;
  }

  async remove() {
    await this.close();
    fs.rmSync(path.dirname(this.path), { recursive: true, force: true });
  }
}

module.exports = { FakeGateway, HANDSHAKE, frame, parse };
