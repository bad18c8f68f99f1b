// `node`: a peer. Stock socket.io with ws, in production settings.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { handle } from "./handlers.mjs";

const http = createServer();
const io = new Server(http, { serveClient: false });
handle(io);

http.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}`);
});
