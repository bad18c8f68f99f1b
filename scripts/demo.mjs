// The gateway and the chat of examples/chat-node as its backend, until a signal comes. A backend that dies is started again,
// so that a visitor can kill it and see that the page does not notice.
//
//   node scripts/demo.mjs GATEWAY [OPTIONS OF THE GATEWAY]

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const CHAT = fileURLToPath(new URL("../examples/chat-node", import.meta.url));
/** Long enough to write a message that no process is there to read. */
const RESTART_MS = 3000;
/** The gateway promises to end in 10 s, and the backend takes no longer than its handlers. */
const STOP_MS = 12_000;

const [program, ...options] = process.argv.slice(2);
if (program === undefined) {
  console.error("usage: node scripts/demo.mjs GATEWAY [OPTIONS OF THE GATEWAY]");
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "tidegate-demo-"));
const socket = join(folder, "backend.sock");
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));

let stopping = false;
let backend;
let timer;

const gateway = start(program, [
  ...["--backend-socket", socket, "--pages", join(CHAT, "public")],
  ...["--client-dir", join(CHAT, "node_modules/socket.io/client-dist"), "--log-level", "warn", ...options],
]);
gateway.once("exit", (code) => stop(code ?? 1));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => stop(0));

const urls = [];
for await (const line of createInterface({ input: gateway.stdout })) {
  if (line.startsWith("listening on ")) urls.push(line.slice("listening on ".length));
  // The last line it says.
  if (line.startsWith("backends connect to ")) break;
}
if (!stopping) startBackend();

/** In a process group of its own: Ctrl-C is for us, and we end the others in order. */
function start(command, args, env = {}) {
  const stdio = ["ignore", "pipe", "inherit"];
  const child = spawn(command, args, { stdio, detached: true, env: { ...process.env, ...env } });
  child.once("error", (error) => {
    console.error(`demo: ${command}: ${error.message}`);
    stop(1);
  });
  return child;
}

function startBackend() {
  const child = start(process.execPath, [join(CHAT, "server.js")], { TIDEGATE_BACKEND_SOCKET: socket });
  backend = child;
  child.once("exit", (code, signal) => {
    backend = undefined;
    if (stopping) return;
    console.log(`demo: process ${child.pid} has ended (${signal ?? code}). Another starts in ${RESTART_MS / 1000} s.`);
    timer = setTimeout(startBackend, RESTART_MS);
  });
  // Its first line means that it serves.
  let serves = false;
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (serves) return console.log(line);
    serves = true;
    tell(child.pid);
  });
}

function tell(pid) {
  if (urls.length === 0) return console.log(`demo: process ${pid} goes on where the last one stopped.`);
  for (const url of urls.splice(0)) console.log(`listening on ${url}`);
  console.log(`
Open the address in two windows and chat. The gateway holds the connections; a Node process serves the chat.
Kill that process, and the page will not notice; what you write meanwhile arrives when another one runs:

    kill -9 ${pid}

Ctrl-C ends both.`);
}

/** The backend first, so that it can say goodbye. */
async function stop(code) {
  if (stopping) return;
  stopping = true;
  clearTimeout(timer);
  for (const child of [backend, gateway]) await end(child);
  process.exit(code);
}

async function end(child) {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
  clearTimeout(late);
}
