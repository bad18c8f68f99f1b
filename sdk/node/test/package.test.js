"use strict";
const assert = require("node:assert/strict");
const { execFile, spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const test = require("node:test");
const { promisify } = require("node:util");
const { Server } = require("socket.io");
const { connected, gatewayFor, start, turns, warnings } = require("./support.js");
const { attach } = require("../lib/index.js");

const ROOT = path.join(__dirname, "..");
const run = promisify(execFile);

test("ES modules and CommonJS get the same functions", async () => {
  const module = await import("tidegate");
  const common = require("tidegate");
  assert.equal(module.attach, common.attach);
  assert.equal(module.Link, common.Link);
  assert.equal(module.default, common);
});

test("the types hold for a typed Server", async () => {
  const tsc = path.join(ROOT, "node_modules/typescript/bin/tsc");
  await run(process.execPath, [tsc, "-p", path.join(__dirname, "types")]).catch((error) => assert.fail(error.stdout));
});

test("what is published is complete", () => {
  const { files, exports, engines } = require("tidegate/package.json");
  const published = (file) => files.some((entry) => file === entry || file.startsWith(`${entry}/`));
  for (const condition of Object.values(exports["."])) {
    for (const file of Object.values(condition)) assert.ok(published(file.slice(2)) && fs.existsSync(path.join(ROOT, file)), file);
  }
  for (const file of files) assert.ok(fs.existsSync(path.join(ROOT, file)), file);
  assert.equal(engines.node, ">=18");
});

/** Runs a script with a Server that is attached; resolves to what it wrote when it has exited. */
async function script(t, gateway, code) {
  const child = spawn(process.execPath, ["--input-type=module", "-e", `
    import { Server } from "socket.io";
    import { attach } from "tidegate";
    const io = new Server();
    const link = await attach(io, { path: ${JSON.stringify(gateway.path)} });
    console.log("attached");
    ${code}`], { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill());
  let output = "";
  child.stdout.on("data", (text) => (output += text));
  const exited = new Promise((resolve) => child.on("close", (code) => resolve({ code, output })));
  return { child, exited, attached: new Promise((resolve) => child.stdout.once("data", resolve)) };
}

test("an attached process stays, as one that listens does; also without its gateway", { timeout: 20000 }, async (t) => {
  const gateway = await gatewayFor(t);
  const { child, exited, attached } = await script(t, gateway, `link.on("disconnect", () => console.log("lost"));`);
  const peer = await gateway.link();
  await attached;
  await peer.expect("SERVE");
  const closing = gateway.close();
  await new Promise((resolve) => child.stdout.once("data", resolve));
  await closing;
  assert.equal(child.exitCode, null);
  await gateway.open();
  await (await gateway.link()).expect("SERVE");
  child.kill();
  await exited;
});

for (const [what, code] of [
  ["with an unreferenced link", "link.unref();"],
  ["whose Server was closed", "await io.close();"],
  ["whose link was closed", "await link.close();"],
]) {
  test(`a process ${what} ends by itself`, { timeout: 20000 }, async (t) => {
    const gateway = await gatewayFor(t);
    const { exited } = await script(t, gateway, code);
    await gateway.link();
    assert.deepEqual(await exited, { code: 0, output: "attached\n" });
  });
}

test("io.close() has said everything when the process exits right behind it", { timeout: 20000 }, async (t) => {
  const gateway = await gatewayFor(t);
  const { exited } = await script(t, gateway, `
    io.on("connection", async (socket) => { await new Promise(setImmediate); socket.emit("bye"); await io.close(); process.exit(0); });`);
  const peer = await gateway.link();
  await peer.expect("SERVE");
  await peer.connect();
  // WITHDRAW needs no credit, and overtakes.
  for (const type of ["WITHDRAW", "EMIT", "CLOSE"]) await peer.expect(type);
  assert.equal((await exited).code, 0);
});

test("attach() refuses what is no Server, or has a port already", async (t) => {
  await assert.rejects(attach({}), TypeError);
  await assert.rejects(attach(new Server(), { paht: "x" }), /no option `paht`/);
  await assert.rejects(attach(new Server(), { window: 1 }), TypeError);
  await assert.rejects(attach(new Server(), { reconnect: { jitter: 2 } }), TypeError);
  await assert.rejects(attach(new Server(), { namespaces: ["admin"] }), TypeError);
  const listening = new Server(0);
  t.after(() => listening.close());
  await assert.rejects(attach(listening), { code: "TIDEGATE_BOTH", message: /write `new Server\(options\)`/ });
  const { io, gateway } = await start(t, Server);
  await assert.rejects(attach(io, { path: gateway.path }), /already attached/);
});

test("what belongs to the gateway throws, and says what to do instead", async (t) => {
  const { io, peer } = await start(t, Server);
  const { socket } = await connected(io, peer);
  for (const [call, message] of [
    [() => io.listen(3000), /Leave out io\.listen\(\)/],
    [() => io.attach(3000), /Leave out io\.attach\(\)/],
    [() => io.attachApp({}), /Leave out io\.attachApp\(\)/],
    [() => io.adapter(class {}), /Leave out io\.adapter\(\)/],
    [() => io.engine.use(() => {}), /use io\.use\(\)/],
    [() => io.engine.handleRequest({}, {}), /clients connect to the gateway/],
    [() => (io.engine.generateId = () => "x"), /chooses the ids/],
    [() => io.engine.on("headers", () => {}), /HTTP responses/],
    [() => io.engine.once("initial_headers", () => {}), /HTTP responses/],
    [() => socket.conn.send("raw"), /use socket\.emit\(\)/],
  ]) assert.throws(call, message);
  assert.equal(typeof io.adapter(), "function");
  assert.equal(io.engine.opts.gateway.version, "0");
});

test("options that contradict the gateway's are warnings that name both", async (t) => {
  const told = warnings(t, "TIDEGATE_OPTION");
  const gateway = {
    pingInterval: 25000, pingTimeout: 20000, maxHttpBufferSize: 1e6, path: "/socket.io/", transports: ["polling", "websocket"], allowUpgrades: true,
  };
  const same = { pingInterval: 25000, path: "/socket.io", transports: ["websocket", "polling"], serveClient: false, cookie: false, perMessageDeflate: false };
  await start(t, Server, { server: same, limits: { options: gateway } });
  await turns();
  assert.deepEqual(told, []);
  const other = { pingInterval: 5000, path: "/ws", transports: ["websocket"], cors: { origin: "*" }, connectionStateRecovery: {}, maxHttpBufferSize: 1e8 };
  await start(t, Server, { server: other, limits: { options: gateway } });
  await turns();
  assert.equal(told.length, 6);
  assert.match(told[0], /pingInterval is 5000 here, but 25000 in the gateway, which decides \(its option socket_io\.ping_interval\)/);
  assert.match(told.join("\n"), /path is "\/ws" here, but "\/socket\.io\/"/);
  assert.match(told.join("\n"), /cors has no effect/);
});

test("an adapter in the style of NestJS works", async (t) => {
  const gateway = await gatewayFor(t);
  class IoAdapter {
    createIOServer(_port, options) {
      const server = new Server(options);
      this.attached = attach(server, { path: gateway.path });
      return server;
    }

    bindClientConnect(server, callback) {
      server.on("connection", callback);
    }

    bindMessageHandlers(client, handlers) {
      for (const { message, callback } of handlers) {
        client.on(message, (payload, ack) => Promise.resolve(callback(payload)).then((result) => ack?.(result)));
      }
    }

    async close(server) {
      await server.close();
    }
  }
  const adapter = new IoAdapter();
  const server = adapter.createIOServer(3000, {});
  const namespace = server.of("/chat");
  adapter.bindClientConnect(namespace, (client) => adapter.bindMessageHandlers(client, [{ message: "sum", callback: ([a, b]) => a + b }]));
  const peer = await gateway.link();
  await adapter.attached;
  await peer.expect("SERVE");
  const client = await peer.connect({ namespace: "/chat" });
  peer.send(peer.event(client, ["sum", [2, 3]], 1));
  assert.deepEqual((await peer.expect("ACK")).packet.args, [5]);
  await adapter.close(server);
  await peer.expect("WITHDRAW");
});
