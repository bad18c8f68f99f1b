// What the Node servers of the benchmarks do with events: as Tidegate's `--app bench`.

export function handle(io) {
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
}
