"use strict";
// tidegate: runs a `Server` of the npm package socket.io with its connections held by a Tidegate gateway.

const { Backend } = require("./backend");
const { Link } = require("./link");
const { Engine } = require("./engine");
const { Decoder, Encoder } = require("./conn");
const { adapterClass } = require("./adapter");
const { checked, compare } = require("./options");
const { warn } = require("./warnings");

/** Servers that have a link, or are about to. */
const attached = new WeakSet();

/**
 * Connects `io` to the gateway. Resolves to the Link once the gateway has said welcome, which may take until there is one; rejects
 * if it refuses, or may not be dialled. Handlers that are registered right after it see every client.
 */
async function attach(io, options) {
  const settings = checked(options);
  assertFree(io);
  settings.signal?.throwIfAborted();
  attached.add(io);
  try {
    return await dial(io, settings);
  } catch (error) {
    attached.delete(io);
    throw error;
  }
}

/** Throws unless `io` is a Server that nothing listens for yet. */
function assertFree(io) {
  if (typeof io?.bind !== "function" || io._parser === undefined || !(io._nsps instanceof Map)) {
    throw new TypeError("attach() takes a Server of socket.io 4");
  }
  if (attached.has(io)) throw new Error("this Server is already attached to a gateway");
  if (io.engine !== undefined || io.httpServer !== undefined) {
    throw bothUsed("this Server already has a port or an HTTP server: write `new Server(options)`, without them, and leave out listen()");
  }
}

function bothUsed(message) {
  return Object.assign(new Error(`tidegate: clients connect to the gateway, not to this process. ${message}`), { code: "TIDEGATE_BOTH" });
}

function dial(io, settings) {
  return new Promise((resolve, reject) => {
    const { signal } = settings;
    let link;
    let warned = false;
    const backend = new Backend(io, settings, {
      welcome(gateway) {
        if (link !== undefined) {
          backend.namespaces.start();
          return link._welcomed(gateway);
        }
        signal?.removeEventListener("abort", aborted);
        link = new Link(backend, settings.path);
        install(io, backend, gateway.options);
        link._welcomed(gateway);
        resolve(link);
        // The application has until then to register its handlers.
        setImmediate(() => backend.up && backend.namespaces.start());
        return undefined;
      },
      down: (error) => link._lost(error),
      refused: (error) => link?._refused(error),
      failed(error) {
        if (link !== undefined || backend.closing !== undefined) return;
        if (error.fatal || error.code === "EACCES" || error.code === "EPERM" || error.code === "ENOTSOCK") return giveUp(error);
        if (!warned) warn("TIDEGATE_LINK", `no gateway at ${settings.path} yet (${error.message}): dialling again until there is one`);
        warned = true;
      },
      peers: (count) => link?.emit("peers", count),
      handover: (socket) => link.emit("handover", socket),
    });
    const giveUp = (error) => {
      signal?.removeEventListener("abort", aborted);
      backend.close();
      reject(error);
    };
    const aborted = () => giveUp(signal.reason);
    signal?.addEventListener("abort", aborted);
    backend.dialer.dial();
  });
}

/** Plugs the link into the Server: parser, adapter and engine are its three openings. */
function install(io, backend, options) {
  compare(io, options);
  const engine = new Engine(options, () => backend.closeAll());
  backend.sessions.engine = engine;
  io._parser = { Encoder, Decoder };
  io.encoder = new Encoder();
  // Would append an offset to every event. What it is for, the gateway does.
  io.opts.connectionStateRecovery = undefined;
  replaceAdapters(io, adapterClass(io, backend));
  io.bind(engine);
  guard(io, backend);
}

/** Listeners that were already there move to the new adapters. */
function replaceAdapters(io, adapter) {
  const before = new Map([...io._nsps.values()].map((nsp) => [nsp, nsp.adapter]));
  io.adapter(adapter);
  for (const [nsp, old] of before) {
    for (const event of old.eventNames()) for (const listener of old.rawListeners(event)) nsp.adapter.on(event, listener);
    old.close();
  }
}

/** What would open a port beside the link, or take the rooms away from it, says so. */
function guard(io, backend) {
  const refuse = (message) => () => {
    throw bothUsed(message);
  };
  io.listen = refuse("Leave out io.listen(): attach() takes its place");
  io.attach = refuse("Leave out io.attach(): attach() takes its place");
  io.attachApp = refuse("Leave out io.attachApp(): attach() takes its place");
  const { adapter, of } = io;
  io.adapter = function (...args) {
    if (args.length > 0) throw bothUsed("Leave out io.adapter(): rooms and broadcasts are in the gateway, which connects all processes");
    return adapter.call(this);
  };
  io.of = function (...args) {
    const nsp = of.apply(this, args);
    backend.namespaces.patternsMayHaveChanged();
    return nsp;
  };
}

module.exports = { attach, Link };
