// Runs a list of checks, prints a line for each and the closing line `N passed, N failed`.
//
// A check is { name, run(context), skip? }: `skip` is the reason it does not apply. Nothing here waits for time: a check
// that hangs is ended by its watchdog, which is the only clock.

import assert from "node:assert/strict";

export const WATCHDOG_MS = 20_000;

/** Rejects with the name of what was awaited if it does not settle in time. */
export function within(ms, what, promise) {
  let timer;
  const expired = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`watchdog: ${what} did not finish in ${ms} ms`)), ms);
  });
  return Promise.race([promise, expired]).finally(() => clearTimeout(timer));
}

async function runOne(check, makeContext, watchdog) {
  const context = await makeContext(check);
  try {
    await within(watchdog, "the check", check.run(context));
  } finally {
    await context.close();
  }
}

/**
 * Runs the checks, `concurrency` at a time, prints them in the order they end, and ends the process: 0 if all passed.
 *
 * @param {{watchdog?: number, only?: string, concurrency?: number}} options `only` keeps the names that contain it
 */
export async function runAndExit(title, checks, makeContext, { watchdog = WATCHDOG_MS, only, concurrency = 1 } = {}) {
  const chosen = checks.filter((check) => !only || check.name.includes(only));
  const queue = [...chosen];
  const count = { passed: 0, failed: 0, skipped: 0 };

  const worker = async () => {
    for (let check = queue.shift(); check; check = queue.shift()) {
      if (check.skip) {
        count.skipped++;
        console.log(`skip ${check.name}: ${check.skip}`);
        continue;
      }
      const start = performance.now();
      try {
        await runOne(check, makeContext, watchdog);
        count.passed++;
        console.log(`ok   ${check.name} (${Math.round(performance.now() - start)} ms)`);
      } catch (error) {
        count.failed++;
        console.log(`FAIL ${check.name}\n${report(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));

  if (chosen.length === 0) {
    console.log("no check has that name");
    count.failed++;
  }
  finish(title, count);
}

/** What went wrong and where in this suite, without the frames of others. */
function report(error) {
  const lines = String(error?.stack ?? error).split("\n");
  const ours = lines.filter((line) => !/^\s+at /.test(line) || /\(file:(?!.*node_modules)(?!.*lib\/check)/.test(line));
  return ours.map((line) => `     ${line}`).join("\n");
}

/** Prints the closing line and ends the process, whatever sockets are still open. */
export function finish(title, { passed, failed, skipped = 0 }) {
  const note = skipped > 0 ? `, ${skipped} skipped` : "";
  console.log(`${title}: ${passed} passed, ${failed} failed${note}`);
  process.exit(failed > 0 ? 1 : 0);
}

/** A promise with its handles outside. */
export function deferred() {
  let resolve, reject;
  const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}

/** The first positional argument as a URL without path, or a usage line and exit code 2. */
export function baseUrl(text, usage) {
  try {
    return new URL(text).origin;
  } catch {
    console.error(`usage: ${usage}`);
    process.exit(2);
  }
}

/** Fails unless `text` matches; shows both. */
export function assertMatch(text, pattern) {
  assert.ok(pattern.test(text), `${JSON.stringify(text)} does not match ${pattern}`);
}
