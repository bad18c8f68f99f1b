// Starting and ending a server that says `listening on http://…` when it is ready, or a backend that says `attached to PATH`.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { deferred, within } from "./check.mjs";

const SUITE = dirname(dirname(fileURLToPath(import.meta.url)));
const START_MS = 20_000;
const STOP_MS = 15_000;
const READY = /listening on (http:\/\/[^\s/]+)/;
const ATTACHED = /^attached to (.*)$/;

/** Starts `command` (a list) and waits for its address. `onLine` is told every line of its output, `onLog` of its stderr. */
export function startServer(command, options) {
  return start(command, READY, options);
}

/** Starts a backend and waits until its gateway has welcomed it. */
export function startBackend(command) {
  return start(command, ATTACHED);
}

/** What `ready` captures in a line of stdout is the `url`. */
async function start([program, ...args], ready, { onLine = () => {}, onLog, env } = {}) {
  const child = spawn(program, args, { cwd: SUITE, env, stdio: ["ignore", "pipe", onLog ? "pipe" : "inherit"] });
  if (onLog) createInterface({ input: child.stderr }).on("line", onLog);
  const said = deferred();
  const exited = deferred();
  child.once("error", said.reject);
  child.once("exit", (code, signal) => {
    said.reject(new Error(`the server ended before it was ready: ${code ?? signal}`));
    exited.resolve(code);
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    const [, url] = ready.exec(line) ?? [];
    if (url) said.resolve(url);
    onLine(line);
  });
  const url = await within(START_MS, "starting the server", said.promise);
  return { url, child, exited: exited.promise };
}

/** Ends it by its pid, with SIGTERM, and SIGKILL if it does not listen. Returns its exit code. */
export async function stopServer({ child, exited }, signal = "SIGTERM") {
  child.kill(signal);
  try {
    return await within(STOP_MS, "stopping the server", exited);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

/** Runs a script of the suite to its end, its output shown. Returns its exit code. */
export function run(program, args) {
  const done = deferred();
  spawn(program, args, { cwd: SUITE, stdio: "inherit" }).once("exit", (code) => done.resolve(code ?? 1));
  return done.promise;
}
