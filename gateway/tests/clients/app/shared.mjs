// What the behaviours app remembers beyond one socket: disconnects, gates, refusals, and which dynamic namespaces there are.
// Where several processes serve the clients together, each is told what the others learn.

import { randomUUID } from "node:crypto";

const DISCONNECTS_MAX = 20_000;

/** Facts by key that may be asked for before they are known; the oldest are forgotten. */
class Memory {
  #known = new Map();
  #waiting = new Map();

  tell(key, fact) {
    this.#known.set(key, fact);
    if (this.#known.size > DISCONNECTS_MAX) this.#known.delete(this.#known.keys().next().value);
    for (const answer of this.#waiting.get(key) ?? []) answer(fact);
    this.#waiting.delete(key);
  }

  ask(key, answer) {
    if (this.#known.has(key)) return answer(this.#known.get(key));
    this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), answer]);
  }
}

/** Parties by key, the oldest first. */
class Queues {
  #queues = new Map();

  add(key, party) {
    this.#queues.set(key, [...(this.#queues.get(key) ?? []), party]);
  }

  take(key) {
    const [first, ...rest] = this.#queues.get(key) ?? [];
    this.#keep(key, rest);
    return first;
  }

  remove(key, party) {
    this.#keep(key, (this.#queues.get(key) ?? []).filter((each) => each !== party));
  }

  #keep(key, parties) {
    if (parties.length > 0) this.#queues.set(key, parties);
    else this.#queues.delete(key);
  }
}

export class Shared {
  #disconnects = new Memory();
  /** Who is held is known to its own process, who wants to release to all. */
  #held = new Queues();
  #releasing = new Queues();
  /** By token, in the process that was asked to release. */
  #answers = new Map();
  #attempts = new Map();
  /** Dynamic namespaces by name: the process that speaks for it, where several have it. */
  #speakers = new Map();
  #tellOthers;

  /** @param tellOthers `(what, args) => Promise`, settled when all have learned it; null where there are no others */
  constructor(me, tellOthers) {
    this.me = me;
    this.#tellOthers = tellOthers;
  }

  /** Something that this or another process has found out. */
  learn(what, args) {
    this.#lessons[what](...args);
  }

  #tell(what, ...args) {
    this.learn(what, args);
    return this.#tellOthers?.(what, args);
  }

  #lessons = {
    disconnected: (id, fact) => this.#disconnects.tell(id, fact),
    refused: (key, left) => (left >= 0 ? this.#attempts.set(key, left) : this.#attempts.delete(key)),
    release: (key, token) => {
      const go = this.#held.take(key);
      if (go) this.#meet(key, token, go);
      else this.#releasing.add(key, token);
    },
    released: (key, token) => {
      this.#releasing.remove(key, token);
      this.#answers.get(token)?.();
      this.#answers.delete(token);
    },
    namespace: (name, process) => {
      const speaker = this.#speakers.get(name);
      if (speaker === undefined || process < speaker) this.#speakers.set(name, process);
    },
  };

  disconnected(id, fact) {
    this.#tell("disconnected", id, fact);
  }

  whenDisconnected(id, answer) {
    this.#disconnects.ask(id, answer);
  }

  /** How many more attempts are refused, this one included: 3 at first. `then` is called with it when all know of this one. */
  attempt(key, then) {
    const left = this.#attempts.get(key) ?? 3;
    const known = this.#tell("refused", key, left - 1);
    if (known) known.then(() => then(left));
    else then(left);
  }

  // Held and releasing parties meet by key, whoever comes first, oldest first (of one process).

  hold(key, go) {
    const token = this.#releasing.take(key);
    if (token === undefined) this.#held.add(key, go);
    else this.#meet(key, token, go);
  }

  release(key, released) {
    const token = randomUUID();
    this.#answers.set(token, released);
    this.#tell("release", key, token);
  }

  #meet(key, token, go) {
    go();
    this.#tell("released", key, token);
  }

  /** This process has this dynamic namespace, too. */
  hasNamespace(name) {
    this.#tell("namespace", name, this.me);
  }

  /** Whether it is this process that broadcasts in it when all of them are meant. */
  speaksFor(name) {
    return this.#speakers.get(name) === this.me;
  }
}
