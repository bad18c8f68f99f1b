"use strict";
// Gets a stream to the gateway, and another one when it is lost: with exponential backoff and jitter (§8).

const net = require("node:net");

const RECONNECT = Object.freeze({ minDelay: 100, maxDelay: 5000, jitter: 0.5 });

class Dialer {
  /**
   * `space()` says where the kernel may put bytes, `received(n)` that it has, `connected(stream)` and `lost(error?)` what they say.
   * There is no more than one stream at a time.
   */
  constructor(path, reconnect, { space, received, connected, lost }) {
    this.path = path;
    this.delays = { ...RECONNECT, ...reconnect };
    this.space = space;
    this.received = received;
    this.connected = connected;
    this.lost = lost;
    this.stream = undefined;
    this.timer = undefined;
    this.failures = 0;
    this.stopped = false;
    this.referenced = true;
  }

  dial() {
    this.timer = undefined;
    const onread = { buffer: this.space, callback: this.received };
    const stream = net.connect({ path: this.path, onread });
    this.stream = stream;
    if (!this.referenced) stream.unref();
    let failure;
    stream.on("connect", () => this.connected(stream));
    stream.on("error", (error) => {
      failure = error;
    });
    stream.on("close", () => {
      if (this.stream !== stream) return;
      this.stream = undefined;
      this.lost(failure);
    });
  }

  /** Dials again after a while, which grows with each failure since `succeeded()`. */
  dialLater() {
    if (this.stopped || this.timer !== undefined) return;
    const { minDelay, maxDelay, jitter } = this.delays;
    const delay = Math.min(minDelay * 2 ** this.failures, maxDelay);
    this.failures = Math.min(this.failures + 1, 30);
    this.timer = setTimeout(() => this.dial(), delay * (1 - jitter * Math.random()));
    if (!this.referenced) this.timer.unref();
  }

  /** A link that has held for a while: the next loss is not blamed on the one before. */
  succeeded() {
    this.failures = 0;
  }

  /** No more streams. The one that there is stays. */
  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  ref() {
    this.referenced = true;
    this.stream?.ref();
    this.timer?.ref();
  }

  unref() {
    this.referenced = false;
    this.stream?.unref();
    this.timer?.unref();
  }
}

module.exports = { Dialer };
