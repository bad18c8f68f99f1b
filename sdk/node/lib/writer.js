"use strict";
// Frames to the gateway (§2, §4), encoded one behind the other into one buffer that leaves in one write per turn, as far as
// the gateway's credit goes (§3).

const { MAGIC, VERSION, OUT, VOLATILE, UNCOMPRESSED, LOCAL, WITH_ACK } = require("./wire");
const { hasBinary, takeOut } = require("./packet");

/** When so much is waiting it is sent in the middle of the turn; also what the gateway takes for one tick at most (§4, "Order"). */
const CHUNK_BYTES = 64 * 1024;
/** Buffers that had to grow beyond this are not kept. */
const KEEP_BYTES_MAX = 1024 * 1024;

const NO_ATTACHMENTS = Object.freeze([]);

class Writer {
  /** `pending` is called when there is something to flush. */
  constructor(pending) {
    this.pending = pending;
    this.allocate(2 * CHUNK_BYTES);
    this.close();
  }

  /** The link is up: `credit` bytes may be sent, no frame longer than `frameMax` bytes. */
  open(stream, credit, frameMax) {
    this.stream = stream;
    this.credit = credit;
    this.frameMax = frameMax;
  }

  /** The link is gone, and what was not sent with it. */
  close() {
    this.stream = undefined;
    this.credit = 0;
    this.frameMax = 0xffffffff;
    /** Bytes of finished frames in `buf`; where the frame begins that is being written. */
    this.len = this.frame = 0;
    /** Older frames for which there was no credit, as `{buf, from, to}`. */
    this.held = [];
    /** Frames that need no credit. */
    this.control = [];
    this.drainWanted = false;
  }

  get idle() {
    return this.len === 0 && this.held.length === 0 && this.control.length === 0 && !this.drainWanted;
  }

  // Frames that do not count. They overtake the others, but for DRAIN.

  hello(window, software, name) {
    const texts = [software, name].map((text) => Buffer.from(text));
    const body = Buffer.alloc(12);
    body.writeUInt32LE(MAGIC, 0);
    body.writeUInt16LE(VERSION, 4);
    body.writeUInt16LE(VERSION, 6);
    body.writeUInt32LE(window, 8);
    return controlFrame(OUT.HELLO, [body, ...texts.flatMap((text) => [u16(text.length), text])]);
  }

  give(bytes) {
    this.control.push(controlFrame(OUT.CREDIT, [u32(bytes)]));
    this.pending();
  }

  serve(dynamic, names) {
    this.control.push(controlFrame(OUT.SERVE, [Buffer.from([dynamic ? 1 : 0]), ...texts(names)]));
    this.pending();
  }

  withdraw(names) {
    this.control.push(controlFrame(OUT.WITHDRAW, texts(names)));
    this.pending();
  }

  /** Behind everything that was said before: an ACCEPT must not come after it. */
  drain() {
    this.drainWanted = true;
    this.pending();
  }

  // Frames that count.

  accept(socket) {
    this.about(OUT.ACCEPT, socket);
  }

  decline(socket) {
    this.about(OUT.DECLINE, socket);
  }

  released(socket) {
    this.about(OUT.RELEASED, socket);
  }

  disconnect(socket) {
    this.about(OUT.DISCONNECT, socket);
  }

  closeSession(session) {
    this.about(OUT.CLOSE, session);
  }

  reject(socket, message, data) {
    // Which throws for what is too deep.
    hasBinary(data);
    const json = data === undefined ? undefined : JSON.stringify(data);
    this.begin(OUT.REJECT, 16 + 3 * (message.length + (json ? json.length : 0)));
    this.key(socket);
    this.text16(message);
    if (json === undefined) this.u32(0);
    else this.text32(json);
    this.finish();
  }

  /** `args` begins with the name. `ack` is a number of ours, or undefined. Throws if JSON cannot say it, or the gateway not take it. */
  emit(socket, args, ack, flags) {
    checkName(args[0]);
    const attachments = hasBinary(args) ? [] : NO_ATTACHMENTS;
    const json = JSON.stringify(attachments === NO_ATTACHMENTS ? args : takeOut(args, attachments));
    this.begin(OUT.EMIT, 23 + roomFor(json, attachments));
    this.u8(flagsOf(flags) | (ack === undefined ? 0 : WITH_ACK));
    this.key(socket);
    this.u64(ack === undefined ? 0 : ack);
    this.u32(timeoutOf(flags.timeout));
    this.packet(json, attachments);
    this.finish();
  }

  /** Answers an EVENT; `low` and `high` are the halves of the number it came with. */
  ack(socket, low, high, args) {
    const attachments = hasBinary(args) ? [] : NO_ATTACHMENTS;
    const json = JSON.stringify(attachments === NO_ATTACHMENTS ? args : takeOut(args, attachments));
    this.begin(OUT.ACK, 18 + roomFor(json, attachments));
    this.key(socket);
    this.u32(low);
    this.u32(high);
    this.packet(json, attachments);
    this.finish();
  }

  /** `request` other than 0: everybody is asked for an acknowledgement. */
  broadcast(target, args, request, flags) {
    checkName(args[0]);
    const attachments = hasBinary(args) ? [] : NO_ATTACHMENTS;
    const json = JSON.stringify(attachments === NO_ATTACHMENTS ? args : takeOut(args, attachments));
    this.begin(OUT.BROADCAST, 13 + roomFor(json, attachments));
    this.u8(flagsOf(flags) | (request === 0 ? 0 : WITH_ACK));
    this.selector(target);
    this.u64(request);
    this.u32(request === 0 ? 0 : Math.max(timeoutOf(flags.timeout), 1));
    this.packet(json, attachments);
    this.finish();
  }

  join(socket, rooms) {
    this.about(OUT.JOIN, socket, rooms);
  }

  leave(socket, rooms) {
    this.about(OUT.LEAVE, socket, rooms);
  }

  data(socket, json) {
    this.begin(OUT.DATA, 14 + 3 * json.length);
    this.key(socket);
    this.text32(json);
    this.finish();
  }

  socketsJoin(target, rooms) {
    this.begin(OUT.SOCKETS_JOIN, 0);
    this.selector(target);
    this.texts(rooms);
    this.finish();
  }

  socketsLeave(target, rooms) {
    this.begin(OUT.SOCKETS_LEAVE, 0);
    this.selector(target);
    this.texts(rooms);
    this.finish();
  }

  disconnectSockets(target, close) {
    this.begin(OUT.DISCONNECT_SOCKETS, 0);
    this.selector(target);
    this.reserve(1);
    this.u8(close ? 1 : 0);
    this.finish();
  }

  fetch(request, target) {
    this.begin(OUT.FETCH, 8);
    this.u64(request);
    this.selector(target);
    this.finish();
  }

  serverEmit(namespace, request, timeout, args) {
    const json = JSON.stringify(args);
    this.begin(OUT.SERVER_EMIT, 20 + 3 * (namespace.length + json.length));
    this.text16(namespace);
    this.u64(request);
    this.u32(timeoutOf(timeout));
    this.text32(json);
    this.finish();
  }

  /** `token` as it came: two halves. */
  serverAck(token, json) {
    this.begin(OUT.SERVER_ACK, 12 + 3 * json.length);
    this.u32(token.low);
    this.u32(token.high);
    this.text32(json);
    this.finish();
  }

  about(type, key, rooms) {
    this.begin(type, 10);
    this.key(key);
    if (rooms !== undefined) this.texts(rooms);
    this.finish();
  }

  // Parts of frames.

  allocate(bytes) {
    this.buf = Buffer.allocUnsafeSlow(bytes);
    this.view = new DataView(this.buf.buffer);
  }

  reserve(bytes) {
    if (this.buf.length - this.len >= bytes) return;
    const { buf, len } = this;
    let size = 2 * buf.length;
    while (size - len < bytes) size *= 2;
    this.allocate(size);
    buf.copy(this.buf, 0, 0, len);
  }

  /** Begins a frame, with room for `bytes` of its body. */
  begin(type, bytes) {
    if (this.len >= CHUNK_BYTES) this.flush();
    this.reserve(5 + bytes);
    this.frame = this.len;
    this.buf[this.len + 4] = type;
    this.len += 5;
  }

  finish() {
    const bytes = this.len - this.frame;
    if (bytes > this.frameMax) {
      this.fail(`a packet of ${bytes} bytes is more than the gateway takes at once (${this.frameMax} bytes)`);
    }
    this.view.setUint32(this.frame, bytes - 4, true);
    this.pending();
  }

  /** Takes the frame back that was begun. */
  fail(message) {
    this.len = this.frame;
    throw Object.assign(new RangeError(message), { code: "TIDEGATE_TOO_LONG" });
  }

  u8(value) {
    this.buf[this.len++] = value;
  }

  u16(value) {
    this.view.setUint16(this.len, value, true);
    this.len += 2;
  }

  u32(value) {
    this.view.setUint32(this.len, value, true);
    this.len += 4;
  }

  u64(value) {
    this.u32(value % 0x100000000);
    this.u32(Math.floor(value / 0x100000000));
  }

  key({ slot, generation, shard }) {
    const { view, len } = this;
    view.setUint32(len, slot, true);
    view.setUint32(len + 4, generation, true);
    view.setUint16(len + 8, shard, true);
    this.len = len + 10;
  }

  /** The room for it was reserved. */
  text16(text) {
    const bytes = this.buf.utf8Write(text, this.len + 2);
    if (bytes > 0xffff) this.fail(`a name of ${bytes} bytes is longer than 65535`);
    this.u16(bytes);
    this.len += bytes;
  }

  /** The room for it was reserved. */
  text32(text) {
    const bytes = this.buf.utf8Write(text, this.len + 4);
    this.u32(bytes);
    this.len += bytes;
  }

  /** Rooms of an array or a Set; what is not a string becomes one. */
  texts(list) {
    const count = list.size === undefined ? list.length : list.size;
    if (count > 0xffff) this.fail(`${count} rooms at once are more than 65535`);
    this.reserve(2);
    this.u16(count);
    for (const item of list) {
      const text = typeof item === "string" ? item : String(item);
      this.reserve(2 + 3 * text.length);
      this.text16(text);
    }
  }

  selector({ namespace, rooms, except }) {
    this.reserve(2 + 3 * namespace.length);
    this.text16(namespace);
    this.texts(rooms);
    this.texts(except);
    // For the integers that may follow.
    this.reserve(16);
  }

  packet(json, attachments) {
    // Behind a selector the room that was reserved is used up.
    this.reserve(roomFor(json, attachments));
    this.text32(json);
    this.u16(attachments.length);
    for (const bytes of attachments) {
      this.u32(bytes.length);
      this.buf.set(bytes, this.len);
      this.len += bytes.length;
    }
  }

  // Sending.

  /** More may be sent. */
  credited(bytes) {
    this.credit += bytes;
    if (this.held.length > 0 || this.len > 0) this.pending();
  }

  /** Sends what there is credit for, in one write; the rest waits in order. */
  flush() {
    const { stream } = this;
    if (stream === undefined) return;
    if (this.control.length === 0 && this.held.length === 0 && this.credit >= this.len && !this.drainWanted) {
      if (this.len === 0) return;
      this.credit -= this.len;
      stream.write(this.buf.subarray(0, this.len));
      this.recycle();
      return;
    }
    stream.cork();
    for (const frame of this.control.splice(0)) stream.write(frame);
    this.sendHeld();
    const sent = this.sendCurrent();
    if (this.drainWanted && this.len === 0 && this.held.length === 0) {
      this.drainWanted = false;
      stream.write(controlFrame(OUT.DRAIN, []));
    }
    stream.uncork();
    if (sent) this.recycle();
  }

  sendHeld() {
    let done = 0;
    for (const chunk of this.held) {
      const bytes = this.afford(chunk.buf, chunk.from, chunk.to);
      if (bytes > 0) this.stream.write(chunk.buf.subarray(chunk.from, chunk.from + bytes));
      chunk.from += bytes;
      if (chunk.from < chunk.to) break;
      done++;
    }
    this.held.splice(0, done);
  }

  /** Whether all of the current buffer was given to the stream, which may still look into it. */
  sendCurrent() {
    const { buf, len } = this;
    const sent = this.held.length > 0 ? 0 : this.afford(buf, 0, len);
    if (sent > 0) this.stream.write(buf.subarray(0, sent));
    if (sent === len) {
      this.len = this.frame = 0;
      return sent > 0;
    }
    if (sent > 0 || len >= CHUNK_BYTES) {
      this.held.push({ buf, from: sent, to: len });
      this.len = this.frame = 0;
      this.allocate(2 * CHUNK_BYTES);
    }
    return false;
  }

  /** The length of the frames from `from` on that may be sent now: as long as the balance is above zero, whole frames (§3). */
  afford(buf, from, to) {
    if (this.credit >= to - from) {
      this.credit -= to - from;
      return to - from;
    }
    let at = from;
    while (at < to && this.credit > 0) {
      const bytes = 4 + buf.readUInt32LE(at);
      this.credit -= bytes;
      at += bytes;
    }
    return at - from;
  }

  /** The buffer may be used again at once if the kernel has taken all of it. */
  recycle() {
    this.len = this.frame = 0;
    if (this.stream.writableLength > 0 || this.buf.length > KEEP_BYTES_MAX) this.allocate(2 * CHUNK_BYTES);
  }
}

/** The gateway would end the link for another. */
function checkName(name) {
  if (typeof name === "string" || Number.isFinite(name)) return;
  throw new TypeError(`the name of an event is a string or a number, not ${String(name)}`);
}

function roomFor(json, attachments) {
  let bytes = 6 + 3 * json.length;
  for (const attachment of attachments) bytes += 4 + attachment.length;
  return bytes;
}

function flagsOf(flags) {
  return (flags.volatile ? VOLATILE : 0) | (flags.compress === false ? UNCOMPRESSED : 0) | (flags.local ? LOCAL : 0);
}

/** Milliseconds, as the wire has them; what is not a time is "never". */
function timeoutOf(timeout) {
  return timeout > 0 ? Math.min(Math.ceil(timeout), 0xffffffff) : 0;
}

function u16(value) {
  const buf = Buffer.alloc(2);
  buf.writeUInt16LE(value);
  return buf;
}

function u32(value) {
  const buf = Buffer.alloc(4);
  buf.writeUInt32LE(value);
  return buf;
}

function texts(names) {
  return [u16(names.length), ...names.flatMap((name) => [u16(Buffer.byteLength(name)), Buffer.from(name)])];
}

function controlFrame(type, parts) {
  const body = Buffer.concat(parts);
  return Buffer.concat([u32(1 + body.length), Buffer.from([type]), body]);
}

module.exports = { Writer };
