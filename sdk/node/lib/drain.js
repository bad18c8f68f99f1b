"use strict";
// Leaving politely (§7): DRAIN, then for each socket HANDOVER and, when nothing more is to be said of it, RELEASED.

/** How long a handler may take for an acknowledgement that a client waits for. */
const GRACE_MS = 5000;

class Drain {
  /** `handover(socket)` is called for each socket, before it is released. */
  constructor({ sessions, tracker, writer, pending, handover }) {
    this.sessions = sessions;
    this.tracker = tracker;
    this.writer = writer;
    this.pending = pending;
    this.handover = handover;
    this.promise = undefined;
    this.finish = undefined;
    this.grace = GRACE_MS;
    /** Records that may go, and until when (in the time of `performance`) they may stay. */
    this.leaving = new Map();
    this.timer = undefined;
  }

  get begun() {
    return this.promise !== undefined;
  }

  /** Resolves when the gateway has taken back every socket, or the link is gone. */
  begin(linked, grace = GRACE_MS) {
    if (this.begun) return this.promise;
    this.grace = grace;
    this.promise = new Promise((resolve) => {
      this.finish = resolve;
    });
    if (linked) {
      this.sessions.draining = true;
      this.writer.drain();
    } else {
      this.finish();
    }
    return this.promise;
  }

  /** HANDOVER: everything the client has sent so far was handed to the application in this turn, or before. */
  leave(frame) {
    const key = { slot: frame.u32(), generation: frame.u32(), shard: frame.u16() };
    const record = this.sessions.sockets.get(key.slot, key.generation, key.shard);
    // A CONNECT that was overtaken by DRAIN has no record.
    if (record === undefined) return this.writer.released(key);
    this.leaving.set(record, performance.now() + this.grace);
    return this.pending();
  }

  /** The end of a turn. */
  check() {
    if (this.leaving.size === 0) return;
    const now = performance.now();
    for (const [record, until] of this.leaving) {
      if (record.alive && record.owed > 0 && now < until) continue;
      this.leaving.delete(record);
      if (!record.alive) continue;
      if (record.open) this.release(record);
      else this.giveBack(record);
    }
    if (this.leaving.size > 0 && this.timer === undefined) this.timer = setTimeout(() => this.lookAgain(), this.grace);
  }

  lookAgain() {
    this.timer = undefined;
    this.pending();
  }

  /** The middlewares have not decided yet: another backend will ask its own. */
  giveBack(record) {
    this.sessions.drop(record);
    this.writer.released(record);
  }

  release(record) {
    try {
      this.handover(record.socket);
    } finally {
      this.tracker.look(record);
      this.writer.released(record);
      this.sessions.release(record);
    }
  }

  /** DRAINED, or no link any more. */
  done() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.leaving.clear();
    this.finish?.();
  }
}

module.exports = { Drain };
