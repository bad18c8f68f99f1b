// The behaviours app (BEHAVIOURS.md) on the stock Node socket.io server: the oracle the suite is proved against.
//
//   node app-stock.mjs [--listen 127.0.0.1:0] [--ping-interval MS] [--ping-timeout MS] [--upgrade-timeout MS]
//                      [--connect-timeout MS] [--max-payload BYTES] [--transports a,b] [--cors-origin O]...
//                      [--cors-credentials]
//   node app-stock.mjs --backend PATH [--name NAME]
//
// The flags are the gateway's own, so that one list of profiles (raw/profiles.mjs) configures both.
//
// With --backend the same code runs behind a gateway, whose backend socket PATH is: through the SDK, without a port.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { Server } from "socket.io";
import { Shared } from "./app/shared.mjs";

const { Server: EngineServer } = createRequire(createRequire(import.meta.url).resolve("socket.io"))("engine.io");

const { values: flags } = parseArgs({
  options: {
    listen: { type: "string", default: "127.0.0.1:0" },
    "ping-interval": { type: "string" },
    "ping-timeout": { type: "string" },
    "upgrade-timeout": { type: "string" },
    "connect-timeout": { type: "string" },
    "max-payload": { type: "string" },
    transports: { type: "string" },
    "cors-origin": { type: "string", multiple: true },
    "cors-credentials": { type: "boolean" },
    backend: { type: "string" },
    name: { type: "string", default: `node-${process.pid}` },
  },
});

const http = createServer((req, res) => {
  res.writeHead(404, { "Content-Type": "text/plain" }).end("not the engine's\n");
});

// Node takes its own listener away when a connection is upgraded. If an answer to an earlier, pipelined request is then
// written to a peer that is gone, the error has no listener and ends the process: hostile.mjs finds that in a minute.
http.on("connection", (socket) => socket.on("error", () => {}));

/** "300", "300ms" and "25s" are durations to the gateway; the oracle takes the same. */
function milliseconds(text) {
  const [, number, unit] = /^(\d+)(ms|s)?$/.exec(text) ?? [];
  if (!number) throw new Error(`not a duration: ${text}`);
  return Number(number) * (unit === "s" ? 1000 : 1);
}

function serverOptions() {
  const options = {};
  if (flags["ping-interval"]) options.pingInterval = milliseconds(flags["ping-interval"]);
  if (flags["ping-timeout"]) options.pingTimeout = milliseconds(flags["ping-timeout"]);
  if (flags["upgrade-timeout"]) options.upgradeTimeout = milliseconds(flags["upgrade-timeout"]);
  if (flags["connect-timeout"]) options.connectTimeout = milliseconds(flags["connect-timeout"]);
  if (flags["max-payload"]) options.maxHttpBufferSize = Number(flags["max-payload"]);
  if (flags.transports) options.transports = flags.transports.split(",");
  if (flags["cors-origin"]) {
    const [first, ...more] = flags["cors-origin"];
    // One origin is a string to the cors middleware, several are a list: they answer differently (protocol.md 1.8).
    options.cors = { origin: more.length > 0 ? flags["cors-origin"] : first };
    if (flags["cors-credentials"]) options.cors.credentials = true;
  }
  return options;
}

const io = flags.backend ? new Server() : new Server(http, serverOptions());
const sorted = (set) => [...set].sort();

// ---- several processes ------------------------------------------------------------------------------------------

const shared = new Shared(flags.name, flags.backend && tellOthers);

/** Settles when every other process has learned it, or is gone. */
function tellOthers(what, args) {
  return new Promise((resolve) => io.serverSideEmit("learn", what, args, resolve));
}

io.on("question", (...args) => args.pop()([flags.name, ...args]));
io.on("learn", (what, args, done) => {
  shared.learn(what, args);
  done(null);
});

// ---- namespaces ------------------------------------------------------------------------------------------------

/** `socket.on`, but a handler that was given nonsense does nothing, as BEHAVIOURS.md wants it. */
function handlers(socket) {
  return (event, handler) =>
    socket.on(event, async (...args) => {
      try {
        await handler(...args);
      } catch (error) {
        if (process.env.DEBUG_APP) console.error(event, error);
      }
    });
}

function common(socket) {
  socket.on("disconnecting", (reason) => {
    shared.disconnected(socket.id, { reason, rooms: sorted(socket.rooms) });
  });
  const on = handlers(socket);
  on("echo", (...args) => {
    const ack = args.at(-1);
    if (typeof ack === "function") ack(...args.slice(0, -1));
    else socket.emit("echo", ...args);
  });
  on("bye", (close) => socket.disconnect(close));
  on("message", (...args) => socket.emit("message-back", ...args));
  on("message-with-ack", (...args) => args.pop()(...args));
  on("nsp", (ack) => ack(socket.nsp.name));
  socket.on("error", () => {});
}

function announceAuth(socket) {
  if (!("quiet" in socket.handshake.query)) socket.emit("auth", socket.handshake.auth);
}

function refusal(message, data) {
  const error = new Error(message);
  if (data !== undefined) error.data = data;
  return error;
}

for (const name of ["/", "/custom"]) {
  io.of(name).on("connection", (socket) => {
    common(socket);
    announceAuth(socket);
  });
}
io.of("/admin").on("connection", common);
const dynamic = io.of(/^\/dyn-\d+$/).on("connection", common);
io.on("new_namespace", ({ name }) => {
  if (name.startsWith("/dyn-")) shared.hasNamespace(name);
});

io.of("/mw").use((socket, next) => {
  next(refusal("nope", "data" in socket.handshake.auth ? { code: 42 } : undefined));
});

io.of("/gate")
  .use((socket, next) => {
    shared.attempt(socket.handshake.auth.key, (left) => {
      next(left === 0 ? undefined : refusal("closed", { left: left - 1 }));
    });
  })
  .on("connection", common);

/** How often it was asked whether somebody may come in. */
let middlewares = 0;

io.of("/behaviours")
  .use((socket, next) => {
    middlewares++;
    const { reject, data, hold } = socket.handshake.auth;
    if (reject !== undefined) return next(refusal(reject, data));
    if (hold !== undefined) return shared.hold(hold, next);
    next();
  })
  .on("connection", (socket) => {
    common(socket);
    commands(socket);
    if ("welcome" in socket.handshake.auth) socket.emit("welcome", socket.id);
  });

// ---- commands --------------------------------------------------------------------------------------------------

/** The name and args to emit. Anything but a string would be sent, and end the connections of those who get it. */
function event({ ev, args = [] }) {
  if (typeof ev !== "string") throw new TypeError("an event name is a string");
  return [ev, ...args];
}

/** Narrows a namespace, a socket or an operator to a target with flags. */
function aim(from, { rooms = [], except = [], flags: wanted = {} }) {
  let operator = rooms.length > 0 ? from.to(rooms) : from.except([]);
  if (except.length > 0) operator = operator.except(except);
  if (wanted.volatile) operator = operator.volatile;
  if (wanted.local) operator = operator.local;
  if ("compress" in wanted) operator = operator.compress(wanted.compress);
  return operator;
}

/** Emits to one socket with flags. */
function emitTo(socket, { flags: wanted = {}, ...what }) {
  if (wanted.volatile) socket.volatile;
  if ("compress" in wanted) socket.compress(wanted.compress);
  socket.emit(...event(what));
}

function outcome(ack) {
  return (err, res) => ack({ err: err ? err.message : null, res: res ?? [] });
}

function measure(value) {
  const binary = typeof value !== "string";
  let sum = 0;
  for (let i = 0; i < value.length; i++) sum = (sum + (binary ? value[i] : value.charCodeAt(i))) >>> 0;
  return { binary, length: value.length, sum };
}

function big({ bytes, binary }) {
  return binary ? Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => i % 251)) : "x".repeat(bytes);
}

function describeSocket({ id, rooms, data, handshake }) {
  return { id, rooms: sorted(rooms), data, auth: handshake.auth };
}

/** Broadcasts in every dynamic namespace. A process has those that its own clients are in. */
function emitInDynamic(what) {
  if (!flags.backend) return aim(dynamic, what).emit(...event(what));
  for (const name of dynamicNames()) if (shared.speaksFor(name)) aim(io.of(name), what).emit(...event(what));
}

const dynamicNames = () => [...io._nsps.keys()].filter((name) => name.startsWith("/dyn-"));

io.on("emit-in-dynamic", (what, done) => {
  emitInDynamic(what);
  done(null);
});

function spin(ms) {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

function commands(socket) {
  const nsp = socket.nsp;
  const on = handlers(socket);
  const rooms = () => sorted(socket.rooms);

  // What the caller knows of itself.
  on("handshake", (ack) => ack(socket.handshake));
  on("rooms", (ack) => ack(rooms()));
  on("join", (names, ack) => (socket.join(names), ack(rooms())));
  on("leave", (name, ack) => (socket.leave(name), ack(rooms())));
  on("data", (more, ack) => ack(Object.assign(socket.data, more)));

  // Emitting.
  on("to", (what, ack) => (aim(socket.broadcast, what).emit(...event(what)), ack(true)));
  on("in", (what, ack) => (aim(nsp, what).emit(...event(what)), ack(true)));
  on("emit-in", async (what, ack) => {
    if (what.nsp !== "dynamic") {
      aim(io.of(what.nsp), what).emit(...event(what));
    } else {
      emitInDynamic(what);
      if (flags.backend) await new Promise((resolve) => io.serverSideEmit("emit-in-dynamic", what, resolve));
    }
    ack(true);
  });
  on("burst", (events) => events.forEach((each) => emitTo(socket, each)));
  on("ticks", (n, ack) => {
    for (let i = 0; i < n; i++) socket.emit("tick", i);
    ack(n);
  });
  on("bin", (ack) => {
    const nested = { a: Buffer.from([1, 2]), list: [Buffer.alloc(0), "x", { b: Buffer.from([3]) }] };
    socket.emit("bin", nested, Buffer.from([255]));
    ack([Buffer.from([255]), "x"]);
  });

  // Payloads.
  on("big", (what, ack) => ack(big(what)));
  on("measure", (value, ack) => ack(measure(value)));

  // Acks.
  on("never", () => {});
  on("hold", (key, value, ack) => shared.hold(key, () => ack(value)));
  on("release", (key, ack) => shared.release(key, () => ack(true)));
  on("call-me", (what, ack) => {
    const answer = outcome(ack);
    if (what.timeout === undefined) socket.emit(...event(what), (...res) => answer(null, res));
    else socket.timeout(what.timeout).emit(...event(what), (err, ...res) => answer(err, res));
  });
  on("broadcast-ack", (what, ack) => {
    const operator = aim(what.from === "socket" ? socket.broadcast : nsp, what);
    const timed = what.timeout === undefined ? operator : operator.timeout(what.timeout);
    timed.emit(...event(what), outcome(ack));
  });

  // Processes.
  on("life", (ack) => ack({ process: flags.name, recovered: socket.recovered, middlewares }));
  on("busy", (ms, ack) => (spin(ms), ack(true)));
  on("ask-servers", (args, ack) => io.serverSideEmit("question", ...args, outcome(ack)));

  // Other sockets.
  on("fetch", async (what, ack) => {
    const found = await aim(nsp, what).fetchSockets();
    ack(found.map(describeSocket).sort((a, b) => (a.id < b.id ? -1 : 1)));
  });
  on("sockets-join", (what, ack) => (aim(nsp, what).socketsJoin(what.join), ack(true)));
  on("sockets-leave", (what, ack) => (what.leave.forEach((r) => aim(nsp, what).socketsLeave(r)), ack(true)));
  on("disconnect-sockets", (what, ack) => (aim(nsp, what).disconnectSockets(what.close), ack(true)));
  on("last-disconnect", (id, ack) => shared.whenDisconnected(id, ack));
}

// ---- life behind a gateway ---------------------------------------------------------------------------------------

async function serveThroughGateway() {
  const { attach } = await import("../../../sdk/node/index.mjs");
  const link = await attach(io, { path: flags.backend, name: flags.name, reconnect: { maxDelay: 200 } });
  console.log(`attached to ${flags.backend}`);
  const leave = async () => {
    await link.drain();
    await link.close();
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, leave);
}

// ---- life on a port, with a bare Engine.IO endpoint --------------------------------------------------------------

function serve() {
  const engine = new EngineServer();
  // It listens for upgrades, and a server without the websocket transport must have no such listener at all.
  if (!flags.transports) engine.attach(http, { path: "/engine.io/", destroyUpgrade: false });
  engine.on("connection", (session) => session.on("message", (data) => session.send(data)));

  const [, host, port] = /^(.*):(\d+)$/.exec(flags.listen) ?? [];
  http.listen(Number(port), host, () => {
    const bound = http.address();
    console.log(`listening on http://${bound.address}:${bound.port}`);
  });

  const stop = () => {
    engine.close();
    io.close(() => process.exit(0));
    // Polling connections kept alive by a client would hold the process.
    http.closeIdleConnections();
    setTimeout(() => process.exit(0), 2000).unref();
  };
  for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, stop);
}

if (flags.backend) await serveThroughGateway();
else serve();
