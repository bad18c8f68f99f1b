// A TCP connection read by promise: bytes in, bytes out, nothing interpreted.

import net from "node:net";
import { deferred } from "./check.mjs";

export class Tcp {
  #socket;
  #buffer = Buffer.alloc(0);
  #ended = false;
  #changed = deferred();

  /** Connects to the host and port of `url`; rejects if nobody listens. */
  static async open(url) {
    const { hostname, port } = new URL(url);
    const socket = net.connect({ host: hostname, port: Number(port) });
    socket.setNoDelay(true);
    const connected = deferred();
    socket.once("connect", connected.resolve);
    socket.once("error", connected.reject);
    await connected.promise;
    socket.off("error", connected.reject);
    return new Tcp(socket);
  }

  constructor(socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => {
      this.#buffer = this.#buffer.length > 0 ? Buffer.concat([this.#buffer, chunk]) : chunk;
      this.#notify();
    });
    const end = () => {
      this.#ended = true;
      this.#notify();
    };
    socket.on("end", end);
    socket.on("close", end);
    // A reset is an end: what was asked for and did not come is the failure that matters.
    socket.on("error", end);
  }

  #notify() {
    this.#changed.resolve();
    this.#changed = deferred();
  }

  write(bytes) {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  /** Resolves when the kernel has taken all that was written, or the connection is gone. */
  flushed(bytes) {
    if (this.#socket.destroyed) return Promise.resolve();
    const done = deferred();
    this.#socket.write(bytes, done.resolve);
    return done.promise;
  }

  /**
   * Waits until `take(buffer)` returns something, and uses up what it says.
   *
   * @param {(buffer: Buffer, ended: boolean) => undefined | {value: any, used: number}} take
   * @returns the value, or null when the peer ended first
   */
  async take(take) {
    for (;;) {
      const taken = take(this.#buffer, this.#ended);
      if (taken) {
        this.#buffer = this.#buffer.subarray(taken.used);
        return taken.value;
      }
      if (this.#ended) return null;
      await this.#changed.promise;
    }
  }

  /** Everything up to the end of the connection. */
  rest() {
    return this.take((buffer, ended) => (ended ? { value: buffer, used: buffer.length } : undefined));
  }

  get ended() {
    return this.#ended;
  }

  /** Stops reading, so that the peer's sends pile up. */
  pause() {
    this.#socket.pause();
  }

  resume() {
    this.#socket.resume();
  }

  /** Sends FIN, still reads. */
  end() {
    this.#socket.end();
  }

  /** Drops the connection with a reset, as a process that dies with unread data does. */
  reset() {
    this.#socket.resetAndDestroy();
  }

  destroy() {
    this.#socket.destroy();
  }
}
