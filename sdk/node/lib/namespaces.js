"use strict";
// Which namespaces this backend wants the clients of (§4, SERVE and WITHDRAW).

class Namespaces {
  /** `only`: names to which the offer is confined, or undefined. */
  constructor(io, writer, only) {
    this.io = io;
    this.writer = writer;
    this.only = only === undefined ? undefined : new Set(only);
    /** SERVE has been sent on this link. */
    this.serving = false;
    this.dynamic = false;
  }

  /** Everything there is, and from now on what is added. */
  start() {
    this.serving = true;
    this.serve([...this.io._nsps.keys()].filter((name) => this.wanted(name)));
  }

  /** The link is gone. */
  stop() {
    this.serving = false;
  }

  wanted(name) {
    return this.only === undefined || this.only.has(name);
  }

  serve(names) {
    this.dynamic = this.io.parentNsps.size > 0;
    this.writer.serve(this.dynamic, names);
  }

  created(name) {
    if (this.serving && this.wanted(name)) this.serve([name]);
  }

  closed(name) {
    if (this.serving && this.wanted(name)) this.writer.withdraw([name]);
  }

  /** Perhaps the application has added a pattern. */
  patternsMayHaveChanged() {
    if (this.serving && this.io.parentNsps.size > 0 !== this.dynamic) this.serve([]);
  }
}

module.exports = { Namespaces };
