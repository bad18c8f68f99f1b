// `bun`: a peer. socket.io on Bun's own HTTP and WebSocket server, through the engine that socket.io has for it.
import { Server as Engine } from "@socket.io/bun-engine";
import { Server } from "socket.io";
import { forgetRequests, options, sayVersions } from "./common.mjs";
import { handle } from "./handlers.mjs";

sayVersions(`bun ${Bun.version}`, "socket.io", "@socket.io/bun-engine");
const engine = new Engine({ path: "/socket.io/" });
const io = new Server(options);
io.bind(engine);
forgetRequests(io);
handle(io);

const server = Bun.serve({ ...engine.handler(), development: false, hostname: "127.0.0.1", port: 0 });
console.log(`listening on http://127.0.0.1:${server.port}`);
