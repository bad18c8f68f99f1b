// `eiows`: a peer. socket.io with eiows, a fork of µWebSockets 0.14, in place of ws.
import { createServer } from "node:http";
import eiows from "eiows";
import { Server } from "socket.io";
import { forgetRequests, listen, options, sayVersions } from "./common.mjs";
import { handle } from "./handlers.mjs";

sayVersions(`node ${process.versions.node}`, "socket.io", "eiows");
const http = createServer();
const io = new Server(http, { ...options, wsEngine: eiows.Server });
forgetRequests(io);
handle(io);
listen(http);
