// Stock clients in processes of their own, as one crowd. What a member sees and must not see fails the next call.

import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("./crowd-process.mjs", import.meta.url));

class Part {
  #child;
  #calls = 0;
  #waiting = new Map();
  #events = new Map();

  constructor(watchdog) {
    this.#child = fork(PROGRAM, { env: { ...process.env, CROWD_WATCHDOG_MS: watchdog } });
    this.#child.on("message", ({ call, result, error, event }) => {
      if (event) return this.#event(event).resolve();
      const { resolve, reject } = this.#waiting.get(call);
      this.#waiting.delete(call);
      if (error) reject(new Error(error));
      else resolve(result);
    });
    this.#child.on("exit", (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`a part of the crowd ended: ${code ?? signal}`));
    });
  }

  call(method, ...args) {
    const call = this.#calls++;
    const answer = new Promise((resolve, reject) => this.#waiting.set(call, { resolve, reject }));
    // Whoever asked may have been told of another part's failure, and not listen any more.
    answer.catch(() => {});
    this.#child.send({ call, method, args });
    return answer;
  }

  #event(name) {
    if (!this.#events.has(name)) {
      let resolve;
      this.#events.set(name, { promise: new Promise((yes) => (resolve = yes)), resolve });
    }
    return this.#events.get(name);
  }

  event(name) {
    return this.#event(name).promise.finally(() => this.#events.delete(name));
  }

  async end() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.disconnect();
    await ended;
  }
}

export class Crowd {
  #parts;

  constructor(processes, watchdog = 60_000) {
    this.#parts = Array.from({ length: processes }, () => new Part(watchdog));
  }

  /** Connects clients number 0 to count − 1. */
  async open(url, count) {
    this.numbers = Array.from({ length: count }, (_, number) => number);
    await Promise.all(
      this.#parts.map((part) => part.call("open", url, this.numbers.filter((number) => this.#of(number) === part))),
    );
    this.ids = new Set((await this.all("ids")).flat());
  }

  /** Has every part do it; returns what each says. */
  all(method, ...args) {
    return Promise.all(this.#parts.map((part) => part.call(method, ...args)));
  }

  /** Has the part do it that has this member. */
  one(method, number, ...args) {
    return this.#of(number).call(method, number, ...args);
  }

  /** Emits as this member, and returns the first argument of the ack. */
  ask(number, event, ...args) {
    return this.one("ask", number, event, ...args);
  }

  /** Waits until this member, told to hold its answer, got the event. */
  got(number, event) {
    return this.#of(number).event(`${event} ${number}`);
  }

  /** Each part has clients of every kind: four numbers in a row are that. */
  #of(number) {
    return this.#parts[Math.floor(number / 4) % this.#parts.length];
  }

  /** Members by the process that has them: a map of name to numbers. And what all of them say of their lives. */
  async lives() {
    const lives = new Map((await this.all("lives")).flat());
    const byProcess = new Map();
    for (const [number, { process }] of lives) byProcess.set(process, [...(byProcess.get(process) ?? []), number]);
    return { lives: [...lives.values()], byProcess };
  }

  async enterAgain() {
    await this.all("enterAgain");
    this.ids = new Set((await this.all("ids")).flat());
  }

  /** The same number from all parts, added up. */
  async sum(method, ...args) {
    return (await this.all(method, ...args)).reduce((sum, value) => sum + value, 0);
  }

  async max(method, ...args) {
    return Math.max(...(await this.all(method, ...args)));
  }

  async end() {
    await Promise.all(this.#parts.map((part) => part.end()));
  }
}
