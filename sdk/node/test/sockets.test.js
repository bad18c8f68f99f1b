"use strict";
const assert = require("node:assert/strict");
const { connected, everywhere, next, turns } = require("./support.js");
const { HANDSHAKE } = require("./fake-gateway.js");

everywhere("a client is accepted, and has the id and the handshake that the gateway gave it", async ({ start }) => {
  const { io, peer } = await start();
  const before = [];
  io.use((socket, next) => {
    before.push(socket.id, socket.handshake.auth, socket.connected);
    next();
  });
  const { socket, client } = await connected(io, peer);
  assert.equal(socket.id, client.id);
  assert.deepEqual(before, [client.id, { token: "t" }, false]);
  assert.deepEqual(socket.handshake, HANDSHAKE);
  assert.equal(socket.recovered, false);
  assert.deepEqual([...socket.rooms], [client.id]);
  assert.equal(io.of("/").sockets.get(client.id), socket);
  assert.equal(io.of("/")._preConnectSockets?.size ?? 0, 0);
  assert.equal(socket.request.headers.host, "example.com");
  assert.equal(socket.request.connection.remoteAddress, HANDSHAKE.address);
  assert.equal(socket.conn.remoteAddress, HANDSHAKE.address);
  assert.equal(socket.conn.transport.name, "websocket");
  assert.equal(socket.conn.protocol, 4);
  assert.equal(io.engine.clientsCount, 1);
});

everywhere("auth of a client that looks like a recovery triggers nothing", async ({ start }) => {
  const { io, peer } = await start({ server: { connectionStateRecovery: {} } });
  const auth = { pid: "p", offset: "o" };
  const { socket } = await connected(io, peer, { handshake: { ...HANDSHAKE, auth } });
  assert.equal(socket.recovered, false);
  assert.deepEqual(socket.handshake.auth, auth);
});

everywhere("a middleware's error is told to the client with its data", async ({ start }) => {
  const { io, peer } = await start();
  io.use((_socket, next) => next(Object.assign(new Error("not you"), { data: { code: 7 } })));
  const client = peer.client();
  peer.send(["CONNECT", client]);
  const rejected = await peer.expect("REJECT");
  assert.deepEqual(rejected.socket, client.socket);
  assert.equal(rejected.message, "not you");
  assert.equal(rejected.data, '{"code":7}');
  await turns();
  assert.equal(io.engine.clientsCount, 0);
  assert.equal(io.of("/").sockets.size, 0);
});

everywhere("an error without data has none on the wire", async ({ start }) => {
  const { io, peer } = await start();
  io.use((_socket, next) => next(new Error("no")));
  peer.send(["CONNECT", peer.client()]);
  assert.equal((await peer.expect("REJECT")).data, "");
});

everywhere("a namespace that is not there is declined", async ({ start }) => {
  const { io, peer } = await start();
  peer.send(["CONNECT", peer.client({ namespace: "/nowhere" })]);
  await peer.expect("DECLINE");
  await turns();
  assert.equal(io.engine.clientsCount, 0);
});

everywhere("a socket can be emitted to, and join rooms, in a middleware", async ({ start }) => {
  const { io, peer } = await start();
  io.use((socket, next) => {
    socket.join("early");
    socket.emit("hello");
    next();
  });
  peer.send(["CONNECT", peer.client()]);
  assert.deepEqual((await peer.expect("JOIN")).rooms, ["early"]);
  assert.deepEqual((await peer.expect("EMIT")).packet.args, ["hello"]);
  await peer.expect("ACCEPT");
});

everywhere("events arrive with their arguments, in order, and are acknowledged once", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  const seen = [];
  socket.onAny((...args) => seen.push(args[0]));
  socket.on("echo", (a, b, ack) => {
    ack(a, b);
    ack("again");
  });
  peer.send(peer.event(client, ["first"]), peer.event(client, ["echo", { ö: "€😀" }, null], 3), peer.event(client, [5, "number"]));
  const ack = await peer.expect("ACK");
  assert.deepEqual(ack.socket, client.socket);
  assert.equal(ack.ack, 3);
  assert.equal(ack.packet.text, '[{"ö":"€😀"},null]');
  await turns();
  assert.deepEqual(seen, ["first", "echo", 5]);
  assert.deepEqual(peer.frames, []);
});

everywhere("an acknowledgement number comes back as it was, however large", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  socket.on("e", (ack) => ack());
  peer.send(["EVENT", { flags: 1, socket: client.socket, ack: 0xfedcba9876543210n, packet: ["e"] }]);
  const ack = await peer.expect("ACK");
  assert.equal(ack.ack, Number(0xfedcba9876543210n));
});

everywhere("an emit says volatile, uncompressed and its timeout, and gets its acknowledgement", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  socket.volatile.compress(false).emit("v", 1);
  const plain = await peer.expect("EMIT");
  assert.deepEqual([plain.flags, plain.ack, plain.timeout], [3, 0, 0]);
  const answer = socket.timeout(5000).emitWithAck("question", "x");
  const asked = await peer.expect("EMIT");
  assert.deepEqual([asked.flags, asked.timeout], [8, 5000]);
  assert.deepEqual(asked.packet.args, ["question", "x"]);
  peer.send(["ACK", { socket: client.socket, ack: asked.ack, packet: ["answer"] }]);
  assert.equal(await answer, "answer");
});

everywhere("acknowledgement numbers are unique across namespaces", async ({ start }) => {
  const { io, peer } = await start({ setup: (io) => io.of("/other") });
  const one = await connected(io, peer);
  const other = await connected(io, peer, { namespace: "/other", session: one.client.session });
  const numbers = new Set();
  for (const { socket } of [one, other, one]) {
    socket.emit("q", () => {});
    numbers.add((await peer.expect("EMIT")).ack);
  }
  assert.equal(numbers.size, 3);
});

everywhere("an emit whose acknowledgement does not come in time fails as with socket.io", async ({ start }) => {
  const { io, peer } = await start();
  const { socket } = await connected(io, peer);
  await assert.rejects(socket.timeout(5).emitWithAck("q"), { message: "operation has timed out" });
});

everywhere("sockets of one session share their connection", async ({ start }) => {
  const { io, peer } = await start({ setup: (io) => io.of("/other") });
  const one = await connected(io, peer);
  const other = await connected(io, peer, { namespace: "/other", session: one.client.session });
  assert.equal(one.socket.conn, other.socket.conn);
  assert.equal(io.engine.clientsCount, 1);
});

for (const [code, reason] of [[1, "transport close"], [2, "transport error"], [3, "ping timeout"], [4, "parse error"], [6, "forced server close"]]) {
  everywhere(`a session that ends with reason ${code} ends every socket with "${reason}"`, async ({ start }) => {
    const { io, peer } = await start({ setup: (io) => io.of("/other") });
    const one = await connected(io, peer);
    const other = await connected(io, peer, { namespace: "/other", session: one.client.session });
    const ends = [];
    let rooms;
    one.socket.on("disconnecting", () => (rooms = [...one.socket.rooms]));
    for (const { socket } of [one, other]) socket.on("disconnect", (reason) => ends.push(reason));
    one.socket.conn.on("close", (reason) => ends.push(`conn ${reason}`));
    peer.send(["DISCONNECTED", { socket: one.client.socket, reason: code }], ["DISCONNECTED", { socket: other.client.socket, reason: code }]);
    await next(other.socket, "disconnect");
    await turns();
    assert.deepEqual(ends.sort(), [reason, reason, `conn ${reason}`].sort());
    assert.deepEqual(rooms, [one.client.id]);
    assert.equal(io.engine.clientsCount, 0);
    assert.deepEqual(peer.frames, []);
  });
}

everywhere("a client that leaves a namespace is told apart, and may come back on the same session", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  const again = peer.client({ session: client.session });
  const back = next(io, "connection");
  const left = next(socket, "disconnect");
  peer.send(["DISCONNECTED", { socket: client.socket, reason: 16 }], ["CONNECT", again]);
  assert.equal((await left)[0], "client namespace disconnect");
  assert.equal((await back)[0].id, again.id);
  await peer.expect("ACCEPT");
  await turns();
  assert.deepEqual(peer.frames, []);
});

everywhere("a socket that somebody else has disconnected ends without a frame", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  const ended = next(socket, "disconnect");
  peer.send(["DISCONNECTED", { socket: client.socket, reason: 17 }]);
  assert.equal((await ended)[0], "server namespace disconnect");
  await turns();
  assert.deepEqual(peer.frames, []);
  assert.equal(io.engine.clientsCount, 0);
});

everywhere("disconnect() takes the socket out of its namespace, disconnect(true) closes the session behind it", async ({ start }) => {
  const { io, peer } = await start();
  const first = await connected(io, peer);
  first.socket.disconnect();
  assert.deepEqual((await peer.expect("DISCONNECT")).socket, first.client.socket);
  peer.send(["DISCONNECTED", { socket: first.client.socket, reason: 17 }]);
  const second = await connected(io, peer);
  second.socket.disconnect(true);
  assert.deepEqual((await peer.expect("DISCONNECT")).socket, second.client.socket);
  assert.deepEqual((await peer.expect("CLOSE")).session, second.client.session);
  await turns();
  assert.deepEqual(peer.frames, []);
  assert.equal(io.engine.clientsCount, 0);
});

everywhere("conn.close() closes the session, and its sockets end with forced close", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  socket.conn.close();
  assert.notEqual(socket.conn.readyState, "open");
  assert.equal((await next(socket, "disconnect"))[0], "forced close");
  assert.deepEqual((await peer.expect("CLOSE")).session, client.session);
});

everywhere("an event before the end of its session is delivered, though they come in one batch", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  const seen = [];
  socket.on("bye", (n) => seen.push(n));
  socket.on("disconnect", () => seen.push("end"));
  peer.send(peer.event(client, ["bye", 1]), peer.event(client, ["bye", 2]), ["DISCONNECTED", { socket: client.socket, reason: 1 }]);
  await next(socket, "disconnect");
  assert.deepEqual(seen, [1, 2, "end"]);
});

everywhere("who goes while its middlewares run is not connected afterwards", async ({ start }) => {
  const { io, peer } = await start();
  let go;
  io.use((_socket, next) => (go = next));
  io.on("connection", () => assert.fail("it has gone"));
  const client = peer.client();
  peer.send(["CONNECT", client]);
  while (go === undefined) await turns(1);
  peer.send(["DISCONNECTED", { socket: client.socket, reason: 1 }]);
  while (io.engine.clientsCount > 0) await turns(1);
  go();
  await turns();
  assert.deepEqual(peer.frames, []);
  assert.equal(io.of("/").sockets.size, 0);
  assert.equal(io.of("/")._preConnectSockets?.size ?? 0, 0);
});

everywhere("an upgrade is told to the connection", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer, { transport: "polling" });
  assert.equal(socket.conn.transport.name, "polling");
  const upgraded = next(socket.conn, "upgrade");
  peer.send(["TRANSPORT", { session: client.session, transport: "websocket" }]);
  assert.equal((await upgraded)[0].name, "websocket");
  assert.equal(socket.conn.transport.name, "websocket");
});

everywhere("frames about sockets that are not there are ignored", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  const stale = { ...client.socket, generation: 6 };
  socket.on("e", () => assert.fail("it was for another"));
  peer.send(
    ["EVENT", { flags: 0, socket: stale, ack: 0, packet: ["e"] }], ["ACK", { socket: stale, ack: 0, packet: [] }],
    ["DISCONNECTED", { socket: stale, reason: 1 }], ["TRANSPORT", { session: stale, transport: "websocket" }],
  );
  await turns();
  assert.equal(socket.connected, true);
});

everywhere("listeners for raw packets hear what Engine.IO would have carried", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  const packets = [];
  socket.conn.on("packet", (packet) => packets.push(packet.data));
  socket.conn.on("packetCreate", (packet) => packets.push(packet.data));
  socket.on("in", (ack) => ack(1));
  peer.send(peer.event(client, ["in"], 4));
  socket.emit("out", 2);
  await peer.expect("EMIT");
  await peer.expect("ACK");
  assert.deepEqual(packets, ['2["out",2]', '24["in"]', "34[1]"]);
});

everywhere("an emit that JSON cannot say throws, and leaves no trace", async ({ start }) => {
  const { io, peer } = await start();
  const { socket } = await connected(io, peer);
  const circular = {};
  circular.self = circular;
  assert.throws(() => socket.emit("x", circular));
  assert.throws(() => socket.emit("x", 1n), TypeError);
  socket.emit("ok");
  assert.deepEqual((await peer.expect("EMIT")).packet.args, ["ok"]);
});

everywhere("what the gateway would end the link for is an error at once", async ({ start }) => {
  const { io, peer } = await start();
  const { socket } = await connected(io, peer);
  let deep = [];
  for (let i = 0; i < 1100; i++) deep = [deep];
  for (const emitter of [socket, io]) {
    assert.throws(() => emitter.emit("x", deep), RangeError);
    assert.throws(() => emitter.emit("x", Buffer.from("y"), deep), RangeError);
    assert.throws(() => emitter.emit("x", ...Array.from({ length: 11 }, () => Buffer.from("y"))), RangeError);
    assert.throws(() => emitter.emit({ not: "a name" }), TypeError);
    assert.throws(() => emitter.emit(Number.NaN), TypeError);
  }
  await turns();
  assert.deepEqual(peer.frames, []);
});

everywhere("a client that was refused is a connection_error of the engine", async ({ start }) => {
  const { io, peer } = await start();
  const told = next(io.engine, "connection_error");
  peer.send(["CONNECTION_ERROR", { code: 5, message: "Unsupported protocol version", handshake: HANDSHAKE }]);
  const [{ req, code, message }] = await told;
  assert.deepEqual([code, message, req.headers.host, req._query.EIO], [5, "Unsupported protocol version", "example.com", "4"]);
});

everywhere("a packet that is too long for the gateway throws, and the link stays", async ({ start }) => {
  const { io, peer } = await start({ limits: { longest: 1000 } });
  const { socket } = await connected(io, peer);
  assert.throws(() => socket.emit("x", "y".repeat(2000)), { code: "TIDEGATE_TOO_LONG" });
  assert.throws(() => io.emit("x", "y".repeat(2000)), { code: "TIDEGATE_TOO_LONG" });
  socket.emit("ok");
  assert.deepEqual((await peer.expect("EMIT")).packet.args, ["ok"]);
});

everywhere("an exception in a handler does not stop the frames behind it", async ({ t, start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  io.engine.on("connection", () => {
    throw new Error("of the application");
  });
  const thrown = [];
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => thrown.push(error.message));
  t.after(() => {
    process.removeAllListeners("uncaughtException");
    for (const listener of listeners) process.on("uncaughtException", listener);
  });
  const seen = next(socket, "after");
  peer.send(["CONNECT", peer.client()], peer.event(client, ["after"]));
  await seen;
  await turns();
  assert.deepEqual(thrown, ["of the application"]);
});
