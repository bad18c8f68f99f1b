// A process with a part of the crowd in it. It is told over IPC what to do: `{call, method, args}`, and answers
// `{call, result}` or `{call, error}`.

import { within } from "../lib/check.mjs";
import { ask } from "../lib/clients.mjs";
import { Member, roomOf } from "./member.mjs";

const AT_ONCE = 50;
const WATCHDOG_MS = Number(process.env.CROWD_WATCHDOG_MS ?? 60_000);
/** Problems that are told; more are counted. */
const SHOWN = 5;

let members = [];
let chatter;

/** Runs `work(item)` for each, a few at a time. */
async function inTurns(items, work) {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, queue.length) }, worker));
}

const all = (work) => Promise.all(members.map(work));

const methods = {
  async open(url, numbers) {
    const fresh = numbers.map((number) => new Member(url, number));
    members.push(...fresh);
    await inTurns(fresh, (member) => member.enter());
  },

  ids: () => members.map(({ id }) => id),
  /** Of some members, by their numbers; all without. */
  say: (count, padding, only) => chosen(only).forEach((member) => member.say(count, padding)),
  forgive: () => members.forEach((member) => member.forgive()),
  complete: (only) => Promise.all(chosen(only).map((member) => member.complete())),
  flush: () => all((member) => member.flush()),
  ticks: (count) => all((member) => member.ticks(count)),

  /** All the time a few of them say something: about `rate` each second. */
  chatter(rate) {
    let turn = 0;
    chatter = setInterval(() => {
      for (let i = 0; i < rate / 50; i++) members[turn++ % members.length].say(1);
    }, 20);
  },
  silence: () => clearInterval(chatter),

  /** What the application says of each: `[number, life]`. */
  async lives() {
    const lives = [];
    await inTurns(members, async (member) => lives.push([member.number, await member.check()]));
    return lives;
  },

  /** Of how many it is wrong that they heard this: members of the room once, others never. */
  heardWrong: (what, room) =>
    members.filter((member) => {
      const count = member.heard(what);
      return count !== (room === "all" || room === roomOf(member.number) ? 1 : 0);
    }).length,

  /** Waits until each was pinged so many times more. */
  async pinged(times) {
    await all(
      (member) =>
        new Promise((resolve) => {
          const goal = member.pings + times;
          const look = () => (member.pings >= goal ? (member.socket.io.off("ping", look), resolve()) : undefined);
          member.socket.io.on("ping", look);
        }),
    );
  },

  ask: (number, event, ...args) => ask(one(number).socket, event, ...args),

  /** Answers the next event of that name only when it is told to. */
  holdAnswer(number, event) {
    const member = one(number);
    member.socket.once(event, (...args) => {
      (member.answers ??= []).push(args.at(-1));
      tell({ event: `${event} ${number}` });
    });
  },
  answer: (number, value) => one(number).answers.shift()(value),

  /** Time for an answer while the test says so: the longest of these members, in ms. */
  async slowest(only, rounds) {
    let slowest = 0;
    for (let round = 0; round < rounds; round++) {
      await inTurns(chosen(only), async (member) => {
        const start = performance.now();
        await ask(member.socket, "nsp");
        slowest = Math.max(slowest, performance.now() - start);
      });
    }
    return slowest;
  },

  /** Each is disconnected sooner or later; the result says so. */
  expectDisconnects: () => members.forEach((member) => (member.gone = member.expectDisconnect())),
  gone: () => all((member) => member.gone),
  enterAgain: () => all((member) => member.enterAgain()),

  leave() {
    clearInterval(chatter);
    members.forEach((member) => member.leave());
    members = [];
  },
  lost: () => members.reduce((sum, { lost }) => sum + lost, 0),
};

const one = (number) => members.find((member) => member.number === number);
function chosen(only) {
  if (!only) return members;
  const wanted = new Set(only);
  return members.filter(({ number }) => wanted.has(number));
}

function problems() {
  const found = members.flatMap((member) => member.problems.splice(0));
  if (found.length === 0) return;
  const more = found.length > SHOWN ? `\n… and ${found.length - SHOWN} more` : "";
  throw new Error(found.slice(0, SHOWN).join("\n") + more);
}

/** Nobody may be left who wants to know. */
function tell(message) {
  if (process.connected) process.send(message, () => {});
}

process.on("message", async ({ call, method, args }) => {
  try {
    const result = await within(WATCHDOG_MS, method, Promise.resolve(methods[method](...args)));
    problems();
    tell({ call, result });
  } catch (error) {
    const noted = members.flatMap((member) => member.problems.splice(0)).slice(0, SHOWN);
    tell({ call, error: [`${method}: ${error.message}`, ...noted].join("\n") });
  }
});
process.on("disconnect", () => process.exit(0));
