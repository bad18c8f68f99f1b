// The demonstration as its visitors see it: the chat goes on, whatever happens to the process that serves it.
//
//   node demo.mjs FOLDER [--chromium /usr/bin/chromium] -- COMMAND…
//
// COMMAND is `node scripts/demo.mjs GATEWAY`, on a port of its own. Screenshots go to FOLDER.

import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { parseArgs } from "node:util";
import { runAndExit, within } from "./lib/check.mjs";
import { startServer, stopServer } from "./lib/process.mjs";
import { DESKTOP, openBrowser } from "./lib/visitor.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { chromium: { type: "string", default: "/usr/bin/chromium" } },
});
const [folder, ...command] = positionals;
if (command.length === 0) {
  console.error("usage: node demo.mjs FOLDER [--chromium PATH] -- COMMAND…");
  process.exit(2);
}

const EVENT_MS = 20_000;
const WATCHDOG_MS = 90_000;
/** What the demonstration says of its backend: that one can be killed, that it has ended, that another goes on. */
const SAYS = [
  ["serves", /kill -9 (\d+)/],
  ["ended", /process (\d+ has ended \(\w+\))/],
  ["serves", /process (\d+) goes on/],
];

/** The demonstration, and a browser to look at it. */
async function makeContext() {
  const news = new EventEmitter();
  const next = (name) => within(EVENT_MS, name, new Promise((resolve) => news.once(name, resolve)));
  const first = next("serves");
  const onLine = (line) => {
    for (const [name, pattern] of SAYS) if (pattern.test(line)) news.emit(name, pattern.exec(line)[1]);
  };
  const server = await startServer(command, { onLine });
  const { visit, close: closeBrowser } = await openBrowser(server.url, folder, options.chromium);
  const close = async () => {
    await closeBrowser();
    assert.equal(await stopServer(server), 0);
  };
  return { visit, next, pid: Number(await first), close };
}

const checks = [
  {
    name: "nobody notices that the backend was killed, and what was written meanwhile arrives",
    async run({ visit, next, pid }) {
      const ada = await visit("Ada", DESKTOP);
      const grace = await visit("Grace", DESKTOP);
      await ada.counts(2);
      await ada.say("Hello, Grace");
      await grace.hears("Ada", "Hello, Grace");
      await ada.watch();
      await grace.watch();

      const [ended, serves] = [next("ended"), next("serves")];
      process.kill(pid, "SIGKILL");
      assert.equal(await ended, `${pid} has ended (SIGKILL)`);
      await ada.say("Is anybody serving us?");
      await ada.screenshot("demo-backend-killed");
      assert.notEqual(Number(await serves), pid);
      await grace.hears("Ada", "Is anybody serving us?");
      await grace.say("Somebody is again");
      await ada.hears("Grace", "Somebody is again");
      await ada.counts(2);
      await ada.noticedNothing();
      await grace.noticedNothing();
      assert.equal(await ada.page.locator("#messages li.notice", { hasText: "left" }).count(), 0);
      await ada.screenshot("demo-backend-back");
    },
  },
  {
    name: "who leaves while nobody serves is not counted by the next backend",
    async run({ visit, next, pid }) {
      const ada = await visit("Ada", DESKTOP);
      const grace = await visit("Grace", DESKTOP);
      await ada.counts(2);
      const ended = next("ended");
      process.kill(pid, "SIGKILL");
      await ended;
      await grace.context.close();
      await ada.counts(1);
    },
  },
  {
    name: "a backend that is told to stop gives its clients back and ends with 0",
    async run({ visit, next, pid }) {
      const ada = await visit("Ada", DESKTOP);
      await ada.watch();
      const [ended, serves] = [next("ended"), next("serves")];
      process.kill(pid, "SIGTERM");
      assert.equal(await ended, `${pid} has ended (0)`);
      await serves;
      await ada.say("As before");
      await ada.hears("Ada", "As before");
      await ada.noticedNothing();
    },
  },
];

await runAndExit("demo", checks, makeContext, { watchdog: WATCHDOG_MS });
