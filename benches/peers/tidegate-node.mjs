// `tidegate-node`: the same application as a backend of the gateway.
//
//   node tidegate-node.mjs SOCKET [EXPECTED]
//
// Prints `serving` when the gateway has welcomed it, and `all EXPECTED sockets, so many recovered` when it has seen that many
// connections.
import { Server } from "socket.io";
import { attach } from "tidegate";
import { handle } from "./handlers.mjs";

const [path, expected] = process.argv.slice(2);
const io = new Server();
handle(io);

let sockets = 0;
let recovered = 0;
io.on("connection", (socket) => {
  sockets++;
  if (socket.recovered) recovered++;
  if (sockets === Number(expected)) console.log(`all ${sockets} sockets, ${recovered} recovered`);
});

await attach(io, { path });
console.log("serving");
