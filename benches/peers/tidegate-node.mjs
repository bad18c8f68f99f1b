// `tidegate-node`: the same application as a backend of the gateway.
//
//   node tidegate-node.mjs --socket PATH [--expect N]
//
// Prints what it is made of, `serving` when the gateway has welcomed it, and `all N sockets, R recovered` when it has seen
// that many connections.
import { parseArgs } from "node:util";
import { Server } from "socket.io";
import { attach } from "tidegate";
import { sayVersions } from "./common.mjs";
import { handle } from "./handlers.mjs";

const { values } = parseArgs({ options: { socket: { type: "string" }, expect: { type: "string", default: "0" } } });
sayVersions(`node ${process.versions.node}`, "socket.io", "tidegate");
const expected = Number(values.expect);
const io = new Server();
handle(io);

let sockets = 0;
let recovered = 0;
io.on("connection", (socket) => {
  sockets++;
  if (socket.recovered) recovered++;
  if (sockets === expected) console.log(`all ${sockets} sockets, ${recovered} recovered`);
});

await attach(io, { path: values.socket });
console.log("serving");
