"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { Server } = require("socket.io");
const { FakeGateway, HANDSHAKE, frame } = require("./fake-gateway.js");
const { RECONNECT, connected, everywhere, gatewayFor, next, start, turns, warnings } = require("./support.js");
const { attach } = require("../lib/index.js");

test("HELLO names the protocol, the software and the process", async (t) => {
  const gateway = await gatewayFor(t);
  const attaching = attach(new Server(), { path: gateway.path, name: "worker 1", window: 65536 });
  const peer = await gateway.link();
  const { hello } = peer;
  assert.deepEqual([hello.magic, hello.lowest, hello.highest, hello.window, hello.name], ["TDGB", 1, 1, 65536, "worker 1"]);
  assert.match(hello.software, /^tidegate for Node\.js \d/);
  const link = await attaching;
  assert.equal(link.connected, true);
  assert.equal(link.gateway.software, "fake");
  await link.close();
  await peer.ended();
  assert.equal(link.connected, false);
});

test("the path comes from the environment if it is not given", async (t) => {
  const gateway = await gatewayFor(t);
  process.env.TIDEGATE_BACKEND_SOCKET = gateway.path;
  t.after(() => delete process.env.TIDEGATE_BACKEND_SOCKET);
  const attaching = attach(new Server());
  await gateway.link();
  await (await attaching).close();
});

test("handlers that are registered after attach() miss nobody: SERVE comes later", async (t) => {
  const gateway = await gatewayFor(t);
  const io = new Server();
  const attaching = attach(io, { path: gateway.path });
  const peer = await gateway.link();
  const link = await attaching;
  t.after(() => link.close());
  await Promise.resolve();
  io.of("/late");
  assert.deepEqual((await peer.expect("SERVE")).namespaces, ["/", "/late"]);
});

test("attach() waits for a gateway that is not there yet, and says so once", async (t) => {
  const told = warnings(t, "TIDEGATE_LINK");
  const gateway = await gatewayFor(t);
  await gateway.close();
  const attaching = attach(new Server(), { path: gateway.path, reconnect: RECONNECT });
  while (told.length === 0) await turns(1);
  await new Promise((resolve) => setTimeout(resolve, 30));
  await gateway.open();
  await gateway.link();
  await (await attaching).close();
  assert.equal(told.length, 1);
  assert.match(told[0], /no gateway at .*backend\.sock yet/);
});

test("attach() can be given up", async (t) => {
  warnings(t, "TIDEGATE_LINK");
  const controller = new AbortController();
  const io = new Server();
  const attaching = attach(io, { path: "/nowhere/backend.sock", signal: controller.signal, reconnect: RECONNECT });
  setImmediate(() => controller.abort(new Error("enough")));
  await assert.rejects(attaching, { message: "enough" });
  assert.equal(io.engine, undefined);
});

for (const code of [1, 2, 3, 5]) {
  test(`attach() rejects if it is refused with code ${code}`, async (t) => {
    const gateway = await gatewayFor(t);
    const attaching = attach(new Server(), { path: gateway.path, reconnect: RECONNECT });
    const peer = await gateway.link({ welcome: false });
    peer.stream.end(frame("REFUSE", { code, message: "because" }));
    await assert.rejects(attaching, { code: "TIDEGATE_REFUSED", refusal: code, message: /because/ });
  });
}

test("a gateway that is stopping is dialled again", async (t) => {
  warnings(t, "TIDEGATE_LINK");
  const gateway = await gatewayFor(t);
  const attaching = attach(new Server(), { path: gateway.path, reconnect: RECONNECT });
  const first = await gateway.link({ welcome: false });
  first.stream.end(frame("REFUSE", { code: 4, message: "stopping" }));
  await gateway.link();
  await (await attaching).close();
});

everywhere("a lost link ends the sockets, and they come back recovered over the next one", async ({ start }) => {
  const { io, gateway, link, peer } = await start();
  const { socket, client } = await connected(io, peer);
  const order = [];
  link.on("disconnect", () => order.push("link lost"));
  link.on("connect", () => order.push("link back"));
  socket.on("disconnect", (reason) => order.push(reason));
  socket.conn.on("close", (reason) => order.push(`conn ${reason}`));
  peer.destroy();
  const again = await gateway.link();
  assert.deepEqual((await again.expect("SERVE")).namespaces, ["/"]);
  const back = await connected(io, again, { ...client, flags: 1, rooms: ["a"], data: '{"n":1}' });
  assert.equal(back.socket.recovered, true);
  assert.equal(back.socket.id, socket.id);
  assert.notEqual(back.socket, socket);
  assert.deepEqual(order, ["transport close", "conn transport close", "link lost", "link back"]);
  assert.equal(io.engine.clientsCount, 1);
});

everywhere("an old Socket says nothing on a new link", async ({ start }) => {
  const { io, gateway, peer } = await start();
  const { socket, client } = await connected(io, peer);
  let ack;
  socket.on("q", (callback) => (ack = callback));
  peer.send(peer.event(client, ["q"], 1));
  while (ack === undefined) await turns(1);
  peer.destroy();
  const again = await gateway.link();
  await again.expect("SERVE");
  await connected(io, again, { ...client, flags: 1 });
  ack("late");
  socket.emit("late");
  socket.join("late");
  await turns();
  assert.deepEqual(again.frames, []);
});

everywhere("a refusal of a link that was good is told, and dialled again", async ({ start }) => {
  const { gateway, link, peer } = await start();
  const refused = next(link, "refused");
  const lost = next(link, "disconnect");
  peer.stream.end(frame("REFUSE", { code: 5, message: "a bug" }));
  assert.equal((await refused)[0].refusal, 5);
  assert.match((await lost)[0].message, /a bug/);
  await gateway.link();
});

test("the delay grows with every failure, up to its limit", async (t) => {
  warnings(t, "TIDEGATE_LINK");
  const gateway = await gatewayFor(t);
  const { link, peer } = await start(t, Server, { gateway, attach: { reconnect: { minDelay: 8, maxDelay: 40, jitter: 0 } } });
  const lost = next(link, "disconnect");
  const times = [];
  gateway.server.on("connection", () => times.push(performance.now()));
  peer.destroy();
  await lost;
  times.push(performance.now());
  for (let i = 0; i < 5; i++) (await gateway.link({ welcome: false })).destroy();
  const gaps = times.slice(1).map((time, i) => time - times[i]);
  // 8, 16, 32, 40, 40: timers fire late, not early.
  for (const [i, least] of [8, 16, 32, 40, 40].entries()) assert.ok(gaps[i] >= least - 2, `gap ${i} of ${gaps[i]} ms`);
});

test("a frame that makes no sense ends the link, and it is dialled again", async (t) => {
  const gateway = await gatewayFor(t);
  const { link, peer } = await start(t, Server, { gateway });
  const lost = next(link, "disconnect");
  peer.stream.write(Buffer.from([1, 0, 0, 0, 0xff]));
  peer.send();
  assert.equal((await lost)[0].code, "TIDEGATE_PROTOCOL");
  await gateway.link();
});

for (const [what, bytes] of [
  ["is empty", Buffer.from([0, 0, 0, 0, 0])],
  ["is too short", Buffer.from([3, 0, 0, 0, 0xa1, 0, 0])],
  ["has JSON that is none", Buffer.from(frame("SERVER_EVENT", { token: 0, namespace: "/", args: [] }).toString("latin1").replace("[]", "[x"), "latin1")],
]) {
  test(`a frame that ${what} ends the link`, async (t) => {
    const gateway = await gatewayFor(t);
    const { link, peer } = await start(t, Server, { gateway });
    const lost = next(link, "disconnect");
    peer.stream.write(Buffer.concat([bytes, frame("TICK")]));
    assert.equal((await lost)[0].code, "TIDEGATE_PROTOCOL");
  });
}

test("bytes behind the known part of a body are ignored", async (t) => {
  const gateway = await gatewayFor(t);
  const { link, peer } = await start(t, Server, { gateway });
  const bytes = Buffer.concat([frame("PEERS", { links: 9 }), Buffer.from("more")]);
  bytes.writeUInt32LE(bytes.length - 4, 0);
  const told = next(link, "peers");
  peer.stream.write(Buffer.concat([bytes, frame("TICK")]));
  assert.deepEqual(await told, [9]);
});

test("frames mean the same wherever the stream is cut", async (t) => {
  const gateway = await gatewayFor(t);
  const { io, peer } = await start(t, Server, { gateway });
  const { socket, client } = await connected(io, peer);
  const seen = [];
  socket.on("e", (value) => seen.push(value));
  const bytes = Buffer.concat([
    frame("EVENT", { flags: 0, socket: client.socket, ack: 0, packet: ["e", "ä"] }), frame("TICK"),
    frame("EVENT", { flags: 0, socket: client.socket, ack: 0, packet: { args: ["e", { _placeholder: true, num: 0 }], attachments: [Buffer.from([1, 2, 3])] } }), frame("TICK"),
  ]);
  for (let cut = 1; cut < bytes.length; cut++) {
    peer.stream.write(bytes.subarray(0, cut));
    await turns(1);
    peer.stream.write(bytes.subarray(cut));
    while (seen.length < 2) await turns(1);
    assert.deepEqual(seen.splice(0), ["ä", Buffer.from([1, 2, 3])]);
  }
});

test("a frame far larger than the buffer arrives whole", async (t) => {
  const gateway = await gatewayFor(t);
  const { io, peer } = await start(t, Server, { gateway });
  const { socket, client } = await connected(io, peer);
  const big = Buffer.alloc(3_000_000, 7);
  const seen = next(socket, "big");
  peer.send(peer.event(client, ["small"]), ["EVENT", { flags: 0, socket: client.socket, ack: 0, packet: { args: ["big", { _placeholder: true, num: 0 }], attachments: [big] } }]);
  assert.ok(big.equals((await seen)[0]));
  const small = next(socket, "small");
  peer.send(peer.event(client, ["small"]));
  await small;
});

test("a batch is handled in one go, though its parts come late", async (t) => {
  const gateway = await gatewayFor(t);
  const { io, peer } = await start(t, Server, { gateway });
  const { socket, client } = await connected(io, peer);
  const seen = [];
  socket.on("e", (n) => seen.push(n));
  const event = (n) => frame("EVENT", { flags: 0, socket: client.socket, ack: 0, packet: ["e", n] });
  peer.stream.write(event(1));
  await turns();
  assert.deepEqual(seen, []);
  peer.stream.write(Buffer.concat([event(2), frame("TICK")]));
  while (seen.length === 0) await turns(1);
  assert.deepEqual(seen, [1, 2]);
  // A gateway that forgets the end of its batch is not waited for.
  peer.stream.write(event(3));
  while (seen.length < 3) await turns(1);
});

test("the gateway gets credit for what was handled, in portions", async (t) => {
  const gateway = await gatewayFor(t, { portion: 1024 });
  const { io, peer } = await start(t, Server, { gateway, attach: { window: 4096 } });
  const { client } = await connected(io, peer);
  const sent = frame("CONNECT", client).length;
  let bytes = sent;
  let given = 0;
  for (let i = 0; i < 40; i++) {
    const event = frame("EVENT", { flags: 0, socket: client.socket, ack: 0, packet: ["e", "x".repeat(200)] });
    bytes += event.length;
    peer.stream.write(Buffer.concat([event, frame("TICK")]));
    if (bytes - given < 1024) continue;
    const credit = await peer.expect("CREDIT");
    given += credit.bytes;
    assert.equal(given, bytes);
  }
});

test("without credit frames wait in order, and CREDIT sets them free", async (t) => {
  const gateway = await gatewayFor(t, { window: 100 });
  const { io, peer } = await start(t, Server, { gateway });
  const [{ socket }] = [await connected(io, peer)];
  let balance = 100 - 15;
  for (let i = 0; i < 50; i++) socket.emit("n", i);
  const seen = [];
  while (seen.length < 50) {
    while (balance > 0 && seen.length < 50) {
      const emitted = await peer.expect("EMIT");
      balance -= emitted.bytes;
      seen.push(emitted.packet.args[1]);
    }
    await turns();
    assert.deepEqual(peer.frames, [], "nothing more than the credit");
    balance += 70;
    peer.send(["CREDIT", { bytes: 70 }]);
  }
  assert.deepEqual(seen, Array.from({ length: 50 }, (_, i) => i));
});

test("a great deal that waits for credit is sent in order", async (t) => {
  const gateway = await gatewayFor(t, { window: 1000 });
  const { io, peer } = await start(t, Server, { gateway });
  const { socket } = await connected(io, peer);
  const text = "x".repeat(1000);
  for (let i = 0; i < 1000; i++) socket.emit("n", i, text);
  peer.send(["CREDIT", { bytes: 200_000 }]);
  await turns();
  socket.emit("n", 1000, text);
  peer.send(["CREDIT", { bytes: 10_000_000 }]);
  for (let i = 0; i <= 1000; i++) assert.equal((await peer.expect("EMIT")).packet.args[1], i);
});

test("io.close() sends every client away, then ends the link", async (t) => {
  const gateway = await gatewayFor(t);
  const { io, peer } = await start(t, Server, { gateway });
  const one = await connected(io, peer);
  const two = await connected(io, peer);
  const ends = [one, two].map(({ socket }) => next(socket, "disconnect"));
  await io.close();
  assert.deepEqual((await Promise.all(ends)).map(([reason]) => reason), ["server shutting down", "server shutting down"]);
  await peer.expect("WITHDRAW");
  const closed = [await peer.expect("CLOSE"), await peer.expect("CLOSE")];
  assert.deepEqual(closed.map(({ session }) => session), [one.client.session, two.client.session]);
  await peer.ended();
  assert.equal(gateway.dialled, 1);
});

test("a Server goes on working after another one was closed in the same process", async (t) => {
  const one = await start(t, Server);
  const two = await start(t, Server);
  await one.io.close();
  const { socket } = await connected(two.io, two.peer);
  socket.join("a");
  assert.deepEqual((await two.peer.expect("JOIN")).rooms, ["a"]);
  two.io.emit("x");
  await two.peer.expect("BROADCAST");
});

test("link.close() leaves the clients to others", async (t) => {
  const { io, link, peer } = await start(t, Server);
  const { socket } = await connected(io, peer);
  const ended = next(socket, "disconnect");
  await link.close();
  await peer.ended();
  assert.equal((await ended)[0], "transport close");
  assert.deepEqual(peer.frames, []);
});

test("a link that was lost is told with its reason if nobody listens", async (t) => {
  const told = warnings(t, "TIDEGATE_LINK");
  const { gateway, peer } = await start(t, Server);
  peer.destroy();
  await gateway.link();
  await turns();
  assert.equal(told.length, 1);
  assert.match(told[0], /is lost.*dialling again/);
});
