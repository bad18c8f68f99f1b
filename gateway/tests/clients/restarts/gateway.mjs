// A gateway that serves by backends: its process, its metrics, and what it holds.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { deferred, within } from "../lib/check.mjs";
import { startServer, stopServer } from "../lib/process.mjs";

const WATCHDOG_MS = 60_000;
const LOOK_AGAIN_MS = 20;

export class Gateway {
  /** Starts `command` (a list) with this backend socket; `settings` are environment variables. */
  static async start(command, path, settings) {
    const flags = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--backend-socket", path];
    const admin = deferred();
    const gateway = new Gateway();
    gateway.server = await startServer([...command, ...flags], {
      env: { ...process.env, ...settings },
      onLog: (line) => {
        if (!line.startsWith("{")) return console.error(line);
        const entry = JSON.parse(line);
        if (entry.message === "started") admin.resolve(entry.admin);
        if (entry.level === "ERROR") gateway.errors.push(line);
        return undefined;
      },
    });
    gateway.url = gateway.server.url;
    gateway.server.child.once("exit", (code, signal) => {
      if (!gateway.stopping) console.error(`the gateway ended by itself: ${code ?? signal}`);
    });
    gateway.path = path;
    gateway.admin = await within(WATCHDOG_MS, "the log", admin.promise);
    return gateway;
  }

  errors = [];
  stopping = false;

  get pid() {
    return this.server.child.pid;
  }

  /** Every metric, added up over the cores, by its name; those with more labels by name and labels, too. */
  async metrics() {
    const text = await (await fetch(`http://${this.admin}/metrics`)).text();
    const sums = {};
    for (const line of text.split("\n")) {
      const [, name, labels = "", value] = /^(\w+)(?:\{([^}]*)\})? (\S+)$/.exec(line) ?? [];
      if (!name) continue;
      const rest = labels.split(",").filter((label) => label && !label.startsWith("shard="));
      for (const key of new Set([name, [name, ...rest].join(" ")])) sums[key] = (sums[key] ?? 0) + Number(value);
    }
    return sums;
  }

  /** Waits until the metrics are so; returns them. */
  async until(what, holds) {
    const start = performance.now();
    for (;;) {
      const metrics = await this.metrics();
      if (holds(metrics)) return metrics;
      assert.ok(performance.now() - start < WATCHDOG_MS, `${what}: ${JSON.stringify(interesting(metrics), null, 1)}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }

  /** Waits until there are so many links that take sockets. */
  links(count) {
    return this.until(`${count} links`, (now) => now.tidegate_backend_links_serving === count);
  }

  /** Waits until every socket has a backend. */
  adopted() {
    return this.until(
      "no orphans",
      (now) => now.tidegate_backend_sockets_orphaned === 0 && now.tidegate_backend_sockets_waiting === 0,
    );
  }

  /** Waits until no client is left, and nothing of any. */
  empty() {
    const gauges = [
      "tidegate_sessions",
      "tidegate_sockets",
      "tidegate_rooms",
      "tidegate_input_bytes",
      "tidegate_outbox_bytes",
      "tidegate_backend_sockets_waiting",
      "tidegate_backend_sockets_orphaned",
      "tidegate_backend_held_bytes",
    ];
    return this.until("nothing is left", (now) => gauges.every((gauge) => now[gauge] === 0));
  }

  /** Resident memory, in MiB. */
  memory() {
    const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"));
    return Number(kib) / 1024;
  }

  files() {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** As an operator would end it: it must exit with 0, and have logged no error. */
  async stop() {
    this.stopping = true;
    assert.equal(await stopServer(this.server), 0, "the gateway's exit code");
    assert.deepEqual(this.errors, []);
  }

  async kill() {
    this.stopping = true;
    await stopServer(this.server, "SIGKILL").catch(() => {});
  }
}

function interesting(metrics) {
  return Object.fromEntries(Object.entries(metrics).filter(([name, value]) => /backend|sessions|sockets|held/.test(name) && value));
}
