"use strict";
// Sessions and sockets of this link: what the gateway says of them becomes connections and packets for socket.io, and what
// socket.io writes becomes frames.
//
// A socket has a *record* here from CONNECT until it is no longer ours. It is *open* once accepted, and *alive* as long as the
// gateway and we agree that it is ours.

const { Ack, Conn, requestOf } = require("./conn");
const { CLIENT_LEFT, PACKET, REASONS, SOCKET_REASON, WireError } = require("./wire");
const { Slots } = require("./slots");
const { putBack } = require("./packet");
const { NOT_NOW } = require("./reader");

/** Most characters of the message of a middleware that the protocol has room for in any case. */
const REASON_CHARS_MAX = 20000;

class SocketRecord {
  constructor(slot, generation, shard, conn, namespace, id, handshake) {
    this.slot = slot;
    this.generation = generation;
    this.shard = shard;
    this.conn = conn;
    this.namespace = namespace;
    this.id = id;
    this.handshake = handshake;
    /** What an adopter is told, or undefined: `{rooms, data, text}`, where `text` is the JSON of `data`. */
    this.adopted = undefined;
    /** The Socket of socket.io, once there is one. */
    this.socket = undefined;
    this.adapter = undefined;
    this.alive = true;
    this.open = false;
    /** Acknowledgements that the client waits for. */
    this.owed = 0;
    // The data tracker's.
    this.tracker = undefined;
    this.data = undefined;
    this.dataText = undefined;
    this.dataTouched = false;
    this.dataWarned = false;
  }
}

class Sessions {
  /** `pending` asks for the end of the turn. */
  constructor({ writer, tracker, skipMiddlewares, pending }) {
    this.writer = writer;
    this.tracker = tracker;
    this.skipMiddlewares = skipMiddlewares;
    this.pending = pending;
    /** Set once there is one. */
    this.engine = undefined;
    this.sockets = new Slots();
    this.sessions = new Slots();
    /** Connections that may have lost their last socket. */
    this.idle = new Set();
    /** Counts the times that frames were handled without anything else happening between. */
    this.run = 0;
    /** A draining backend gets no new sockets. */
    this.draining = false;
  }

  // Frames from the gateway (§5). They return `NOT_NOW` for a frame that has to wait until what was handed to socket.io in this
  // run has been dealt with: socket.io takes a few ticks for a packet, but closes and connects at once.

  connect(frame) {
    const flags = frame.u8();
    const slot = frame.u32();
    const generation = frame.u32();
    const shard = frame.u16();
    const session = { slot: frame.u32(), generation: frame.u32(), shard: frame.u16() };
    let conn = this.sessions.get(session.slot, session.generation, session.shard);
    // socket.io still has the socket that has just left.
    if (conn !== undefined && conn.left === this.run) return NOT_NOW;
    // Whoever drains gives back what was under way at HANDOVER (§7).
    if (this.draining) return undefined;
    const id = frame.text(20);
    frame.u8();
    const transport = frame.text16();
    const namespace = frame.text16();
    const handshake = frame.json();
    handshake.auth ??= {};
    const adopted = { rooms: frame.texts(), text: frame.text32() || "{}" };
    adopted.data = frame.parse(adopted.text);
    if (conn === undefined) conn = this.openConn(session, transport, handshake);
    const record = new SocketRecord(slot, generation, shard, conn, namespace, id, handshake);
    if ((flags & 1) !== 0) record.adopted = adopted;
    const old = conn.records.get(namespace);
    if (old !== undefined) this.drop(old);
    conn.records.set(namespace, record);
    this.sockets.set(record);
    conn.receive({ type: PACKET.CONNECT, nsp: namespace, data: handshake.auth, id: undefined });
    return undefined;
  }

  openConn(session, transport, handshake) {
    const conn = new Conn(this, session, transport, handshake);
    this.sessions.set(conn);
    this.engine.clientsCount++;
    this.engine.emit("connection", conn);
    return conn;
  }

  event(frame) {
    const flags = frame.u8();
    const record = this.sockets.get(frame.u32(), frame.u32(), frame.u16());
    if (record === undefined || !record.open) return;
    const low = frame.u32();
    const high = frame.u32();
    const data = packetOf(frame);
    let id;
    if ((flags & 1) !== 0) {
      record.owed++;
      id = new Ack(record, low, high);
    }
    const { conn } = record;
    conn.touched = this.run;
    conn.receive({ type: PACKET.EVENT, nsp: record.namespace, data, id });
  }

  ack(frame) {
    const record = this.sockets.get(frame.u32(), frame.u32(), frame.u16());
    if (record === undefined || !record.open) return;
    const id = frame.u64();
    const { conn } = record;
    conn.touched = this.run;
    conn.receive({ type: PACKET.ACK, nsp: record.namespace, data: packetOf(frame), id });
  }

  disconnected(frame) {
    const record = this.sockets.get(frame.u32(), frame.u32(), frame.u16());
    if (record === undefined) return undefined;
    const code = frame.u8();
    const { conn } = record;
    if (code === CLIENT_LEFT) {
      this.drop(record);
      conn.left = this.run;
      // In one tick with what came before, as with Engine.IO. Who was not let in yet does not leave.
      if (record.open) conn.receive({ type: PACKET.DISCONNECT, nsp: record.namespace, data: undefined, id: undefined });
      return undefined;
    }
    if (conn.touched === this.run) return NOT_NOW;
    if (code < SOCKET_REASON) this.endConn(conn, REASONS[code] ?? REASONS[1]);
    else this.evict(record);
    return undefined;
  }

  /** The socket has been handed over: gone without a word to the application. Late events of handlers still reach the client. */
  release(record) {
    const { conn, socket } = record;
    this.drop(record);
    conn.records.set(record.namespace, record);
    takeOut(socket);
    socket.client._remove(socket);
    socket.connected = false;
  }

  /** Somebody else, or a selector of ours, has disconnected the socket. The client knows already. */
  evict(record) {
    this.drop(record);
    // Its DISCONNECT packet finds no record and goes nowhere.
    record.socket?.disconnect();
  }

  upgraded(frame) {
    const conn = this.sessions.get(frame.u32(), frame.u32(), frame.u16());
    conn?.upgradedTo(frame.text16());
  }

  /** A client was refused before it had a session. */
  refused(frame) {
    const code = frame.u8();
    const message = frame.text16();
    const req = requestOf(frame.json());
    this.engine.emit("connection_error", { req, code, message, context: {} });
  }

  // What socket.io does.

  /** Every Socket of this namespace gets to know who it is before the first middleware. */
  introduceTo(nsp, adapter) {
    const { run } = nsp;
    nsp.run = (socket, fn) => this.introduce(nsp, adapter, socket, fn, run);
  }

  introduce(nsp, adapter, socket, fn, run) {
    const { conn } = socket;
    const record = conn instanceof Conn ? conn.records.get(nsp.name) : undefined;
    // Taken back in the meantime; perhaps with another in its place, whose Socket is on its way.
    if (record === undefined || record.socket !== undefined) return takeOut(socket);
    rename(nsp, socket, record.id);
    socket.handshake = record.handshake;
    record.socket = socket;
    record.adapter = adapter;
    // One string for all of them is faster to compare.
    record.namespace = nsp.name;
    adapter.records.set(record.id, record);
    watchOutgoing(socket);
    const { adopted } = record;
    if (adopted !== undefined) {
      socket.recovered = true;
      adapter.restore(record.id, adopted.rooms);
    }
    if (adopted === undefined) this.tracker.watch(socket, record, socket.data, "{}");
    else this.tracker.watch(socket, record, adopted.data, adopted.text);
    const done = (error) => (record.alive ? fn(error) : takeOut(socket));
    return adopted !== undefined && this.skipMiddlewares ? done() : run.call(nsp, socket, done);
  }

  /** `Client` of socket.io writes a packet. */
  written(conn, packet, options) {
    const { type } = packet;
    if (type === PACKET.ACK) return this.writeAck(packet);
    const record = conn.records.get(packet.nsp);
    if (record === undefined) return undefined;
    switch (type) {
      case PACKET.EVENT:
        return this.writer.emit(record, packet.data, packet.id, options);
      case PACKET.CONNECT:
        if (!record.alive) return undefined;
        record.open = true;
        return this.writer.accept(record);
      case PACKET.CONNECT_ERROR:
        this.drop(record);
        // Without a Socket it was no middleware that said no: there is no such namespace.
        if (record.socket === undefined) return this.writer.decline(record);
        return this.writer.reject(record, String(packet.data.message ?? "").slice(0, REASON_CHARS_MAX), packet.data.data);
      case PACKET.DISCONNECT:
        this.drop(record);
        return this.writer.disconnect(record);
      default:
        return undefined;
    }
  }

  writeAck({ id, data }) {
    const { record } = id;
    if (!record.alive) return;
    record.owed--;
    this.writer.ack(record, id.low, id.high, data);
  }

  /** socket.io closes the connection of a client. */
  closed(conn) {
    this.forget(conn);
    this.writer.closeSession(conn);
  }

  // The end of things.

  /** The session is over: its sockets end with this reason. */
  endConn(conn, reason, description) {
    this.forget(conn);
    conn.end(reason, description);
  }

  /** The socket is no longer ours; socket.io may not know yet. */
  drop(record) {
    if (!record.alive) return;
    record.alive = false;
    this.sockets.delete(record);
    const { conn, adapter } = record;
    if (conn.records.get(record.namespace) === record) conn.records.delete(record.namespace);
    if (conn.records.size === 0) {
      this.idle.add(conn);
      this.pending();
    }
    if (adapter !== undefined && adapter.records.get(record.id) === record) {
      adapter.records.delete(record.id);
      adapter.observed.delete(record.socket);
    }
  }

  forget(conn) {
    if (!this.sessions.delete(conn)) return;
    this.engine.clientsCount--;
    for (const record of [...conn.records.values()]) this.drop(record);
    this.idle.delete(conn);
  }

  /** The end of a turn. The gateway says nothing of a session that has no socket here, so it ends here, too. */
  forgetIdle() {
    if (this.idle.size === 0) return;
    for (const conn of [...this.idle]) {
      if (conn.records.size === 0) this.endConn(conn, REASONS[1]);
    }
    this.idle.clear();
  }

  /** The link is gone, and with it everything that was there. */
  endAll(reason, description) {
    for (const conn of [...this.sessions.values()]) this.endConn(conn, reason, description);
    this.idle.clear();
  }

  /** `io.close()`: the clients are sent away, to connect again elsewhere. */
  closeAll() {
    for (const conn of [...this.sessions.values()]) conn.close();
  }
}

/** The array of a packet, with its attachments in place (§2). */
function packetOf(frame) {
  const data = frame.json();
  if (!Array.isArray(data)) throw new WireError("a packet that is not an array");
  const count = frame.u16();
  if (count === 0) return data;
  const attachments = [];
  for (let i = 0; i < count; i++) attachments.push(frame.bytes());
  return putBack(data, attachments);
}

/** Gives the Socket its public id. The one from its constructor nobody has seen but its namespace (since 4.8). */
function rename(nsp, socket, id) {
  if (nsp._preConnectSockets?.delete(socket.id)) nsp._preConnectSockets.set(id, socket);
  socket.id = id;
}

/** Out of its rooms and its namespace, without a word to the application. */
function takeOut(socket) {
  socket._cleanup();
  // Old versions have not done so by now.
  if (socket.nsp.sockets.get(socket.id) === socket) socket.nsp._remove(socket);
}

// Catch-all listeners for what is sent hear broadcasts, too: the adapter has to know who has any. Added to the object, not the class,
// which other servers in this process share; as the functions are the same for all, that is cheap.

const OBSERVED = {
  onAnyOutgoing: { value: observed("onAnyOutgoing"), configurable: true, writable: true },
  prependAnyOutgoing: { value: observed("prependAnyOutgoing"), configurable: true, writable: true },
};

function observed(method) {
  return function (listener) {
    this.adapter.observed.add(this);
    return Object.getPrototypeOf(this)[method].call(this, listener);
  };
}

function watchOutgoing(socket) {
  Object.defineProperties(socket, OBSERVED);
}

module.exports = { Sessions };
