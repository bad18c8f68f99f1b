"use strict";
// What `attach()` resolves to: the link as the application sees it.

const { EventEmitter } = require("node:events");
const { warn } = require("./warnings");

class Link extends EventEmitter {
  #backend;
  #path;
  #gateway;

  /** Applications get theirs from `attach()`. */
  constructor(backend, path) {
    super();
    this.#backend = backend;
    this.#path = path;
  }

  /** Whether the gateway is there. */
  get connected() {
    return this.#backend.up;
  }

  /** How many backends are connected to the gateway, this one included. */
  get peers() {
    return this.#backend.peers;
  }

  /** Of the last WELCOME: `{software, version, options}`. */
  get gateway() {
    return this.#gateway;
  }

  /**
   * Gives every socket back, for other backends to go on with. Resolves when the gateway has taken the last one. Handlers that owe
   * an acknowledgement have `grace` milliseconds (5000) to give it.
   */
  drain({ grace } = {}) {
    this.#backend.dialer.stop();
    return this.#backend.drain.begin(this.connected, grace);
  }

  /** Ends the link, for good; clients stay connected to the gateway. */
  close() {
    return this.#backend.close();
  }

  /** The process stays alive as long as it is attached. (As at the start.) */
  ref() {
    this.#backend.dialer.ref();
    return this;
  }

  /** The link alone does not keep the process alive. */
  unref() {
    this.#backend.dialer.unref();
    return this;
  }

  // Told by `attach()`.

  /** @private */
  _welcomed(gateway) {
    this.#gateway = gateway;
    this.emit("connect");
  }

  /** @private A link does not die silently. */
  _lost(error) {
    if (this.emit("disconnect", error) || this.#backend.closing !== undefined || this.#backend.drain.begun) return;
    warn("TIDEGATE_LINK", `the link to the gateway at ${this.#path} is lost${error ? ` (${error.message})` : ""}: dialling again`);
  }

  /** @private */
  _refused(error) {
    if (!this.emit("refused", error)) warn("TIDEGATE_REFUSED", error.message);
  }
}

module.exports = { Link };
