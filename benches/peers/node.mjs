// `node`: a peer. Stock socket.io with ws and the events of Tidegate's `--app bench`, in production settings.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { serveClient: false });

io.on("connection", (socket) => {
  socket.on("echo", (...args) => {
    const ack = args.at(-1);
    if (typeof ack === "function") ack(...args.slice(0, -1));
    else socket.emit("echo", ...args);
  });
  socket.on("broadcast", (...args) => io.emit("news", ...args));
  socket.on("join", (room, ack) => {
    socket.join(room);
    ack?.();
  });
  socket.on("leave", (room) => socket.leave(room));
  socket.on("room", (room, ...args) => io.to(room).emit("msg", ...args));
});

http.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}`);
});
