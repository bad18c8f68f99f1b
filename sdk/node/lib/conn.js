"use strict";
// One session as `socket.io` sees it: a connection of Engine.IO. Its packets are not text but the objects of socket.io
// themselves: the Encoder and Decoder below do nothing, and the link says what they mean.

const { EventEmitter } = require("node:events");
const { PACKET } = require("./wire");

/** Takes the place of `socket.io-parser`: a packet is its own encoding. */
class Encoder {
  encode(packet) {
    return [packet];
  }
}

/** Hands decoded packets straight to the listener for `decoded`; `Server` has exactly one per connection. */
class Decoder {
  constructor() {
    this.listener = undefined;
  }

  on(_event, listener) {
    this.listener = listener;
    return this;
  }

  removeListener() {
    this.listener = undefined;
    return this;
  }

  add(packet) {
    if (this.listener !== undefined) this.listener(packet);
  }

  destroy() {}
}

/** The acknowledgement that an EVENT asks for. It is the `id` of the packet, which socket.io passes through untouched. */
class Ack {
  constructor(record, low, high) {
    this.record = record;
    this.low = low;
    this.high = high;
  }
}

class Conn extends EventEmitter {
  /** `key` is that of the session; the handshake is that of its first socket here. */
  constructor(sessions, { slot, generation, shard }, transport, handshake) {
    super();
    this.slot = slot;
    this.generation = generation;
    this.shard = shard;
    this.sessions = sessions;
    /** Sockets of this session that are ours, by the name of their namespace. */
    this.records = new Map();
    /** The run in which an event or acknowledgement was last handed to socket.io. */
    this.touched = 0;
    /** The run in which its client last left a namespace. */
    this.left = 0;
    /** Private, as the `sid` of Engine.IO is. */
    this.id = `${shard}.${slot}.${generation}`;
    this.server = sessions.engine;
    this.protocol = 4;
    this.readyState = "open";
    this.upgraded = false;
    this.transport = { name: transport, writable: true };
    this.remoteAddress = handshake.address;
    this.request = requestOf(handshake);
  }

  /** What socket.io writes: a packet. Other than with Engine.IO there is nothing else that could be sent. */
  write(packet, options, callback) {
    if (packet === null || typeof packet !== "object" || typeof packet.type !== "number") {
      throw new Error("conn.write() and conn.send() take raw Engine.IO messages to the client, which a gateway cannot pass on: use socket.emit()");
    }
    if (this.listenerCount("packetCreate") > 0) this.emit("packetCreate", rawPacket(packet, options));
    this.sessions.written(this, packet, options);
    if (typeof callback === "function") process.nextTick(callback);
    return this;
  }

  send(packet, options, callback) {
    return this.write(packet, options, callback);
  }

  /** Closes the transport of the client, which may then connect again. */
  close() {
    if (this.readyState !== "open") return;
    this.readyState = "closing";
    this.sessions.closed(this);
    process.nextTick(() => this.end("forced close"));
  }

  /** The session is over, or no longer of any concern here. */
  end(reason, description) {
    if (this.readyState === "closed") return;
    this.readyState = "closed";
    this.emit("close", reason, description);
  }

  /** Hands a packet to socket.io. */
  receive(packet) {
    this.emit("data", packet);
    if (this.listenerCount("packet") > 0) this.emit("packet", rawPacket(packet));
  }

  upgradedTo(transport) {
    this.upgraded = true;
    this.transport = { name: transport, writable: true };
    this.emit("upgrade", this.transport);
  }
}

/** What applications read of the request that opened the session. There is no `http.IncomingMessage` in this process. */
function requestOf({ headers, url, query, address, secure }) {
  const connection = { remoteAddress: address, encrypted: secure };
  return { method: "GET", httpVersion: "1.1", headers: headers ?? {}, url, _query: query ?? {}, connection, socket: connection };
}

/** The packet of Engine.IO that it would have been, for those who listen to `packet` or `packetCreate`. */
function rawPacket({ type, nsp, id, data }, options = {}) {
  const namespace = nsp === undefined || nsp === "/" ? "" : `${nsp},`;
  const number = id === undefined ? "" : id instanceof Ack ? String(id.high * 0x100000000 + id.low) : String(id);
  const json = type === PACKET.DISCONNECT || data === undefined ? "" : JSON.stringify(data);
  return { type: "message", data: `${type}${namespace}${number}${json}`, options };
}

module.exports = { Ack, Conn, Decoder, Encoder, requestOf };
