// What happens to backends, and what their clients must not notice of it.

import assert from "node:assert/strict";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Messages per second while "under load" is said. */
const CHATTER = 1000;

async function killedAndStartedAgain(stage) {
  const { gateway, settings } = stage;
  const backend = await stage.backend("first");
  const crowd = await stage.enter();
  await crowd.all("say", 3);
  await crowd.all("complete");
  await stage.checkAll({ servedBy: ["first"], recovered: false });
  await stage.kill(backend);
  await crowd.all("say", 5);
  await sleep(settings.gap);
  await crowd.all("say", 5);
  const held = await gateway.until("events are held", (now) => now.tidegate_backend_held_bytes >= 300 * settings.clients);
  assert.equal(held.tidegate_backend_sockets_orphaned, settings.clients);
  await stage.backend("second");
  await crowd.all("complete");
  await stage.checkAll({ servedBy: ["second"] });
  assert.equal((await gateway.metrics()).tidegate_backend_held_bytes, 0);
  await crowd.all("pinged", 1);
}

async function oneOfTwoKilled(stage) {
  const { gateway } = stage;
  const [one] = [await stage.backend("one"), await stage.backend("two")];
  const crowd = await stage.enter();
  await crowd.all("chatter", CHATTER);
  await stage.kill(one);
  await gateway.adopted();
  await crowd.all("flush");
  await crowd.all("silence");
  await crowd.all("flush");
  await stage.checkAll({ servedBy: ["two"], recovered: false });
}

async function rolledByKilling(stage) {
  const { gateway } = stage;
  const [one, two] = [await stage.backend("one"), await stage.backend("two")];
  const crowd = await stage.enter();
  await crowd.all("chatter", CHATTER);
  await stage.kill(one);
  await stage.backend("three");
  await gateway.adopted();
  await stage.kill(two);
  await stage.backend("four");
  await gateway.adopted();
  await crowd.all("silence");
  await crowd.all("flush");
  await stage.checkAll({ servedBy: await servers(stage, ["three", "four"]) });
  // All went to the only one that was there when the second was killed.
  await crowd.all("pinged", 1);
}

/** Those of these that have a client: nobody moves without need. */
async function servers(stage, names) {
  const { byProcess } = await stage.crowd.lives();
  return names.filter((name) => byProcess.has(name));
}

async function rolledByDraining(stage) {
  const { gateway } = stage;
  const [one, two] = [await stage.backend("one"), await stage.backend("two")];
  const crowd = await stage.enter();
  await crowd.all("chatter", CHATTER);
  const three = await stage.backend("three");
  await stage.drain(one);
  await stage.drain(two);
  await stage.backend("four");
  await stage.drain(three);
  await gateway.adopted();
  await crowd.all("silence");
  await crowd.all("complete");
  await stage.checkAll({ servedBy: ["four"] });
  assert.equal(await crowd.sum("lost"), 0, "events that were lost");
}

async function drainedWithoutAnother(stage) {
  const { gateway, settings } = stage;
  const backend = await stage.backend("first");
  const crowd = await stage.enter();
  await crowd.all("chatter", CHATTER);
  await stage.drain(backend);
  await gateway.until("all wait", (now) => now.tidegate_backend_sockets_orphaned === settings.clients);
  await sleep(settings.gap);
  await stage.backend("second");
  await crowd.all("silence");
  await crowd.all("complete");
  await stage.checkAll({ servedBy: ["second"] });
  assert.equal(await crowd.sum("lost"), 0, "events that were lost");
}

/** Answers of clients go to who asked, or to nobody. */
async function pendingAcks(stage) {
  const { gateway, random } = stage;
  const one = await stage.backend("one");
  await stage.backend("two");
  const crowd = await stage.enter(20);
  const { byProcess } = await crowd.lives();
  const [mine, others] = [byProcess.get("one"), byProcess.get("two")];
  const member = random.pick(mine);
  const witness = random.pick(others);
  const memberId = (await crowd.ask(member, "rooms")).find((room) => crowd.ids.has(room));

  // Its own backend asks it, and will be gone when it answers.
  await crowd.one("holdAnswer", member, "question");
  crowd.ask(member, "call-me", { ev: "question", args: [1] }).catch(() => {});
  await crowd.got(member, "question");
  // Another backend asks it, too.
  await crowd.one("holdAnswer", member, "poll");
  const polled = crowd.ask(witness, "broadcast-ack", { rooms: [memberId], from: "namespace", timeout: 60_000, ev: "poll", args: [2] });
  await crowd.got(member, "poll");
  // And the other backend asks it, which says nothing by then.
  stage.stop(one);
  const asked = crowd.ask(witness, "ask-servers", ["anybody"]);

  await stage.kill(one);
  const { err, res } = await asked;
  assert.deepEqual(res, [], "who is dead does not answer");
  // In the words of each SDK.
  assert.match(err, /0 responses received out of 1|timed out/);
  await gateway.adopted();
  assert.equal((await crowd.ask(member, "life")).process, "two");

  // The adopter asks before the late answer comes, and gets its own.
  await crowd.one("holdAnswer", member, "question");
  const again = crowd.ask(member, "call-me", { ev: "question", args: [3] });
  await crowd.got(member, "question");
  await crowd.one("answer", member, "late");
  await crowd.one("answer", member, "poll");
  await crowd.one("answer", member, "own");
  assert.deepEqual(await polled, { err: null, res: ["poll"] });
  assert.deepEqual(await again, { err: null, res: ["own"] });

  // One that never answers is a timeout to the adopter, as to everybody.
  const silent = await crowd.ask(member, "call-me", { ev: "silence", args: [], timeout: 200 });
  assert.deepEqual(silent, { err: "operation has timed out", res: [] });
}

async function neverComesBack(stage) {
  const { gateway, settings } = stage;
  const backend = await stage.backend("first");
  const crowd = await stage.enter();
  await crowd.all("expectDisconnects");
  await stage.kill(backend);
  await crowd.all("say", 5, "x".repeat(100));
  await crowd.all("gone");
  const after = await gateway.until("nothing is held", (now) => now.tidegate_backend_held_bytes === 0);
  assert.equal(after.tidegate_backend_held_bytes, 0);
  assert.ok(after.tidegate_backend_holds_expired_total >= settings.clients);
  // They come again, and again, and wait.
  await gateway.until("they are back and wait", (now) => now.tidegate_backend_sockets_waiting > settings.clients / 2);
  await stage.backend("second");
  await crowd.enterAgain();
  await stage.checkAll({ servedBy: ["second"], recovered: false });
}

/** What this process may still have to tell of its clients' input before it is full: credit, and the kernel's buffers. */
async function busy(stage) {
  const { gateway, settings } = stage;
  await stage.backend("busy");
  await stage.backend("idle");
  const crowd = await stage.enter();
  const { byProcess } = await crowd.lives();
  const [stuck, free] = [byProcess.get("busy"), byProcess.get("idle")];
  assert.ok(free.length > 0 && stuck.length > 0);
  const before = gateway.memory();
  const spinning = crowd.ask(stuck[0], "busy", settings.busy);
  // More than all credit and all buffers between, by far.
  const rounds = Math.ceil((32 << 20) / (stuck.length * 8192));
  let spun = false;
  spinning.then(() => (spun = true));
  for (let round = 0; round < rounds; round++) await crowd.all("say", 1, "x".repeat(8192), stuck);
  const slowest = await crowd.max("slowest", free, 3);
  assert.equal(spun, false, "it is still busy");
  assert.ok(slowest < settings.busy / 3, `an answer of the other backend took ${slowest} ms`);
  const grown = gateway.memory() - before;
  console.log(`     the slowest answer of the other backend took ${Math.round(slowest)} ms, the gateway grew by ${Math.round(grown)} MiB`);
  assert.ok(grown < 64 + settings.clients / 20, `the gateway grew by ${grown} MiB`);
  await crowd.all("pinged", 1);
  await spinning;
  await crowd.all("complete");
  await stage.checkAll({ servedBy: ["busy", "idle"], recovered: false });
  assert.equal(await crowd.sum("lost"), 0, "events that were lost");
}

async function manyTimes(stage) {
  const { gateway, settings, random } = stage;
  let current = [await stage.backend("c0"), await stage.backend("c1")];
  const crowd = await stage.enter();
  await crowd.all("chatter", CHATTER);
  for (let cycle = 2; cycle < settings.cycles + 2; cycle++) {
    const [leaving, staying] = random.chance(0.5) ? current : current.toReversed();
    // Before or after: there is always another, or never for long.
    if (random.chance(0.5)) {
      await (random.chance(0.5) ? stage.kill(leaving) : stage.drain(leaving));
      current = [staying, await stage.backend(`c${cycle}`)];
    } else {
      current = [staying, await stage.backend(`c${cycle}`)];
      await (random.chance(0.5) ? stage.kill(leaving) : stage.drain(leaving));
    }
  }
  await gateway.adopted();
  await crowd.all("silence");
  await crowd.all("flush");
  await stage.checkAll({ servedBy: await servers(stage, current.map(({ name }) => name)), recovered: false });
}

/**
 * `hold`: how long the gateway waits for a backend; `ping`: [interval, timeout]; both in ms, where the usual is too long for
 * a test. `most`: clients, where they are pinged so often.
 */
export const scenarios = [
  { name: "a backend is killed and started again: clients notice nothing, and what they said is held", run: killedAndStartedAgain },
  { name: "one of two backends is killed: the other takes its clients at once", run: oneOfTwoKilled },
  { name: "two backends are replaced by kill -9, one after the other, under load", run: rolledByKilling },
  { name: "backends are replaced by draining, under load: nothing is lost or comes twice", run: rolledByDraining },
  { name: "the only backend drains, and another comes later: nothing is lost or comes twice", run: drainedWithoutAnother },
  { name: "answers to a backend that was killed go to nobody else, and others get theirs", run: pendingAcks },
  { name: "a backend that never comes back: clients are closed, and are back with the next", run: neverComesBack, hold: 2000 },
  { name: "a backend in a busy loop: nobody times out, others do not wait, all input arrives", run: busy, ping: [1000, 3000], most: 400 },
  { name: "backends come and go many times, under load", run: manyTimes },
];
