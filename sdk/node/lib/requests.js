"use strict";
// What this backend asks, and other backends ask of it: FETCH, BROADCAST with acknowledgements, SERVER_EMIT.

const { hasBinary, putBack } = require("./packet");

class Requests {
  constructor(writer, io) {
    this.writer = writer;
    this.io = io;
    this.last = 0;
    /** The next number for an acknowledgement, of all namespaces. */
    this.acks = 0;
    /** By request number; each has the method that its answer calls, and `lost(error)`. */
    this.waiting = new Map();
  }

  /** Which is never used again. */
  number(request) {
    this.waiting.set(++this.last, request);
    return this.last;
  }

  /** Resolves to `{id, handshake, rooms, data}` for each socket of the selector, whoever has it. */
  fetch(target) {
    return new Promise((resolve, reject) => {
      if (this.writer.stream === undefined) return reject(notConnected());
      const request = this.number({ found: [], resolve, lost: reject });
      return this.send(request, () => this.writer.fetch(request, target));
    });
  }

  /** Calls `asked(clients)` once and `answered(value)` for each client that answers; the caller keeps the time. */
  broadcast(target, args, flags, asked, answered) {
    const request = this.number({ asked, answered, lost() {} });
    this.send(request, () => this.writer.broadcast(target, args, request, flags));
  }

  /** The last of `args` may be a callback for the answers of the other servers. */
  serverEmit(namespace, args) {
    const callback = typeof args[args.length - 1] === "function" ? args[args.length - 1] : undefined;
    const values = callback === undefined ? args : args.slice(0, -1);
    if (hasBinary(values)) throw new TypeError("serverSideEmit() cannot carry binary data through the gateway");
    if (this.writer.stream === undefined) {
      if (callback !== undefined) process.nextTick(callback, notConnected(), []);
      return;
    }
    if (callback === undefined) return this.writer.serverEmit(namespace, 0, 0, values);
    const request = this.number({ callback, lost: (error) => callback(error, []) });
    this.send(request, () => this.writer.serverEmit(namespace, request, 0, values));
  }

  /** A frame that cannot be written leaves nothing behind. */
  send(request, write) {
    try {
      write();
    } catch (error) {
      this.waiting.delete(request);
      throw error;
    }
  }

  // Answers (§5).

  fetched(frame) {
    const request = frame.u64();
    const last = frame.u8() !== 0;
    const waiting = this.waiting.get(request);
    if (waiting === undefined) return;
    for (let count = frame.u32(); count > 0; count--) waiting.found.push(described(frame));
    if (!last) return;
    this.waiting.delete(request);
    waiting.resolve(waiting.found);
  }

  asked(frame) {
    const waiting = this.waiting.get(frame.u64());
    waiting?.asked(frame.u32());
  }

  answer(frame) {
    const waiting = this.waiting.get(frame.u64());
    if (waiting === undefined) return;
    const args = frame.json();
    const attachments = [];
    for (let count = frame.u16(); count > 0; count--) attachments.push(frame.bytes());
    // As upstream: one value per client.
    waiting.answered(attachments.length > 0 ? putBack(args, attachments)[0] : args[0]);
  }

  answered(frame) {
    this.waiting.delete(frame.u64());
  }

  serverResponses(frame) {
    const request = frame.u64();
    const waiting = this.waiting.get(request);
    if (waiting === undefined) return;
    this.waiting.delete(request);
    const asked = frame.u32();
    const responses = [];
    for (let count = frame.u32(); count > 0; count--) responses.push(frame.json());
    const missing = asked > responses.length;
    const error = missing ? new Error(`timeout reached: only ${responses.length} responses received out of ${asked}`) : null;
    waiting.callback(error, responses);
  }

  /** Another backend emits to this one. */
  serverEvent(frame) {
    const token = { low: frame.u32(), high: frame.u32() };
    const nsp = this.io._nsps.get(frame.text16());
    const args = frame.json();
    if (token.low !== 0 || token.high !== 0) args.push(this.answerOnce(token));
    nsp?._onServerSideEmit(args);
  }

  answerOnce(token) {
    const { stream } = this.writer;
    let sent = false;
    return (value) => {
      // A token is worth nothing on another link.
      if (sent || this.writer.stream !== stream) return;
      if (hasBinary(value)) throw new TypeError("an answer to serverSideEmit() cannot carry binary data");
      sent = true;
      this.writer.serverAck(token, JSON.stringify(value) ?? "null");
    };
  }

  /** The link is gone: nobody answers any more. */
  lost() {
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { lost } of waiting) lost(notConnected());
  }
}

function described(frame) {
  frame.take(10);
  const id = frame.text(20);
  const rooms = [...new Set([id, ...frame.texts()])];
  const data = frame.text32();
  return { id, rooms, data: data === "" ? {} : frame.parse(data), handshake: frame.json() };
}

function notConnected() {
  return Object.assign(new Error("there is no link to the Tidegate gateway"), { code: "TIDEGATE_NOT_CONNECTED" });
}

module.exports = { Requests };
