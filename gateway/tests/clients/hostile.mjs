// Bad input against a live server, while well-behaved clients beside it keep echoing and must notice nothing.
//
//   node hostile.mjs URL [--inputs 100000] [--seed N] [--slow-seconds 3] [--pid N [--growth-mib 64]] [--only TEXT]
//
// --inputs       how many random and mutated inputs, over all layers
// --seed         of the generator; printed, so that a failing run can be run again
// --slow-seconds how long the slow ones drip
// --pid          the server's process: its resident memory must return to within --growth-mib of where it was

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { baseUrl, finish, within } from "./lib/check.mjs";
import { Lab, MODES, ask } from "./lib/clients.mjs";
import { Random } from "./lib/random.mjs";
import { floods } from "./hostile/flood.mjs";
import { inputs } from "./hostile/inputs.mjs";
import { stages } from "./hostile/stages.mjs";
import { slow } from "./hostile/slow.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    inputs: { type: "string", default: "100000" },
    seed: { type: "string", default: String(Date.now() >>> 0) },
    "slow-seconds": { type: "string", default: "3" },
    pid: { type: "string" },
    "growth-mib": { type: "string", default: "64" },
    only: { type: "string" },
  },
});
const url = baseUrl(positionals[0], "node hostile.mjs URL [--inputs N] [--seed N] [--slow-seconds N] [--pid N]");
const PART_MS = 600_000;
const ECHO_MS = 15_000;
const SETTLE_POLLS = 60;

/** A client that does what clients do, for as long as it is told to: one echo after another. */
class Citizen {
  #stopped = false;
  echoes = 0;
  slowest = 0;

  constructor(lab, mode) {
    this.mode = mode;
    this.lab = lab;
  }

  async start() {
    const socket = await this.lab.connect();
    this.socket = socket;
    let disconnected;
    socket.on("disconnect", (reason) => (disconnected = reason));
    const live = async () => {
      while (!this.#stopped) {
        const value = `${this.mode} ${this.echoes}`;
        const start = performance.now();
        const answer = await within(ECHO_MS, `an echo of the ${this.mode} citizen`, ask(socket, "echo", value));
        assert.equal(answer, value);
        this.slowest = Math.max(this.slowest, performance.now() - start);
        this.echoes++;
        // A citizen is no load generator.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      assert.equal(disconnected, undefined);
    };
    this.life = live();
    this.life.catch(() => {});
  }

  async stop() {
    this.#stopped = true;
    await this.life;
  }
}

async function assertServes(lab) {
  const socket = await within(ECHO_MS, `connecting over ${lab.mode}`, lab.connect());
  assert.equal(await within(ECHO_MS, "an echo", ask(socket, "echo", "served")), "served");
  socket.disconnect();
}

/** Resident memory of a process, in MiB. */
function residentMib(pid) {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(kib) / 1024;
}

/** Memory may take a while to come back; it is looked at until it has, or not at all. */
async function assertMemoryReturns(pid, before, growth) {
  let now = residentMib(pid);
  for (let i = 0; i < SETTLE_POLLS && now > before + growth; i++) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    now = residentMib(pid);
  }
  console.log(`     resident memory: ${before.toFixed(1)} MiB before, ${now.toFixed(1)} MiB after`);
  assert.ok(now <= before + growth, `memory grew by ${(now - before).toFixed(1)} MiB`);
}

const seed = Number(options.seed);
const random = new Random(seed);
const labs = MODES.map((mode) => new Lab(url, "v4", mode));
const parts = [
  ...slow({ url, seconds: Number(options["slow-seconds"]) }),
  ...floods({ url }),
  ...stages({ url }),
  ...inputs({ url, random, count: Number(options.inputs) }),
];
console.log(`     seed ${seed}`);

const count = { passed: 0, failed: 0 };
async function attempt(name, work) {
  const start = performance.now();
  try {
    const note = await within(PART_MS, name, work());
    count.passed++;
    console.log(`ok   ${name}${note ? `: ${note}` : ""} (${Math.round(performance.now() - start)} ms)`);
  } catch (error) {
    count.failed++;
    console.log(`FAIL ${name}\n     ${error.stack}`);
  }
}

for (const lab of labs) await assertServes(lab);
const before = options.pid ? residentMib(options.pid) : 0;
const citizens = labs.map((lab) => new Citizen(lab, lab.mode));
await Promise.all(citizens.map((citizen) => citizen.start()));
for (const part of parts.filter(({ name }) => !options.only || name.includes(options.only))) {
  await attempt(part.name, part.run);
}
for (const citizen of citizens) {
  await attempt(`the ${citizen.mode} client beside it lost nothing`, async () => {
    await citizen.stop();
    assert.ok(citizen.echoes > 0);
    return `${citizen.echoes} echoes, the slowest ${Math.round(citizen.slowest)} ms`;
  });
}
for (const lab of labs) await attempt(`a new ${lab.mode} client is served`, () => assertServes(lab));
await Promise.all(labs.map((lab) => lab.close()));
if (options.pid) {
  await attempt("memory returns", () => assertMemoryReturns(options.pid, before, Number(options["growth-mib"])));
}
finish("hostile", count);
