// A client beside the one under test: it asks the application what it saw.

import { io } from "socket.io-client";
import { deferred } from "./check.mjs";

/** How a transport mode is written in options of the stock client. */
export function transportsOf(mode) {
  return mode === "upgrade" ? ["polling", "websocket"] : [mode];
}

export class Observer {
  #url;
  #transport;
  #socket;

  constructor(url, transport = "websocket") {
    this.#url = url;
    this.#transport = transport;
  }

  /** A command of `/behaviours`, and its ack. */
  async ask(command, ...args) {
    this.#socket ??= io(`${this.#url}/behaviours`, {
      forceNew: true,
      reconnection: false,
      transports: [this.#transport],
    });
    const done = deferred();
    this.#socket.once("disconnect", (reason) => done.reject(new Error(`the observer was disconnected: ${reason}`)));
    this.#socket.once("connect_error", done.reject);
    this.#socket.emit(command, ...args, done.resolve);
    return done.promise.finally(() => this.#socket.off("disconnect").off("connect_error"));
  }

  /** Why the application lost this socket; waits until it has. */
  async reason(id) {
    return (await this.ask("last-disconnect", id)).reason;
  }

  async close() {
    this.#socket?.disconnect();
  }
}
