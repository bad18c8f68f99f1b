"use strict";
const assert = require("node:assert/strict");
const { connected, everywhere, turns, warnings } = require("./support.js");

const ADOPTED = { flags: 1, rooms: ["a", "b"], data: '{"user":"u","n":1}' };

everywhere("an adopted socket is recovered: its id, rooms and data, without middlewares and without a frame but ACCEPT", async ({ start }) => {
  const { io, peer } = await start();
  io.use(() => assert.fail("it has passed them before"));
  const { socket, client } = await connected(io, peer, ADOPTED);
  assert.equal(socket.recovered, true);
  assert.equal(socket.id, client.id);
  assert.deepEqual([...socket.rooms].sort(), ["a", "b", client.id].sort());
  assert.deepEqual(socket.data, { user: "u", n: 1 });
  assert.deepEqual(socket.handshake.auth, { token: "t" });
  await turns();
  assert.deepEqual(peer.frames, []);
});

everywhere("the next socket is not recovered, and the options are the user's", async ({ start }) => {
  const { io, peer } = await start();
  await connected(io, peer, ADOPTED);
  const { socket } = await connected(io, peer);
  assert.equal(socket.recovered, false);
  assert.equal(socket.pid, undefined);
  assert.equal(io.opts.connectionStateRecovery, undefined);
});

everywhere("middlewares run for adopted sockets if they are asked to", async ({ start }) => {
  const { io, peer } = await start({ attach: { skipMiddlewares: false } });
  const seen = [];
  io.use((socket, next) => {
    seen.push([socket.recovered, socket.data.user, socket.rooms.has("a")]);
    next(socket.data.n === 2 ? new Error("no longer") : undefined);
  });
  await connected(io, peer, ADOPTED);
  peer.send(["CONNECT", peer.client({ ...ADOPTED, data: '{"user":"v","n":2}' })]);
  assert.equal((await peer.expect("REJECT")).message, "no longer");
  assert.deepEqual(seen, [[true, "u", true], [true, "v", true]]);
});

everywhere("an adopted socket in a namespace of a pattern is recovered, too", async ({ start }) => {
  const { io, peer } = await start({ setup: (io) => io.of(/^\/d-/) });
  peer.send(["CONNECT", peer.client({ ...ADOPTED, namespace: "/d-1" })]);
  assert.deepEqual((await peer.expect("SERVE")).namespaces, ["/d-1"]);
  await peer.expect("ACCEPT");
  const [socket] = io.of("/d-1").sockets.values();
  assert.equal(socket.recovered, true);
});

everywhere("data is sent at the end of the turn that changed it, and only then", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  socket.data.a = 1;
  socket.data.b = 2;
  const first = await peer.expect("DATA");
  assert.deepEqual(first.socket, client.socket);
  assert.deepEqual(first.data, { a: 1, b: 2 });
  assert.equal(socket.data.a, 1);
  await turns();
  assert.deepEqual(peer.frames, []);
  socket.data = { whole: "new" };
  assert.deepEqual((await peer.expect("DATA")).data, { whole: "new" });
  assert.deepEqual(Object.keys(socket).includes("data"), true);
});

everywhere("data that was set in a middleware is sent", async ({ start }) => {
  const { io, peer } = await start();
  io.use((socket, next) => {
    socket.data.user = "u";
    next();
  });
  peer.send(["CONNECT", peer.client()]);
  await peer.expect("ACCEPT");
  assert.deepEqual((await peer.expect("DATA")).data, { user: "u" });
});

everywhere("a change through a reference that was kept is found within a second", async ({ start }) => {
  const { io, peer } = await start();
  const { socket } = await connected(io, peer);
  const { data } = socket;
  await turns();
  data.late = true;
  assert.deepEqual((await peer.expect("DATA")).data, { late: true });
});

everywhere("data that is too long, or no JSON, is a warning, and not sent", async ({ t, start }) => {
  const told = warnings(t, "TIDEGATE_DATA");
  const { io, peer } = await start();
  const { socket } = await connected(io, peer);
  socket.data.long = "x".repeat(70_000);
  await turns();
  socket.data = { big: 1n };
  await turns();
  assert.equal(told.length, 2);
  assert.match(told[0], /65536/);
  assert.deepEqual(peer.frames, []);
  socket.data = { ok: 1 };
  assert.deepEqual((await peer.expect("DATA")).data, { ok: 1 });
});

everywhere("drain() gives every socket back: data first, then RELEASED, without a disconnect", async ({ start }) => {
  const { io, link, peer } = await start();
  const { socket, client } = await connected(io, peer);
  const seen = [];
  socket.on("disconnect", () => assert.fail("it lives on elsewhere"));
  socket.on("last", (ack) => {
    seen.push("event");
    socket.data.last = true;
    ack("done");
  });
  link.on("handover", (handed) => {
    assert.equal(handed, socket);
    seen.push("handover");
    handed.data.handed = true;
  });
  const drained = link.drain();
  await peer.expect("DRAIN");
  peer.send(peer.event(client, ["last"], 9), ["HANDOVER", { socket: client.socket }]);
  assert.deepEqual((await peer.expect("ACK")).packet.args, ["done"]);
  let data = (await peer.expect("DATA")).data;
  if (!data.handed) data = (await peer.expect("DATA")).data;
  assert.deepEqual(data, { last: true, handed: true });
  assert.deepEqual((await peer.expect("RELEASED")).socket, client.socket);
  assert.deepEqual(seen, ["event", "handover"]);
  assert.equal(io.of("/").sockets.size, 0);
  assert.equal(socket.connected, false);
  socket.emit("late");
  assert.deepEqual((await peer.expect("EMIT")).packet.args, ["late"]);
  peer.send(["DRAINED", {}]);
  await drained;
  await link.close();
  assert.deepEqual(peer.frames, []);
});

everywhere("drain() waits for acknowledgements that handlers owe, but not for ever", async ({ start }) => {
  const { io, link, peer } = await start();
  const { socket, client } = await connected(io, peer);
  const other = await connected(io, peer);
  let answer;
  socket.on("slow", (ack) => (answer = ack));
  other.socket.on("slow", () => {});
  const drained = link.drain({ grace: 300 });
  await peer.expect("DRAIN");
  peer.send(
    peer.event(client, ["slow"], 1), ["HANDOVER", { socket: client.socket }],
    peer.event(other.client, ["slow"], 1), ["HANDOVER", { socket: other.client.socket }],
  );
  await turns(10);
  assert.deepEqual(peer.frames, []);
  answer("at last");
  await peer.expect("ACK");
  assert.deepEqual((await peer.expect("RELEASED")).socket, client.socket);
  assert.deepEqual((await peer.expect("RELEASED")).socket, other.client.socket);
  peer.send(["DRAINED", {}]);
  await drained;
});

everywhere("drain() gives back at once whom no middleware has let in, and takes nobody new", async ({ start }) => {
  const { io, link, peer } = await start();
  let go;
  io.use((_socket, next) => (go = next));
  io.on("connection", () => assert.fail("it is another's"));
  const waiting = peer.client();
  peer.send(["CONNECT", waiting]);
  while (go === undefined) await turns(1);
  const drained = link.drain();
  await peer.expect("DRAIN");
  const late = peer.client();
  peer.send(["CONNECT", late], ["HANDOVER", { socket: waiting.socket }], ["HANDOVER", { socket: late.socket }]);
  const released = [await peer.expect("RELEASED"), await peer.expect("RELEASED")].map(({ socket }) => socket.slot);
  assert.deepEqual(released.sort(), [waiting.socket.slot, late.socket.slot].sort());
  go();
  peer.send(["DRAINED", {}]);
  await drained;
  await turns();
  assert.deepEqual(peer.frames, []);
});

everywhere("DRAIN comes behind what waits for credit", async ({ start }) => {
  const { io, link, peer } = await start({ limits: { window: 20 } });
  const { socket } = await connected(io, peer);
  socket.emit("1");
  socket.emit("2");
  void link.drain();
  await peer.expect("EMIT");
  await turns();
  assert.deepEqual(peer.frames, []);
  peer.send(["CREDIT", { bytes: 1000 }]);
  await peer.expect("EMIT");
  await peer.expect("DRAIN");
});

everywhere("drain() is over when the link is, and the link is not dialled again", async ({ start }) => {
  const { gateway, link, peer } = await start();
  const drained = link.drain();
  await peer.expect("DRAIN");
  peer.destroy();
  await drained;
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(gateway.dialled, 1);
  await link.drain();
});
