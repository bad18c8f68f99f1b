"use strict";
// Bytes from the gateway, cut into frames and handed on batch by batch (§2, §5 "TICK"). The kernel writes straight into the
// reader's buffer; what a frame handler keeps, it copies.

const { IN, WireError } = require("./wire");

/** Size of the buffer as long as no frame needs more. */
const BUFFER_BYTES = 256 * 1024;
/** The kernel is always offered at least this much. */
const READ_BYTES_MIN = 64 * 1024;
/** A batch that has grown beyond this is handled in parts. */
const BATCH_BYTES_MAX = 1024 * 1024;
/** How long the rest of a batch may take. Then what is there is handled without it. */
const BATCH_WAIT_MS = 5;

/** What a handler returns for a frame that it cannot handle yet. */
const NOT_NOW = Symbol("not now");

/**
 * Calls `handler(type, reader, bytes)` for each frame; the body lies in front of the cursor. If the handler returns `NOT_NOW`, the frame
 * stays where it is and comes again after `resume()`. Calls `late()` when the rest of a batch does not come: then `goOn()` is due.
 */
class Reader {
  constructor(handler, late) {
    this.handler = handler;
    this.late = late;
    this.timer = undefined;
    this.allocate(BUFFER_BYTES);
    this.reset();
  }

  /** Forgets everything: a new link begins. */
  reset() {
    clearTimeout(this.timer);
    this.timer = undefined;
    /** First byte not handled yet; end of the complete frames; end of the last complete batch; end of the bytes. */
    this.start = this.framed = this.batched = this.filled = 0;
    /** The cursor, and the end of the frame it is in. */
    this.at = this.end = 0;
    this.paused = false;
    /** Before WELCOME there are no batches. */
    this.batches = false;
  }

  allocate(bytes) {
    this.buf = Buffer.allocUnsafeSlow(bytes);
    this.view = new DataView(this.buf.buffer);
  }

  /** Where the next bytes go. */
  space() {
    if (this.start === this.filled) {
      this.start = this.framed = this.batched = this.filled = 0;
      if (this.buf.length > BATCH_BYTES_MAX) this.allocate(BUFFER_BYTES);
      return this.buf;
    }
    if (this.buf.length - this.filled < READ_BYTES_MIN) this.makeRoom();
    return this.buf.subarray(this.filled);
  }

  /** Moves what is there to the front, or into a buffer of twice the size. What a frame says of its length moves no memory. */
  makeRoom() {
    const { buf, start, filled } = this;
    if (start >= buf.length / 2) {
      buf.copyWithin(0, start, filled);
    } else {
      this.allocate(2 * buf.length);
      buf.copy(this.buf, 0, start, filled);
    }
    this.start = 0;
    this.framed -= start;
    this.batched = Math.max(this.batched - start, 0);
    this.filled -= start;
  }

  lengthAt(at) {
    const length = this.view.getUint32(at, true);
    if (length === 0 || length >= 0x80000000) throw new WireError(`a frame of ${length} bytes`);
    return length;
  }

  /** `bytes` more lie where `space()` pointed to. Throws `WireError`. */
  received(bytes) {
    this.filled += bytes;
    const { filled } = this;
    let framed = this.framed;
    while (filled - framed >= 4) {
      const next = framed + 4 + this.lengthAt(framed);
      if (next > filled) break;
      if (this.buf[framed + 4] === IN.TICK) this.batched = next;
      framed = next;
    }
    this.framed = framed;
    if (!this.batches || framed - this.start > BATCH_BYTES_MAX) this.batched = framed;
    if (!this.paused) this.handle();
  }

  /** Goes on with the frame for which the handler returned `NOT_NOW`. */
  resume() {
    this.paused = false;
    this.handle();
  }

  handle() {
    const { handler } = this;
    while (this.start < this.batched) {
      const begin = this.start;
      const next = begin + 4 + this.view.getUint32(begin, true);
      this.at = begin + 5;
      this.end = next;
      // Before the handler runs, so that a handler that throws leaves a reader that can go on.
      this.start = next;
      if (handler(this.buf[begin + 4], this, next - begin) === NOT_NOW) {
        this.start = begin;
        this.paused = true;
        return;
      }
    }
    if (this.framed > this.start && this.timer === undefined) this.timer = setTimeout(() => this.expired(), BATCH_WAIT_MS);
  }

  expired() {
    this.timer = undefined;
    if (this.framed > this.start) this.late();
  }

  /** Handles what is there of an unfinished batch. */
  goOn() {
    this.batched = this.framed;
    if (!this.paused) this.handle();
  }

  // The parts of a body (§2). They throw `WireError` beyond the end of the frame.

  take(bytes) {
    const at = this.at;
    if (bytes > this.end - at) throw new WireError("a frame that is too short");
    this.at = at + bytes;
    return at;
  }

  u8() {
    return this.buf[this.take(1)];
  }

  u16() {
    return this.view.getUint16(this.take(2), true);
  }

  u32() {
    return this.view.getUint32(this.take(4), true);
  }

  /** As a number; those that this SDK chose are below 2⁵³. */
  u64() {
    const low = this.u32();
    return this.u32() * 0x100000000 + low;
  }

  text(bytes) {
    const at = this.take(bytes);
    return this.buf.utf8Slice(at, at + bytes);
  }

  text16() {
    return this.text(this.u16());
  }

  text32() {
    return this.text(this.u32());
  }

  texts() {
    const list = [];
    for (let count = this.u16(); count > 0; count--) list.push(this.text16());
    return list;
  }

  json() {
    return this.parse(this.text32());
  }

  parse(text) {
    try {
      return JSON.parse(text);
    } catch {
      throw new WireError("what should be JSON is not");
    }
  }

  /** A copy: the buffer is used again. */
  bytes() {
    const length = this.u32();
    const at = this.take(length);
    return Buffer.from(this.buf.subarray(at, at + length));
  }
}

module.exports = { NOT_NOW, Reader };
