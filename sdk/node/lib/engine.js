"use strict";
// What `io.bind()` gets, and `io.engine` is from then on: as much of an Engine.IO server as there is in this process.

const { EventEmitter } = require("node:events");

/** What cannot work here, and what to do instead. */
const ELSEWHERE = {
  use: "io.engine.use() runs in front of HTTP requests, which the gateway answers: use io.use() with socket.handshake or socket.request instead",
  handleRequest: "io.engine.handleRequest() is the gateway's: clients connect to the gateway, not to this process",
  handleUpgrade: "io.engine.handleUpgrade() is the gateway's: clients connect to the gateway, not to this process",
  attach: "io.engine.attach() is the gateway's: clients connect to the gateway, not to this process",
  generateId: "io.engine.generateId is the gateway's: it chooses the ids of sessions",
  initial_headers: "the event `initial_headers` is about HTTP responses, which the gateway writes: see its options `cors` and `cookie`",
  headers: "the event `headers` is about HTTP responses, which the gateway writes: see its options `cors` and `cookie`",
};

function elsewhere(what) {
  return Object.assign(new Error(`tidegate: ${ELSEWHERE[what]}`), { code: "TIDEGATE_ELSEWHERE" });
}

class Engine extends EventEmitter {
  constructor(options, closeAll) {
    super();
    /** The gateway's options, as far as it tells them. */
    this.opts = options;
    /** Sessions with a socket in this process. */
    this.clientsCount = 0;
    this.closeAll = closeAll;
    for (const method of ["use", "handleRequest", "handleUpgrade", "attach"]) {
      this[method] = () => {
        throw elsewhere(method);
      };
    }
    // EventEmitter tells of new listeners whatever method they were added with.
    super.on("newListener", (event) => {
      if (event === "initial_headers" || event === "headers") throw elsewhere(event);
    });
  }

  get generateId() {
    return () => {
      throw elsewhere("generateId");
    };
  }

  set generateId(_generate) {
    throw elsewhere("generateId");
  }

  /** Called by `io.close()`: every session that has a socket here is closed, and the link with them. */
  close() {
    this.closeAll();
    return this;
  }
}

module.exports = { Engine };
