"use strict";
// Options of `new Server(…)` that are the gateway's business. One that was set, and is not what the gateway has, is a warning that
// names both values and the option of the gateway.

const { warn } = require("./warnings");

/** Options that WELCOME tells, and where the gateway has them. */
const TOLD = {
  pingInterval: "socket_io.ping_interval",
  pingTimeout: "socket_io.ping_timeout",
  upgradeTimeout: "socket_io.upgrade_timeout",
  connectTimeout: "socket_io.connect_timeout",
  maxHttpBufferSize: "socket_io.max_http_buffer_size",
  path: "socket_io.path",
  transports: "socket_io.transports",
  allowUpgrades: "socket_io.allow_upgrades",
};

/** Options that it does not tell, with what takes their place. Without effect here, whatever their value. */
const UNTOLD = {
  cors: "see the gateway's section [cors]",
  cookie: "see the gateway's option socket_io.cookie",
  allowRequest: "clients are not asked before their first CONNECT: decide in io.use() with socket.handshake",
  httpCompression: "see the gateway's option socket_io.http_compression",
  perMessageDeflate: "the gateway decides about compression",
  initialPacket: "see the gateway's option socket_io.initial_packet",
  allowEIO3: "the gateway decides about clients of Engine.IO 3",
  serveClient: "see the gateway's option server.client_dir",
  wsEngine: "the gateway has a WebSocket engine of its own",
  destroyUpgrade: "the gateway decides about upgrade requests",
  destroyUpgradeTimeout: "the gateway decides about upgrade requests",
  addTrailingSlash: "see the gateway's option socket_io.path",
  parser: "the gateway encodes packets for the clients, as socket.io-parser does",
  adapter: "rooms and broadcasts are in the gateway, which connects all processes",
  connectionStateRecovery: "the gateway keeps connections; sockets that come back after a restart of this process have socket.recovered",
};

/** Values that say "without", which is what there is. */
const WITHOUT = new Set([undefined, null, false]);

/** Warns of every option of `io` that contradicts the gateway. */
function compare(io, gateway) {
  const mine = { ...io.opts };
  // `io.path()` is the way to say it without an option.
  if (mine.path === undefined && io.path() !== "/socket.io") mine.path = io.path();
  for (const [name, where] of Object.entries(TOLD)) {
    const value = mine[name];
    const theirs = gateway[name];
    if (value === undefined || theirs === undefined || alike(name, value, theirs)) continue;
    warn("TIDEGATE_OPTION", `the option ${name} is ${show(value)} here, but ${show(theirs)} in the gateway, which decides (its option ${where})`);
  }
  for (const [name, instead] of Object.entries(UNTOLD)) {
    const value = mine[name];
    if (WITHOUT.has(value) || (gateway[name] !== undefined && alike(name, value, gateway[name]))) continue;
    warn("TIDEGATE_OPTION", `the option ${name} has no effect behind the gateway: ${instead}`);
  }
}

function alike(name, mine, theirs) {
  if (name === "path") return trimmed(mine) === trimmed(theirs);
  if (Array.isArray(mine) && Array.isArray(theirs)) {
    return mine.length === theirs.length && mine.every((item) => theirs.includes(item));
  }
  return mine === theirs || JSON.stringify(mine) === JSON.stringify(theirs);
}

function trimmed(path) {
  return String(path).replace(/\/+$/, "");
}

function show(value) {
  return JSON.stringify(value) ?? String(value);
}

const DEFAULT_PATH = "/run/tidegate/backend.sock";
/** Bytes the gateway may send ahead of what was handled. */
const DEFAULT_WINDOW = 1024 * 1024;

/** The options of `attach()`, checked and complete. Throws TypeError. */
function checked(options = {}) {
  const known = ["path", "name", "window", "skipMiddlewares", "namespaces", "reconnect", "signal"];
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) throw new TypeError(`attach() has no option \`${key}\`: it knows ${known.join(", ")}`);
  }
  const { window = DEFAULT_WINDOW, reconnect = {}, namespaces } = options;
  if (!Number.isInteger(window) || window < 1024 || window > 0x7fffffff) {
    throw new TypeError(`the option \`window\` is a number of bytes between 1024 and 2147483647, not ${show(window)}`);
  }
  for (const [key, value] of Object.entries(reconnect)) {
    const most = key === "jitter" ? 1 : Infinity;
    if (!["minDelay", "maxDelay", "jitter"].includes(key) || !(value >= 0 && value <= most)) {
      throw new TypeError(`the option \`reconnect\` has minDelay and maxDelay in milliseconds and jitter from 0 to 1, not ${key}: ${show(value)}`);
    }
  }
  if (namespaces !== undefined && !(Array.isArray(namespaces) && namespaces.every((name) => /^\//.test(name)))) {
    throw new TypeError("the option `namespaces` is an array of names that begin with /");
  }
  return {
    path: options.path ?? (process.env.TIDEGATE_BACKEND_SOCKET || DEFAULT_PATH),
    name: options.name ?? `${process.title} ${process.pid}`,
    skipMiddlewares: options.skipMiddlewares ?? true,
    signal: options.signal,
    window,
    reconnect,
    namespaces,
  };
}

module.exports = { checked, compare };
