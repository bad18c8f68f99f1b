"use strict";
// What the tests share: a Server attached to a fake gateway, for every version of socket.io that is supported.

const test = require("node:test");
const { FakeGateway } = require("./fake-gateway.js");
const { attach } = require("../lib/index.js");

/** The newest and the oldest version. */
const VERSIONS = ["socket.io", "socket.io-46"];

/** Fast enough for a test, and without chance. */
const RECONNECT = { minDelay: 1, maxDelay: 20, jitter: 0 };

/** Runs a test once per version of socket.io; it gets `{Server, version, start}` and everything that `start()` made is cleaned up. */
function everywhere(name, body) {
  for (const version of VERSIONS) {
    test(`${name} [${version}]`, { timeout: 10000 }, async (t) => {
      const { Server } = require(version);
      await body({ t, Server, version, start: (options) => start(t, Server, options) });
    });
  }
}

/** A gateway that is removed after the test. */
async function gatewayFor(t, limits) {
  const gateway = await FakeGateway.listen(limits);
  t.after(() => gateway.remove());
  return gateway;
}

/** `{io, gateway, link, peer}`: a Server, and both ends of its link, after SERVE. */
async function start(t, Server, { server = {}, attach: options = {}, setup, limits, gateway } = {}) {
  gateway ??= await gatewayFor(t, limits);
  const io = new Server(server);
  setup?.(io);
  const attaching = attach(io, { path: gateway.path, reconnect: RECONNECT, ...options });
  const peer = await gateway.link();
  const link = await attaching;
  t.after(() => link.close());
  peer.served = await peer.expect("SERVE");
  return { io, gateway, link, peer };
}

/** The arguments of the next `event` of an emitter. */
function next(emitter, event) {
  return new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
}

/** The Socket that socket.io makes of the next client. */
async function connected(io, peer, values) {
  const [[socket], client] = await Promise.all([next(io.of(values?.namespace ?? "/"), "connection"), peer.connect(values)]);
  return { socket, client };
}

/** After everything that is due in this turn and the next. */
async function turns(count = 3) {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Warnings of this process with this code, from now on. */
function warnings(t, code) {
  const messages = [];
  const listen = (warning) => warning.code === code && messages.push(warning.message);
  process.on("warning", listen);
  t.after(() => process.removeListener("warning", listen));
  return messages;
}

module.exports = { RECONNECT, VERSIONS, connected, everywhere, gatewayFor, next, start, turns, warnings };
