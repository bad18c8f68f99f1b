// One stock client of a crowd: who it is, and what it has seen. Whatever it must not see is noted as a problem.
//
// It emits numbered `echo`es, which the application sends back: each must come once and in order. Those that were emitted
// while nothing was wrong must all come; of those on their way when a backend is killed some may be lost.

import { isDeepStrictEqual } from "node:util";
import { io } from "socket.io-client";
import { deferred } from "../lib/check.mjs";
import { ask, next, settled } from "../lib/clients.mjs";
import { transportsOf } from "../lib/observer.mjs";

/** Half of them poll for good. */
const MODES = ["polling", "websocket", "polling", "upgrade"];
const ROOMS = 20;

export const roomOf = (number) => `room ${number % ROOMS}`;

export class Member {
  problems = [];
  lost = 0;
  pings = 0;
  disconnects = 0;
  #said = 0;
  #heard = -1;
  /** From this number on none may be lost. */
  #safe = 0;
  #complete = null;
  #pinged = 0;
  #news = new Map();

  constructor(url, number) {
    this.number = number;
    this.mode = MODES[number % MODES.length];
    this.auth = { who: number, token: `token ${number} é` };
    this.data = { number, name: `€ ${number}`, list: [number, null] };
    this.socket = io(`${url}/behaviours`, {
      forceNew: true,
      autoConnect: false,
      transports: transportsOf(this.mode),
      reconnectionDelay: 100,
      reconnectionDelayMax: 1000,
      timeout: 60_000,
      auth: this.auth,
    });
    this.socket.on("disconnect", (reason) => this.#disconnected(reason));
    this.socket.on("echo", (number) => this.#echo(number));
    this.socket.on("news", (what) => this.#news.set(what, (this.#news.get(what) ?? 0) + 1));
    this.socket.io.on("ping", () => {
      this.pings++;
      this.#pinged = performance.now();
    });
  }

  #wrong(problem) {
    this.problems.push(`client ${this.number} (${this.mode}): ${problem}`);
  }

  // Coming and going.

  async enter() {
    const { socket } = this;
    if (!socket.active) socket.connect();
    if (!socket.connected) await next(socket, "connect");
    this.id = socket.id;
    await ask(socket, "join", ["all", roomOf(this.number)]);
    await ask(socket, "data", this.data);
    await settled(socket, this.mode);
  }

  /** May be disconnected from now on, until it enters again. */
  expectDisconnect() {
    this.expecting = true;
    return this.socket.connected ? next(this.socket, "disconnect") : undefined;
  }

  async enterAgain() {
    this.expecting = false;
    this.#safe = this.#said;
    this.#heard = this.#said - 1;
    await this.enter();
  }

  #disconnected(reason) {
    if (this.expecting) return;
    this.disconnects++;
    this.#wrong(`disconnected: ${reason}, ${Math.round(performance.now() - this.#pinged)} ms after a ping`);
  }

  leave() {
    this.expecting = true;
    this.socket.disconnect();
    this.socket.io.engine?.close();
  }

  // Echoes.

  say(count, padding) {
    for (let i = 0; i < count; i++) {
      if (padding) this.socket.emit("echo", this.#said++, padding);
      else this.socket.emit("echo", this.#said++);
    }
  }

  #echo(number) {
    if (number <= this.#heard) return this.#wrong(`echo ${number} after ${this.#heard}`);
    this.#miss(this.#heard + 1, number);
    this.#heard = number;
    this.#look();
  }

  #miss(from, to) {
    for (let number = from; number < to; number++) {
      if (number < this.#safe) this.lost++;
      else this.#wrong(`echo ${number} is missing, from ${this.#safe} on all must come`);
    }
  }

  /** A backend has been killed: of what was said until now some may be lost. */
  forgive() {
    this.#safe = this.#said;
  }

  /** Waits for the last echo. */
  complete() {
    this.#complete ??= deferred();
    const { promise } = this.#complete;
    this.#look();
    return promise;
  }

  #look() {
    if (this.#complete === null || this.#heard < this.#said - 1) return;
    this.#complete.resolve();
    this.#complete = null;
  }

  /** Says one more, which is not forgiven, and waits until it is back: whatever was on its way is back, or lost. */
  async flush() {
    this.say(1);
    await this.complete();
  }

  // What it knows of itself, as far as the application does.

  async check() {
    const { socket } = this;
    const [life, rooms, data, handshake] = await Promise.all([
      ask(socket, "life"),
      ask(socket, "rooms"),
      ask(socket, "data", {}),
      ask(socket, "handshake"),
    ]);
    this.#same("its id", socket.id, this.id);
    this.#same("its rooms", rooms, [this.id, "all", roomOf(this.number)].sort());
    this.#same("its data", data, this.data);
    this.#same("its auth", handshake.auth, this.auth);
    this.#same("its revision", handshake.query.EIO, "4");
    return life;
  }

  /** Numbered events that the application emits in one turn must come in order. */
  async ticks(count) {
    const ticks = [];
    const note = (tick) => ticks.push(tick);
    this.socket.on("tick", note);
    await ask(this.socket, "ticks", count);
    this.socket.off("tick", note);
    this.#same("the ticks", ticks, Array.from({ length: count }, (_, i) => i));
  }

  #same(what, is, was) {
    if (!isDeepStrictEqual(is, was)) this.#wrong(`${what}: ${JSON.stringify(is)}, not ${JSON.stringify(was)}`);
  }

  /** How often it heard of that, which is then forgotten. */
  heard(what) {
    const count = this.#news.get(what) ?? 0;
    this.#news.delete(what);
    return count;
  }
}
