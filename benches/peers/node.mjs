// `node`: a peer. Stock socket.io with ws, in production settings. ws uses the add-on `bufferutil` where it is installed.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { forgetRequests, listen, options, sayVersions } from "./common.mjs";
import { handle } from "./handlers.mjs";

sayVersions(`node ${process.versions.node}`, "socket.io", "ws", "bufferutil");
const http = createServer();
const io = new Server(http, options);
forgetRequests(io);
handle(io);
listen(http);
