// @ts-check
// The chat as a backend of Tidegate: the gateway holds the clients, this process decides.

import { Server } from "socket.io";
import { attach } from "tidegate";
import { chat } from "./chat.js";

/** @type {import("./chat.js").ChatServer} */
const io = new Server();
const link = await attach(io); // In place of io.listen(3000). The path is TIDEGATE_BACKEND_SOCKET, if that is set.
chat(io);
console.log(`chat: process ${process.pid} serves the clients of the gateway`);

// Gives the clients back to the gateway, for the next process, and goes when it has taken them.
async function stop() {
  await link.drain();
  process.exit(0);
}
process.once("SIGTERM", stop);
process.once("SIGINT", stop);
