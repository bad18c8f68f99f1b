// Rooms, broadcasts, broadcasts with ack, and operations on other sockets.
//
// That something was *not* delivered is proved by order: the sender broadcasts a marker to everybody after it, and what
// has not come before the marker does not come.

import assert from "node:assert/strict";
import { ask, collect, next, settled } from "../lib/clients.mjs";

const TIMED_OUT = "operation has timed out";

/** Named sockets in `/behaviours`, each in the given rooms: the deliveries of one event are counted by name. */
async function company(lab, roomsOf) {
  const names = Object.keys(roomsOf);
  const [news, marker] = [lab.name("news"), lab.name("marker")];
  const sockets = {};
  const heard = {};
  await Promise.all(
    names.map(async (name) => {
      const socket = await lab.connect();
      if (roomsOf[name].length > 0) await ask(socket, "join", roomsOf[name]);
      sockets[name] = socket;
      heard[name] = collect(socket, news);
    }),
  );
  const ids = names.map((name) => sockets[name].id);

  /** Does it as `name`, then waits until everybody has what there is; returns who heard, and how often. */
  const broadcast = async (name, command, what) => {
    for (const list of Object.values(heard)) list.length = 0;
    await ask(sockets[name], command, { ev: news, args: ["!"], ...what });
    const markers = names.map((each) => next(sockets[each], marker));
    await ask(sockets[name], "in", { rooms: ids, ev: marker });
    await Promise.all(markers);
    return names.flatMap((each) => heard[each].map(() => each));
  };
  return { sockets, ids, broadcast };
}

const membership = [
  {
    name: "a socket is in the room of its id, joins and leaves rooms, and twice is once",
    async run(lab) {
      const socket = await lab.connect();
      const [a, b] = [lab.name("a"), lab.name("b")];
      assert.deepEqual(await ask(socket, "rooms"), [socket.id]);
      assert.deepEqual(await ask(socket, "join", [a]), [socket.id, a].sort());
      assert.deepEqual(await ask(socket, "join", [a, b, a]), [socket.id, a, b].sort());
      assert.deepEqual(await ask(socket, "leave", a), [socket.id, b].sort());
      assert.deepEqual(await ask(socket, "leave", a), [socket.id, b].sort());
      assert.deepEqual(await ask(socket, "leave", "never joined"), [socket.id, b].sort());
    },
  },
  {
    name: "the names of rooms are any strings, and case matters",
    async run(lab) {
      const socket = await lab.connect();
      const base = lab.name();
      const odd = [`${base}A`, `${base}a`, `${base}é😀`, `${base},/"\\`, `${base}${"x".repeat(2000)}`, ""];
      await ask(socket, "join", odd);
      for (const room of odd) {
        const heard = next(socket, "news");
        await ask(socket, "in", { rooms: [room], except: [], ev: "news", args: [room] });
        assert.deepEqual(await heard, [room]);
      }
    },
  },
];

const broadcasts = [
  {
    name: "a broadcast to a room reaches its members, and not the sender",
    async run(lab) {
      const room = lab.name();
      const { broadcast } = await company(lab, { sender: [room], member: [room], stranger: [] });
      assert.deepEqual(await broadcast("sender", "to", { rooms: [room] }), ["member"]);
      assert.deepEqual(await broadcast("stranger", "to", { rooms: [room] }), ["sender", "member"]);
      assert.deepEqual(await broadcast("sender", "in", { rooms: [room] }), ["sender", "member"]);
      assert.deepEqual(await broadcast("sender", "to", { rooms: [lab.name("empty")] }), []);
    },
  },
  {
    name: "a broadcast to several rooms reaches each socket once",
    async run(lab) {
      const [a, b, c] = [lab.name(), lab.name(), lab.name()];
      const { broadcast } = await company(lab, { sender: [a, b, c], one: [a], two: [a, b], all: [a, b, c], none: [] });
      assert.deepEqual(await broadcast("sender", "to", { rooms: [a, b] }), ["one", "two", "all"]);
      assert.deepEqual(await broadcast("sender", "in", { rooms: [b, c] }), ["sender", "two", "all"]);
      assert.deepEqual(await broadcast("none", "to", { rooms: [a, a, a] }), ["sender", "one", "two", "all"]);
    },
  },
  {
    name: "a broadcast leaves out who is in an excepted room",
    async run(lab) {
      const [a, b, c] = [lab.name(), lab.name(), lab.name()];
      const { sockets, broadcast } = await company(lab, { sender: [], plain: [a], both: [a, b], third: [a, c] });
      assert.deepEqual(await broadcast("sender", "in", { rooms: [a], except: [b] }), ["plain", "third"]);
      assert.deepEqual(await broadcast("sender", "to", { rooms: [a], except: [b, c] }), ["plain"]);
      assert.deepEqual(await broadcast("sender", "to", { rooms: [a], except: [a] }), []);
      assert.deepEqual(await broadcast("sender", "in", { rooms: [a], except: [sockets.plain.id] }), ["both", "third"]);
    },
  },
  {
    name: "a broadcast without rooms reaches the namespace",
    async run(lab) {
      const { broadcast } = await company(lab, { sender: [], one: [], two: [lab.name()] });
      assert.deepEqual(await broadcast("sender", "to", {}), ["one", "two"]);
      assert.deepEqual(await broadcast("sender", "in", {}), ["sender", "one", "two"]);
    },
  },
  {
    name: "the id of a socket is a room others can send to",
    async run(lab) {
      const { sockets, broadcast } = await company(lab, { sender: [], friend: [], other: [] });
      assert.deepEqual(await broadcast("sender", "to", { rooms: [sockets.friend.id] }), ["friend"]);
      assert.deepEqual(await broadcast("sender", "to", { rooms: [sockets.sender.id] }), []);
    },
  },
  {
    name: "who left a room hears nothing more of it",
    async run(lab) {
      const room = lab.name();
      const { sockets, broadcast } = await company(lab, { sender: [], stays: [room], leaves: [room] });
      assert.deepEqual(await broadcast("sender", "to", { rooms: [room] }), ["stays", "leaves"]);
      await ask(sockets.leaves, "leave", room);
      assert.deepEqual(await broadcast("sender", "to", { rooms: [room] }), ["stays"]);
    },
  },
  {
    name: "rooms of the same name in two namespaces are two rooms",
    async run(lab) {
      const room = lab.name();
      const socket = await lab.connect();
      const custom = await lab.beside(socket, "/custom");
      await ask(socket, "join", [room]);
      const heard = collect(custom, "news");
      const mine = next(socket, "news");
      await ask(socket, "in", { rooms: [room], ev: "news" });
      await ask(socket, "emit-in", { nsp: "/custom", rooms: [room], ev: "news" });
      await mine;
      const marker = next(custom, "marker");
      await ask(socket, "emit-in", { nsp: "/custom", rooms: [custom.id], ev: "marker" });
      await marker;
      assert.deepEqual(heard, []);
    },
  },
  {
    name: "a broadcast to the pattern reaches every dynamic namespace",
    async run(lab) {
      const socket = await lab.connect();
      const children = await Promise.all(["/dyn-101", "/dyn-102"].map((name) => lab.connect(name)));
      const ev = lab.name("news");
      const heard = children.map((child) => next(child, ev));
      await ask(socket, "emit-in", { nsp: "dynamic", ev, args: [7] });
      assert.deepEqual(await Promise.all(heard), [[7], [7]]);
    },
  },
  {
    name: "a broadcast carries binary and every value, to every member alike",
    async run(lab) {
      const room = lab.name();
      const crowd = await lab.crowd(5);
      await Promise.all(crowd.map((socket) => ask(socket, "join", [room])));
      const heard = crowd.map((socket) => next(socket, "news"));
      const value = { "€": [null, "😀\ud800", { deep: Buffer.of(1, 2, 3) }] };
      await ask(crowd[0], "in", { rooms: [room], ev: "news", args: [value, Buffer.alloc(0)] });
      for (const [got, empty] of await Promise.all(heard)) {
        assert.deepEqual([...new Uint8Array(got["€"][2].deep)], [1, 2, 3]);
        assert.equal(got["€"][1], "😀\ud800");
        assert.equal(empty.byteLength, 0);
      }
    },
  },
  {
    name: "the flags of a broadcast are taken",
    async run(lab) {
      const room = lab.name();
      const { broadcast } = await company(lab, { sender: [room], member: [room] });
      for (const flags of [{ compress: true }, { compress: false }, { local: true }, { local: true, compress: false }]) {
        assert.deepEqual(await broadcast("sender", "to", { rooms: [room], flags }), ["member"]);
      }
    },
  },
  {
    name: "a volatile broadcast reaches idle WebSockets",
    skip: (lab) => lab.mode === "polling" && "it depends on a poll being there",
    async run(lab) {
      const crowd = await lab.crowd(3);
      await Promise.all(crowd.map((socket) => settled(socket, lab.mode)));
      for (const socket of crowd) await ask(socket, "nsp");
      const heard = crowd.slice(1).map((socket) => next(socket, "news"));
      await ask(crowd[0], "to", { rooms: crowd.map(({ id }) => id), flags: { volatile: true }, ev: "news" });
      await Promise.all(heard);
    },
  },
  {
    name: "two hundred broadcasts of one sender arrive everywhere in order",
    async run(lab) {
      const room = lab.name();
      const crowd = await lab.crowd(5);
      await Promise.all(crowd.map((socket) => ask(socket, "join", [room])));
      const heard = crowd.map((socket) => collect(socket, "n"));
      const numbers = Array.from({ length: 200 }, (_, i) => i);
      const last = crowd.map((socket) => next(socket, "last"));
      for (const i of numbers) crowd[0].emit("in", { rooms: [room], ev: "n", args: [i] }, () => {});
      await ask(crowd[0], "in", { rooms: [room], ev: "last" });
      await Promise.all(last);
      for (const list of heard) assert.deepEqual(list, numbers);
    },
  },
];

/** Sockets that answer `question` with their index, except the silent ones. */
async function panel(lab, count, silent = []) {
  const room = lab.name();
  const crowd = await lab.crowd(count);
  await Promise.all(
    crowd.map((socket, i) => {
      socket.on("question", (x, answer) => silent.includes(i) || answer(i + x, "only the first argument counts"));
      return ask(socket, "join", [room]);
    }),
  );
  return { room, crowd };
}

const withAck = [
  {
    name: "a broadcast with ack collects the first argument of every answer",
    async run(lab) {
      const { room, crowd } = await panel(lab, 4);
      const what = { rooms: [room], timeout: 15_000, ev: "question", args: [100] };
      const all = await ask(crowd[0], "broadcast-ack", { ...what, from: "namespace" });
      assert.equal(all.err, null);
      assert.deepEqual(all.res.sort(), [100, 101, 102, 103]);
      const others = await ask(crowd[0], "broadcast-ack", { ...what, from: "socket" });
      assert.equal(others.err, null);
      assert.deepEqual(others.res.sort(), [101, 102, 103]);
    },
  },
  {
    name: "a broadcast with ack that times out says so, with the answers it has",
    async run(lab) {
      const { room, crowd } = await panel(lab, 4, [2]);
      // Long enough for those who answer: what times out is the one who never does.
      const what = { rooms: [room], timeout: 1500, ev: "question", args: [100], from: "namespace" };
      const { err, res } = await ask(crowd[0], "broadcast-ack", what);
      assert.equal(err, TIMED_OUT);
      assert.deepEqual(res.sort(), [100, 101, 103]);
    },
  },
  {
    name: "a broadcast with ack to nobody is answered at once",
    async run(lab) {
      const socket = await lab.connect();
      const what = { rooms: [lab.name("empty")], timeout: 60_000, ev: "question", from: "namespace" };
      assert.deepEqual(await ask(socket, "broadcast-ack", what), { err: null, res: [] });
    },
  },
  {
    name: "a broadcast with ack collects binary answers",
    async run(lab) {
      const room = lab.name();
      const crowd = await lab.crowd(2);
      for (const [i, socket] of crowd.entries()) {
        socket.on("bytes", (answer) => answer(Buffer.of(i)));
        await ask(socket, "join", [room]);
      }
      const what = { rooms: [room], timeout: 15_000, ev: "bytes", from: "namespace" };
      const { err, res } = await ask(crowd[0], "broadcast-ack", what);
      assert.equal(err, null);
      assert.deepEqual(res.map((bytes) => new Uint8Array(bytes)[0]).sort(), [0, 1]);
    },
  },
];

const others = [
  {
    name: "fetchSockets tells id, rooms, data and auth of who is meant",
    async run(lab) {
      const [room, extra] = [lab.name(), lab.name()];
      const one = await lab.connect("/behaviours", { auth: { who: "one" } });
      const two = await lab.connect("/behaviours", { auth: { who: "two" } });
      await ask(one, "join", [room]);
      await ask(two, "join", [room, extra]);
      assert.deepEqual(await ask(one, "data", { name: "€", n: [1] }), { name: "€", n: [1] });
      const expected = [
        { id: one.id, rooms: [one.id, room].sort(), data: { name: "€", n: [1] }, auth: { who: "one" } },
        { id: two.id, rooms: [two.id, room, extra].sort(), data: {}, auth: { who: "two" } },
      ].sort((a, b) => (a.id < b.id ? -1 : 1));
      assert.deepEqual(await ask(one, "fetch", { rooms: [room] }), expected);
      const but = await ask(one, "fetch", { rooms: [room], except: [extra] });
      assert.deepEqual(but.map(({ id }) => id), [one.id]);
      assert.deepEqual(await ask(one, "fetch", { rooms: [lab.name("empty")] }), []);
      const everybody = (await ask(one, "fetch", {})).map(({ id }) => id);
      assert.ok(everybody.includes(one.id) && everybody.includes(two.id));
    },
  },
  {
    name: "socketsJoin and socketsLeave move others",
    async run(lab) {
      const [room, target] = [lab.name(), lab.name()];
      const { sockets, broadcast } = await company(lab, { caller: [], a: [room], b: [room], c: [] });
      await ask(sockets.caller, "sockets-join", { rooms: [room], except: [sockets.b.id], join: [target, lab.name()] });
      assert.deepEqual(await broadcast("caller", "to", { rooms: [target] }), ["a"]);
      const [a] = await ask(sockets.caller, "fetch", { rooms: [sockets.a.id] });
      assert.ok(a.rooms.includes(target));
      await ask(sockets.caller, "sockets-join", { rooms: [sockets.c.id], join: [target] });
      assert.deepEqual(await broadcast("caller", "to", { rooms: [target] }), ["a", "c"]);
      await ask(sockets.caller, "sockets-leave", { rooms: [room], leave: [target] });
      assert.deepEqual(await broadcast("caller", "to", { rooms: [target] }), ["c"]);
      await ask(sockets.c, "leave", target);
      await ask(sockets.a, "join", [target]);
      assert.deepEqual(await broadcast("caller", "to", { rooms: [target] }), ["a"]);
    },
  },
  {
    name: "disconnectSockets disconnects others, from the namespace or altogether",
    async run(lab) {
      const room = lab.name();
      const [caller, soft, hard] = await lab.crowd(3);
      const beside = await lab.beside(soft, "/custom");
      await settled(hard, lab.mode);
      const ids = [soft.id, hard.id];
      await ask(soft, "join", [room]);
      let gone = next(soft, "disconnect");
      await ask(caller, "disconnect-sockets", { rooms: [room], close: false });
      assert.equal((await gone)[0], "io server disconnect");
      assert.equal(await ask(beside, "echo", "alive"), "alive");
      gone = next(hard, "disconnect");
      const closed = next(hard.io.engine, "close");
      await ask(caller, "disconnect-sockets", { rooms: [hard.id], close: true });
      assert.equal((await gone)[0], "io server disconnect");
      await closed;
      for (const id of ids) {
        assert.equal((await ask(caller, "last-disconnect", id)).reason, "server namespace disconnect");
      }
    },
  },
];

export const roomBehaviours = [...membership, ...broadcasts, ...withAck, ...others];
