// The stock clients under test: socket.io-client 4 and 3, over polling, WebSocket, or polling then upgrade.

import { randomUUID } from "node:crypto";
import { io as io4 } from "socket.io-client";
import { io as io3 } from "socket.io-client-v3";
import { deferred } from "./check.mjs";
import { transportsOf } from "./observer.mjs";

const FACTORIES = { v4: io4, v3: io3 };

export const VERSIONS = Object.keys(FACTORIES);
export const MODES = ["polling", "websocket", "upgrade"];

/** The arguments of the next `event`. */
export function next(emitter, event) {
  const got = deferred();
  emitter.once(event, (...args) => got.resolve(args));
  return got.promise;
}

/** Every first argument of `event` from now on, in order. */
export function collect(socket, event) {
  const seen = [];
  socket.on(event, (value) => seen.push(value));
  return seen;
}

/** Emits and waits for the ack: its first argument. Rejects if the socket is disconnected meanwhile. */
export async function ask(socket, event, ...args) {
  return (await askAll(socket, event, ...args))[0];
}

/** Like `ask`, but all arguments of the ack. */
export async function askAll(socket, event, ...args) {
  const answer = deferred();
  const lost = (reason) => answer.reject(new Error(`disconnected (${reason}) while waiting for the ack of ${event}`));
  socket.once("disconnect", lost);
  socket.emit(event, ...args, (...values) => answer.resolve(values));
  return answer.promise.finally(() => socket.off("disconnect", lost));
}

/** One behaviour's clients: they share nothing with others, and are closed at its end. */
export class Lab {
  #sockets = [];
  #run = randomUUID().slice(0, 8);
  #names = 0;

  constructor(url, version, mode) {
    this.url = url;
    this.version = version;
    this.mode = mode;
  }

  /** A name nobody else uses. */
  name(prefix = "room") {
    return `${prefix}-${this.#run}-${this.#names++}`;
  }

  /** A client that was told to connect; the caller waits for what it wants to see. */
  start(namespace = "/", options = {}) {
    const socket = FACTORIES[this.version](`${this.url}${namespace}`, {
      forceNew: true,
      reconnection: false,
      transports: transportsOf(this.mode),
      ...options,
    });
    this.#sockets.push(socket);
    return socket;
  }

  /** A client that is connected. */
  async connect(namespace = "/behaviours", options = {}) {
    const socket = this.start(namespace, options);
    await connected(socket);
    return socket;
  }

  /** Several of them. */
  crowd(count, namespace, options) {
    return Promise.all(Array.from({ length: count }, () => this.connect(namespace, options)));
  }

  /** Another namespace over the connection of `socket`; it connects by itself, and connecting it again would be two. */
  startBeside(socket, namespace, options = {}) {
    const other = socket.io.socket(namespace, options);
    this.#sockets.push(other);
    return other;
  }

  /** The same, connected. */
  async beside(socket, namespace, options = {}) {
    const other = this.startBeside(socket, namespace, options);
    await connected(other);
    return other;
  }

  async close() {
    for (const socket of this.#sockets) {
      socket.disconnect();
      socket.io.engine?.close();
    }
  }
}

/** Waits until the socket is connected; rejects with the error if it is refused. */
export async function connected(socket) {
  if (socket.connected) return;
  const done = deferred();
  socket.once("connect", done.resolve);
  socket.once("connect_error", done.reject);
  await done.promise.finally(() => socket.off("connect_error", done.reject));
}

/** Waits until the connection is on the transport it will stay on. */
export async function settled(socket, mode) {
  const { engine } = socket.io;
  if (mode !== "upgrade" || engine.transport.name === "websocket") return;
  await next(engine, "upgrade");
}
