"use strict";
const assert = require("node:assert/strict");
const { connected, everywhere, next, turns, start: startAt, gatewayFor } = require("./support.js");
const { HANDSHAKE } = require("./fake-gateway.js");

everywhere("rooms of a socket are told, and known here", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  const events = [];
  for (const event of ["create-room", "join-room", "leave-room", "delete-room"]) io.of("/").adapter.on(event, (room) => events.push(`${event} ${room}`));
  socket.join(["a", "b"]);
  socket.join(["a", "c"]);
  assert.deepEqual((await peer.expect("JOIN")).rooms, ["a", "b"]);
  assert.deepEqual((await peer.expect("JOIN")).rooms, ["a", "c"]);
  assert.deepEqual([...socket.rooms], [client.id, "a", "b", "c"]);
  socket.leave("b");
  assert.deepEqual((await peer.expect("LEAVE")).rooms, ["b"]);
  socket.leaveAll();
  assert.deepEqual((await peer.expect("LEAVE")).rooms, ["a", "c"]);
  assert.deepEqual(events.slice(0, 4), ["create-room a", "join-room a", "create-room b", "join-room b"]);
  assert.ok(events.includes("leave-room b") && events.includes("delete-room c"));
});

everywhere("the rooms of a socket that ends are not told: the gateway knows", async ({ start }) => {
  const { io, peer } = await start();
  const { socket } = await connected(io, peer);
  socket.join("a");
  await peer.expect("JOIN");
  socket.disconnect();
  await peer.expect("DISCONNECT");
  await turns();
  assert.deepEqual(peer.frames, []);
  assert.equal(io.of("/").adapter.rooms.size, 0);
  assert.equal(io.of("/").adapter.records.size, 0);
});

everywhere("a broadcast is one frame, with its selector and flags", async ({ start }) => {
  const { io, peer } = await start({ setup: (io) => io.of("/n") });
  const { socket, client } = await connected(io, peer);
  await connected(io, peer);
  io.emit("all", 1);
  const all = await peer.expect("BROADCAST");
  assert.deepEqual([all.namespace, all.rooms, all.except, all.flags, all.request], ["/", [], [], 0, 0]);
  assert.deepEqual(all.packet.args, ["all", 1]);
  io.of("/n").to("a").to(["b", "c"]).except("d").volatile.compress(false).local.emit("some");
  const some = await peer.expect("BROADCAST");
  assert.deepEqual([some.namespace, some.rooms, some.except, some.flags], ["/n", ["a", "b", "c"], ["d"], 7]);
  socket.to("r").emit("others");
  const others = await peer.expect("BROADCAST");
  assert.deepEqual([others.rooms, others.except], [["r"], [client.id]]);
  socket.broadcast.emit("x");
  assert.deepEqual((await peer.expect("BROADCAST")).except, [client.id]);
  await turns();
  assert.deepEqual(peer.frames, []);
});

everywhere("joins, broadcasts and emits leave in the order in which they were made", async ({ start }) => {
  const { io, peer } = await start();
  const { socket } = await connected(io, peer);
  socket.join("a");
  io.to("a").emit("1");
  socket.leave("a");
  socket.emit("2");
  io.emit("3");
  for (const type of ["JOIN", "BROADCAST", "LEAVE", "EMIT", "BROADCAST"]) await peer.expect(type);
});

everywhere("what is done in one turn leaves in one write", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  socket.on("go", () => {
    for (let i = 0; i < 20; i++) socket.emit("e", i);
    Promise.resolve().then(() => socket.emit("later"));
    process.nextTick(() => socket.emit("later"));
  });
  const { reads } = peer;
  peer.send(peer.event(client, ["go"]), peer.event(client, ["go"]));
  for (let i = 0; i < 44; i++) await peer.expect("EMIT");
  assert.equal(peer.reads, reads + 1);
});

everywhere("catch-all listeners for what is sent hear broadcasts that reach their socket", async ({ start }) => {
  const { io, peer } = await start();
  const one = await connected(io, peer);
  const two = await connected(io, peer);
  one.socket.join("a");
  const heard = [];
  one.socket.onAnyOutgoing((...args) => heard.push(args));
  two.socket.prependAnyOutgoing(() => assert.fail("not in the room"));
  two.socket.offAnyOutgoing();
  io.to("a").emit("x", 1);
  io.to("b").emit("y");
  io.except("a").emit("z");
  one.socket.emit("direct");
  assert.deepEqual(heard, [["x", 1], ["direct"]]);
});

everywhere("a broadcast with acknowledgements collects the answers of all servers' clients", async ({ start }) => {
  const { io, peer } = await start();
  peer.send(["PEERS", { links: 3 }]);
  await turns();
  const answers = io.timeout(4000).emitWithAck("q", 1);
  const asked = await peer.expect("BROADCAST");
  assert.deepEqual([asked.flags, asked.timeout], [8, 4000]);
  const { request } = asked;
  peer.send(["ANSWER", { request, packet: ["a", "ignored"] }], ["ASKED", { request, clients: 2 }]);
  peer.send(["ANSWER", { request, packet: { args: [{ _placeholder: true, num: 0 }], attachments: [Buffer.from("bin")] } }], ["ANSWERED", { request, timedOut: 0 }]);
  assert.deepEqual(await answers, ["a", Buffer.from("bin")]);
});

everywhere("a broadcast with acknowledgements that nobody gets has no answers", async ({ start }) => {
  const { io, peer } = await start();
  const answers = io.to("empty").timeout(4000).emitWithAck("q");
  const { request } = await peer.expect("BROADCAST");
  peer.send(["ASKED", { request, clients: 0 }], ["ANSWERED", { request, timedOut: 0 }]);
  assert.deepEqual(await answers, []);
});

everywhere("a broadcast whose acknowledgements do not come in time fails with those that did", async ({ start }) => {
  const { io, peer } = await start();
  const answers = io.timeout(30).emitWithAck("q");
  const { request } = await peer.expect("BROADCAST");
  peer.send(["ASKED", { request, clients: 2 }], ["ANSWER", { request, packet: ["one"] }]);
  await assert.rejects(answers, (error) => {
    assert.equal(error.message, "operation has timed out");
    assert.deepEqual(error.responses, ["one"]);
    return true;
  });
});

everywhere("fetchSockets() gives local sockets as themselves and describes the others", async ({ start, version }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  const fetching = io.in("a").except("b").fetchSockets();
  const { request, namespace, rooms, except } = await peer.expect("FETCH");
  assert.deepEqual([namespace, rooms, except], ["/", ["a"], ["b"]]);
  const remote = { socket: { slot: 900, generation: 1, shard: 0 }, id: "remote-id-0000000000", rooms: ["a"], data: '{"n":1}', handshake: HANDSHAKE };
  const local = { socket: client.socket, id: client.id, rooms: ["a"], data: "", handshake: HANDSHAKE };
  peer.send(["FETCHED", { request, last: 0, sockets: [local] }], ["FETCHED", { request, last: 1, sockets: [remote] }]);
  const found = await fetching;
  assert.equal(found[0], socket);
  assert.equal(found[1].id, remote.id);
  assert.deepEqual([...found[1].rooms], [remote.id, "a"]);
  assert.deepEqual(found[1].data, { n: 1 });
  assert.deepEqual(found[1].handshake, HANDSHAKE);
  found[1].emit("hello");
  assert.deepEqual((await peer.expect("BROADCAST")).rooms, [remote.id]);
  found[1].join("new");
  const join = await peer.expect("SOCKETS_JOIN");
  assert.deepEqual([join.rooms, join.join], [[remote.id], ["new"]]);
  const answer = found[1].timeout(1000).emitWithAck("q");
  const asked = await peer.expect("BROADCAST");
  peer.send(["ASKED", { request: asked.request, clients: 1 }], ["ANSWER", { request: asked.request, packet: ["single"] }]);
  // Old versions lose the answer of a single remote socket, whatever the adapter.
  assert.equal(await answer, version === "socket.io" ? "single" : null);
  found[1].disconnect(true);
  assert.equal((await peer.expect("DISCONNECT_SOCKETS")).close, 1);
});

everywhere("fetchSockets() of local sockets asks nobody", async ({ start }) => {
  const { io, peer } = await start();
  const { socket } = await connected(io, peer);
  assert.deepEqual(await io.local.fetchSockets(), [socket]);
  await turns();
  assert.deepEqual(peer.frames, []);
});

everywhere("allSockets() gives ids", async ({ start }) => {
  const { io, peer } = await start();
  const asking = io.in("a").allSockets();
  const { request } = await peer.expect("FETCH");
  peer.send(["FETCHED", { request, last: 1, sockets: [{ socket: peer.key(), id: "remote-id-0000000000", rooms: [], data: "", handshake: HANDSHAKE }] }]);
  assert.deepEqual(await asking, new Set(["remote-id-0000000000"]));
});

everywhere("socketsJoin() and socketsLeave() are one frame, and change the rooms known here", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  const other = await connected(io, peer);
  io.in(client.id).socketsJoin(["a", "b"]);
  const joined = await peer.expect("SOCKETS_JOIN");
  assert.deepEqual([joined.rooms, joined.join], [[client.id], ["a", "b"]]);
  assert.deepEqual([...socket.rooms], [client.id, "a", "b"]);
  assert.equal(other.socket.rooms.has("a"), false);
  io.in("a").socketsLeave("a");
  const left = await peer.expect("SOCKETS_LEAVE");
  assert.deepEqual([left.rooms, left.leave], [["a"], ["a"]]);
  assert.equal(socket.rooms.has("a"), false);
  await turns();
  assert.deepEqual(peer.frames, []);
});

everywhere("a socket can leave a room that another process put it into, and join one it was taken out of", async ({ start }) => {
  const { io, peer } = await start();
  const { socket } = await connected(io, peer);
  socket.leave("theirs");
  assert.deepEqual((await peer.expect("LEAVE")).rooms, ["theirs"]);
  for (let i = 0; i < 2; i++) {
    socket.join("ours");
    assert.deepEqual((await peer.expect("JOIN")).rooms, ["ours"]);
  }
});

everywhere("disconnectSockets() is one frame, and the gateway's answer ends the sockets of this process", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  io.disconnectSockets(true);
  const frame = await peer.expect("DISCONNECT_SOCKETS");
  assert.deepEqual([frame.namespace, frame.rooms, frame.close], ["/", [], 1]);
  const ended = next(socket, "disconnect");
  peer.send(["DISCONNECTED", { socket: client.socket, reason: 17 }]);
  assert.equal((await ended)[0], "server namespace disconnect");
});

everywhere("serverSideEmit() goes to the other servers, and from them", async ({ start }) => {
  const { io, peer } = await start();
  io.serverSideEmit("news", { a: 1 });
  const sent = await peer.expect("SERVER_EMIT");
  assert.deepEqual([sent.namespace, sent.request, sent.args], ["/", 0, ["news", { a: 1 }]]);
  const heard = next(io, "news");
  peer.send(["SERVER_EVENT", { token: 0, namespace: "/", args: ["news", 2] }]);
  assert.deepEqual(await heard, [2]);
  io.on("question", (x, answer) => {
    answer(x + 1);
    answer("again");
  });
  peer.send(["SERVER_EVENT", { token: 0x1_0000_0005, namespace: "/", args: ["question", 1] }]);
  const answer = await peer.expect("SERVER_ACK");
  assert.deepEqual([answer.token, answer.value], [0x1_0000_0005, 2]);
});

everywhere("serverSideEmit() with a callback collects answers, and says what is missing", async ({ start }) => {
  const { io, peer } = await start();
  const all = io.serverSideEmitWithAck("q");
  const first = await peer.expect("SERVER_EMIT");
  peer.send(["SERVER_RESPONSES", { request: first.request, asked: 2, values: [1, null] }]);
  assert.deepEqual(await all, [1, null]);
  const some = io.serverSideEmitWithAck("q");
  const second = await peer.expect("SERVER_EMIT");
  peer.send(["SERVER_RESPONSES", { request: second.request, asked: 3, values: ["x"] }]);
  await assert.rejects(some, (error) => {
    assert.equal(error.message, "timeout reached: only 1 responses received out of 3");
    assert.deepEqual(error.responses, ["x"]);
    return true;
  });
});

everywhere("serverSideEmit() refuses what it cannot carry", async ({ start }) => {
  const { io } = await start();
  assert.throws(() => io.serverSideEmit("x", Buffer.from("y")), TypeError);
});

everywhere("the number of servers is what the gateway says", async ({ start }) => {
  const { io, link, peer } = await start();
  assert.equal(await io.of("/").adapter.serverCount(), 1);
  const told = next(link, "peers");
  peer.send(["PEERS", { links: 4 }]);
  assert.deepEqual(await told, [4]);
  assert.equal(await io.of("/").adapter.serverCount(), 4);
});

everywhere("listeners of the adapter that was there before hear the new one", async ({ t, Server }) => {
  const joined = [];
  const { io, peer } = await startAt(t, Server, { setup: (io) => io.of("/").adapter.on("join-room", (room) => joined.push(room)) });
  const { client } = await connected(io, peer);
  assert.deepEqual(joined, [client.id]);
});

everywhere("namespaces are served from the start, when they come, and patterns by a flag", async ({ start }) => {
  const { io, peer } = await start({ setup: (io) => io.of("/early") });
  assert.deepEqual([peer.served.flags, peer.served.namespaces], [0, ["/", "/early"]]);
  io.of("/late").on("connection", () => {});
  assert.deepEqual((await peer.expect("SERVE")).namespaces, ["/late"]);
  io.of(/^\/dynamic-\d+$/);
  const pattern = await peer.expect("SERVE");
  assert.deepEqual([pattern.flags, pattern.namespaces], [1, []]);
});

everywhere("a pattern decides about a namespace; its child is served, and withdrawn when it is empty", async ({ start }) => {
  const { io, peer } = await start({ server: { cleanupEmptyChildNamespaces: true }, setup: (io) => io.of(/^\/d-\d$/) });
  assert.equal(peer.served.flags, 1);
  const order = [];
  io.of(/^\/f-\d$/).use((socket, next) => {
    order.push(socket.id);
    next();
  });
  const client = peer.client({ namespace: "/f-1" });
  peer.send(["CONNECT", client]);
  assert.deepEqual((await peer.expect("SERVE")).namespaces, ["/f-1"]);
  await peer.expect("ACCEPT");
  assert.deepEqual(order, [client.id]);
  peer.send(["DISCONNECTED", { socket: client.socket, reason: 1 }]);
  assert.deepEqual((await peer.expect("WITHDRAW")).namespaces, ["/f-1"]);
  peer.send(["CONNECT", peer.client({ namespace: "/other" })]);
  await peer.expect("DECLINE");
});

everywhere("an offer can be confined to some namespaces", async ({ start }) => {
  const { io, peer } = await start({ attach: { namespaces: ["/admin"] }, setup: (io) => io.of("/admin") });
  assert.deepEqual(peer.served.namespaces, ["/admin"]);
  io.of("/more");
  await turns();
  assert.deepEqual(peer.frames, []);
});

everywhere("without a gateway a broadcast reaches nobody, and questions fail", async ({ t, start }) => {
  const gateway = await gatewayFor(t);
  const { io, link } = await start({ gateway });
  const lost = next(link, "disconnect");
  await gateway.close();
  await lost;
  io.emit("nobody");
  await assert.rejects(io.fetchSockets(), { code: "TIDEGATE_NOT_CONNECTED" });
  await assert.rejects(io.serverSideEmitWithAck("q"), { code: "TIDEGATE_NOT_CONNECTED" });
  await assert.rejects(io.timeout(5).emitWithAck("q"), { message: "operation has timed out" });
});
