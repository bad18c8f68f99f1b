"use strict";
// `socket.data` belongs to the application, and is told to the gateway when it changes, so that an adopter finds it (§4, DATA).
//
// Nobody tells us of a change inside the object. So whoever touches `socket.data` puts the socket on two lists: one that is
// looked through at the end of this turn, and one that is looked through within a second, for changes that were made through
// a reference that was kept over an `await`.

const { DATA_BYTES_MAX } = require("./wire");
const { hasBinary } = require("./packet");
const { warn } = require("./warnings");

/** How long a change through a kept reference may go unseen. */
const SECOND_LOOK_MS = 1000;

/** From a Socket of socket.io to its record. */
const RECORD = Symbol("tidegate.record");

const ACCESSOR = {
  configurable: true,
  enumerable: true,
  get() {
    const record = this[RECORD];
    record.tracker.touch(record);
    return record.data;
  },
  set(value) {
    const record = this[RECORD];
    record.data = value;
    record.tracker.touch(record);
  },
};

class DataTracker {
  /** `pending` asks for the end of the turn. */
  constructor(writer, pending) {
    this.writer = writer;
    this.pending = pending;
    this.touched = [];
    this.again = new Set();
    this.timer = undefined;
  }

  /** From now on `socket.data` is watched. `text` is what the gateway has of it, if anything. */
  watch(socket, record, data, text) {
    record.tracker = this;
    record.data = data;
    record.dataText = text;
    record.dataTouched = false;
    Object.defineProperty(socket, RECORD, { value: record });
    Object.defineProperty(socket, "data", ACCESSOR);
  }

  touch(record) {
    if (record.dataTouched) return;
    record.dataTouched = true;
    this.touched.push(record);
    this.pending();
  }

  /** The end of a turn. */
  check() {
    if (this.touched.length === 0) return;
    for (const record of this.touched.splice(0)) {
      record.dataTouched = false;
      if (!record.alive) continue;
      this.look(record);
      this.again.add(record);
    }
    if (this.timer === undefined) {
      this.timer = setTimeout(() => this.secondLook(), SECOND_LOOK_MS);
      this.timer.unref();
    }
  }

  secondLook() {
    this.timer = undefined;
    for (const record of this.again) if (record.alive) this.look(record);
    this.again.clear();
  }

  /** Tells the gateway if it has changed. */
  look(record) {
    const text = textOf(record);
    if (text === undefined || text === record.dataText) return;
    record.dataText = text;
    if (3 * text.length > DATA_BYTES_MAX && Buffer.byteLength(text) > DATA_BYTES_MAX) {
      warn("TIDEGATE_DATA", `socket.data of ${record.id} is longer than ${DATA_BYTES_MAX} bytes of JSON, and is not kept by the gateway`);
      return;
    }
    this.writer.data(record, text);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.touched = [];
    this.again.clear();
  }
}

function textOf(record) {
  try {
    // Which throws for what is too deep.
    hasBinary(record.data);
    return JSON.stringify(record.data) ?? "null";
  } catch (error) {
    if (!record.dataWarned) warn("TIDEGATE_DATA", `socket.data of ${record.id} is not kept by the gateway: ${error.message}`);
    record.dataWarned = true;
    return undefined;
  }
}

module.exports = { DataTracker };
