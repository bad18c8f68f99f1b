// Where a scenario plays: a gateway, its backends, and a crowd of stock clients.

import assert from "node:assert/strict";
import { startBackend, stopServer } from "../lib/process.mjs";
import { Crowd } from "./crowd.mjs";

/** What `--backend` may be, besides the path of a program. */
const COMMANDS = { node: [process.execPath, "app-stock.mjs"] };

export class Stage {
  #backends = new Set();
  #broadcasts = 0;

  /**
   * @param gateway a running Gateway
   * @param {{backend: string, clients: number, processes: number, gap: number, busy: number, cycles: number, watchdog: number}}
   * settings what scenarios need to know; times in ms
   * @param {Random} random
   */
  constructor(gateway, settings, random) {
    this.gateway = gateway;
    this.settings = settings;
    this.random = random;
  }

  // Backends.

  /** Starts a backend of this name and waits until it takes sockets. */
  async backend(name) {
    const { backend } = this.settings;
    const command = [...(COMMANDS[backend] ?? [backend]), "--backend", this.gateway.path, "--name", name];
    const before = (await this.gateway.metrics()).tidegate_backend_links_serving;
    const process = await startBackend(command);
    const started = { name, process };
    this.#backends.add(started);
    await this.gateway.links(before + 1);
    return started;
  }

  /** `kill -9`, and waits until the gateway has noticed. What clients say from then on must not be lost. */
  async kill(backend) {
    const before = (await this.gateway.metrics()).tidegate_backend_links;
    await this.#end(backend, "SIGKILL");
    await this.gateway.until("a link less", (now) => now.tidegate_backend_links === before - 1);
    await this.crowd?.all("forgive");
  }

  /** Nothing happens in it any more. */
  stop(backend) {
    backend.process.child.kill("SIGSTOP");
  }

  /** Has it hand over its sockets; it must then end by itself, with 0. */
  async drain(backend) {
    assert.equal(await this.#end(backend, "SIGTERM"), 0, `the exit code of ${backend.name}`);
  }

  async #end(backend, signal) {
    this.#backends.delete(backend);
    return stopServer(backend.process, signal);
  }

  // Clients.

  async enter(count = this.settings.clients) {
    this.crowd = new Crowd(this.settings.processes, this.settings.watchdog);
    await this.crowd.open(this.gateway.url, count);
    return this.crowd;
  }

  // What must be so after a restart.

  /** Every client is what it was, and served by one of these processes. */
  async checkAll({ servedBy, recovered = true }) {
    const { crowd } = this;
    const { lives, byProcess } = await crowd.lives();
    assert.deepEqual([...byProcess.keys()].sort(), [...servedBy].sort(), "who serves");
    if (recovered) {
      assert.ok(lives.every((life) => life.recovered), "every socket came from another process");
      assert.ok(lives.every(({ middlewares }) => middlewares === 0), "no middleware ran");
    }
    await this.checkRooms();
    await crowd.all("ticks", 5);
    for (const numbers of byProcess.values()) await this.checkFetch(this.random.pick(numbers));
    return byProcess;
  }

  /** A broadcast to a room reaches its members, each once, and nobody else. */
  async checkRooms() {
    const rooms = ["all", `room ${this.random.below(20)}`, `room ${this.random.below(20)}`];
    const broadcasts = rooms.map((room) => ({ room, what: `broadcast ${this.#broadcasts++}` }));
    for (const { room, what } of broadcasts) {
      await this.crowd.ask(this.#anybody(), "in", { rooms: [room], ev: "news", args: [what] });
    }
    // They were on their way before they were acked, so they are here before what is asked now is answered.
    await this.crowd.all("flush");
    for (const { room, what } of broadcasts) {
      assert.equal(await this.crowd.sum("heardWrong", what, room), 0, `clients who heard ${what} to ${room} wrongly`);
    }
  }

  /** A backend sees all sockets, whoever has them. */
  async checkFetch(number) {
    const found = await this.crowd.ask(number, "fetch", {});
    assert.equal(found.length, this.crowd.ids.size, "sockets that fetchSockets finds");
    for (const { id, rooms, data, auth } of found) {
      assert.ok(this.crowd.ids.has(id), "an id");
      const expected = [id, "all", `room ${auth.who % 20}`].sort();
      assert.deepEqual({ rooms, data: data.number, token: auth.token }, { rooms: expected, data: auth.who, token: `token ${auth.who} é` });
    }
  }

  #anybody() {
    return this.random.below(this.crowd.ids.size);
  }

  // The end.

  /** Everybody leaves; the backends end as they should. */
  async leave() {
    await this.crowd?.all("leave");
    await this.gateway.empty();
    await this.crowd?.end();
    this.crowd = undefined;
    for (const backend of [...this.#backends]) await this.drain(backend);
    await this.gateway.links(0);
  }

  /** Whatever is left of it. */
  async close() {
    await this.crowd?.end();
    await Promise.all([...this.#backends].map((backend) => this.#end(backend, "SIGKILL").catch(() => {})));
  }
}
