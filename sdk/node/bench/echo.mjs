// CPU of this process per echoed event: a gateway in another process sends batches of events with acknowledgements, and waits for the
// answers to a batch before it sends the next. `node bench/echo.mjs [seconds per batch size]`.
import { fork } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const { Server } = require(process.env.SOCKET_IO ?? "socket.io");
const { attach } = require("../lib/index.js");

const BATCHES = (process.env.BATCHES ?? "1,16,256").split(",").map(Number);
const seconds = Number(process.argv[2] ?? 2);
const peer = fork(fileURLToPath(new URL("./peer.js", import.meta.url)));
const said = () => new Promise((resolve) => peer.once("message", resolve));

const { path } = await said();
const io = new Server();
peer.send("accept");
await attach(io, { path });
io.on("connection", (socket) => socket.on("echo", (value, ack) => ack(value)));

console.log("events per batch | µs of CPU per event | events per second");
for (const batch of BATCHES) {
  peer.send({ batch, warmup: true, seconds: 0.5 });
  await said();
  const before = process.cpuUsage();
  peer.send({ batch, seconds });
  const { events } = await said();
  const { user, system } = process.cpuUsage(before);
  console.log(`${String(batch).padStart(16)} | ${((user + system) / events).toFixed(2).padStart(19)} | ${Math.round(events / seconds)}`);
}
peer.kill();
await io.close();
