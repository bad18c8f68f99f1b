// Connecting, namespaces, refusals, leaving: what a client sees, and what the application saw.

import assert from "node:assert/strict";
import { assertMatch } from "../lib/check.mjs";
import { ask, askAll, collect, connected, next, settled } from "../lib/clients.mjs";

const ID = /^[\w-]{20}$/;

/** The error of a CONNECT that must be refused. */
async function refusal(socket) {
  const [error] = await next(socket, "connect_error");
  assert.equal(socket.connected, false);
  return error;
}

const connecting = [
  {
    name: "a client connects to the root namespace and gets an id that is not its session's",
    async run(lab) {
      const socket = await lab.connect("/");
      assertMatch(socket.id, ID);
      assert.notEqual(socket.id, socket.io.engine.id);
      assert.equal(await ask(socket, "nsp"), "/");
    },
  },
  {
    name: "a client stays on the transport it asked for, or upgrades",
    async run(lab) {
      const socket = await lab.connect();
      await settled(socket, lab.mode);
      assert.equal(socket.io.engine.transport.name, lab.mode === "polling" ? "polling" : "websocket");
      assert.equal(await ask(socket, "echo", 1), 1);
    },
  },
  {
    name: "the auth payload reaches the application, in every namespace that has one",
    async run(lab) {
      for (const namespace of ["/", "/custom"]) {
        const auth = { token: "t€😀", nested: { list: [1, null, true] } };
        const socket = lab.start(namespace, { auth });
        assert.deepEqual((await next(socket, "auth"))[0], auth);
        const without = lab.start(namespace);
        assert.deepEqual((await next(without, "auth"))[0], {});
      }
    },
  },
  {
    name: "the auth payload may be made by a function",
    async run(lab) {
      const socket = await lab.connect("/behaviours", { auth: (use) => use({ made: 1 }) });
      assert.deepEqual((await ask(socket, "handshake")).auth, { made: 1 });
    },
  },
  {
    name: "the handshake tells the application about the first request",
    async run(lab) {
      const before = Date.now();
      const socket = await lab.connect("/behaviours", {
        query: { key: "a b&c=é", empty: "" },
        extraHeaders: { "X-Test": "yes", Cookie: "a=1; b=2" },
      });
      await settled(socket, lab.mode);
      const seen = await ask(socket, "handshake");
      const transport = lab.mode === "websocket" ? "websocket" : "polling";
      assert.equal(seen.query.key, "a b&c=é");
      assert.equal(seen.query.empty, "");
      assert.equal(seen.query.EIO, "4");
      assert.equal(seen.query.transport, transport);
      assert.equal(seen.headers["x-test"], "yes");
      assert.equal(seen.headers.cookie, "a=1; b=2");
      assertMatch(seen.url, new RegExp(`^/socket\\.io/\\?.*EIO=4&transport=${transport}`));
      assert.ok(["127.0.0.1", "::1", "::ffff:127.0.0.1"].includes(seen.address), seen.address);
      assert.equal(seen.secure, false);
      assert.equal(seen.xdomain, false);
      assert.ok(Math.abs(seen.issued - before) < 60_000);
      assertMatch(seen.time, /^[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d{4} \d\d:\d\d:\d\d GMT[+-]\d{4}/);
    },
  },
  {
    name: "many clients at once all get ids of their own",
    async run(lab) {
      const sockets = await lab.crowd(30);
      assert.equal(new Set(sockets.map(({ id }) => id)).size, 30);
    },
  },
  {
    name: "events emitted before the connection are sent after it, in order",
    async run(lab) {
      const socket = lab.start("/behaviours");
      const seen = collect(socket, "echo");
      for (let i = 0; i < 20; i++) socket.emit("echo", i);
      assert.equal(await ask(socket, "echo", "last"), "last");
      assert.deepEqual(seen, Array.from({ length: 20 }, (_, i) => i));
    },
  },
  {
    name: "what the application emits on connect is the first event",
    async run(lab) {
      const socket = lab.start("/behaviours", { auth: { welcome: true } });
      const [id] = await next(socket, "welcome");
      assert.equal(id, socket.id);
    },
  },
];

const namespaces = [
  {
    name: "other namespaces are connected, each with its own id",
    async run(lab) {
      const root = await lab.connect("/");
      const admin = await lab.beside(root, "/admin");
      const custom = await lab.beside(root, "/custom");
      assert.equal(await ask(admin, "nsp"), "/admin");
      assert.equal(await ask(custom, "nsp"), "/custom");
      assert.equal(new Set([root.id, admin.id, custom.id, root.io.engine.id]).size, 4);
    },
  },
  {
    name: "an unknown namespace is refused, and the connection lives for others",
    async run(lab) {
      const root = await lab.connect("/");
      const unknown = lab.startBeside(root, "/unknown");
      assert.equal((await refusal(unknown)).message, "Invalid namespace");
      assert.equal(await ask(root, "echo", "alive"), "alive");
    },
  },
  {
    name: "a dynamic namespace exists by its pattern",
    async run(lab) {
      const number = 1_000_000 + Math.floor(Math.random() * 1e9);
      const dynamic = await lab.connect(`/dyn-${number}`);
      assert.equal(await ask(dynamic, "nsp"), `/dyn-${number}`);
      const refused = lab.start("/dyn-abc");
      assert.equal((await refusal(refused)).message, "Invalid namespace");
    },
  },
  {
    name: "a middleware refuses with a message, and with data if it wants to",
    async run(lab) {
      const plain = await refusal(lab.start("/mw"));
      assert.equal(plain.message, "nope");
      assert.equal(plain.data, undefined);
      const detailed = await refusal(lab.start("/mw", { auth: { data: true } }));
      assert.equal(detailed.message, "nope");
      assert.deepEqual(detailed.data, { code: 42 });
      const odd = await refusal(lab.start("/behaviours", { auth: { reject: 'sorry "you"\n€😀', data: [null, "x"] } }));
      assert.equal(odd.message, 'sorry "you"\n€😀');
      assert.deepEqual(odd.data, [null, "x"]);
    },
  },
  {
    name: "a refused client may try again on the same connection until it is let in",
    async run(lab) {
      const root = await lab.connect("/");
      const socket = lab.startBeside(root, "/gate", { auth: { key: lab.name() } });
      for (const left of [2, 1, 0]) {
        const error = await refusal(socket);
        assert.equal(error.message, "closed");
        assert.deepEqual(error.data, { left });
        socket.connect();
      }
      await connected(socket);
      assert.equal(await ask(socket, "echo", "in"), "in");
    },
  },
  {
    name: "a CONNECT that waits does not hold up other namespaces of the connection",
    async run(lab) {
      const key = lab.name("gate");
      const root = await lab.connect("/");
      const held = lab.startBeside(root, "/behaviours", { auth: { hold: key } });
      const helper = await lab.connect();
      assert.equal(await ask(root, "echo", "meanwhile"), "meanwhile");
      assert.equal(held.connected, false);
      await Promise.all([connected(held), ask(helper, "release", key)]);
      assert.equal(await ask(held, "nsp"), "/behaviours");
    },
  },
  {
    name: "a client that goes away while its CONNECT waits does no harm",
    async run(lab) {
      const key = lab.name("gate");
      const root = await lab.connect("/");
      const helper = await lab.connect();
      const held = lab.startBeside(root, "/behaviours", { auth: { hold: key } });
      assert.equal(await ask(root, "echo", 1), 1);
      const { id } = root;
      root.io.engine.close();
      assert.deepEqual((await ask(helper, "last-disconnect", id)).rooms, [id]);
      await ask(helper, "release", key);
      assert.equal(await ask(helper, "echo", "alive"), "alive");
    },
  },
  {
    name: "leaving one namespace keeps the others",
    async run(lab) {
      const root = await lab.connect("/");
      const admin = await lab.beside(root, "/admin");
      const { id } = admin;
      const helper = await lab.connect();
      admin.disconnect();
      assert.equal((await ask(helper, "last-disconnect", id)).reason, "client namespace disconnect");
      assert.equal(await ask(root, "echo", "alive"), "alive");
      admin.connect();
      await connected(admin);
      assert.notEqual(admin.id, id);
      assert.equal(await ask(admin, "nsp"), "/admin");
    },
  },
  {
    name: "namespaces of one connection do not hear each other",
    async run(lab) {
      const root = await lab.connect("/");
      const custom = await lab.beside(root, "/custom");
      const inRoot = collect(root, "message-back");
      const inCustom = collect(custom, "message-back");
      root.emit("message", "root");
      custom.emit("message", "custom");
      assert.deepEqual(await Promise.all([ask(root, "echo", 1), ask(custom, "echo", 2)]), [1, 2]);
      assert.deepEqual(inRoot, ["root"]);
      assert.deepEqual(inCustom, ["custom"]);
    },
  },
];

const leaving = [
  {
    name: "a client that disconnects is told io client disconnect, the application client namespace disconnect",
    async run(lab) {
      const helper = await lab.connect();
      const socket = await lab.connect();
      const { id } = socket;
      const room = lab.name();
      await ask(socket, "join", [room]);
      const seen = next(socket, "disconnect");
      socket.disconnect();
      assert.equal((await seen)[0], "io client disconnect");
      const { reason, rooms } = await ask(helper, "last-disconnect", id);
      assert.equal(reason, "client namespace disconnect");
      assert.deepEqual(rooms, [id, room].sort(), "rooms are left after disconnecting");
    },
  },
  {
    name: "a client the server disconnects is told io server disconnect, and its other namespaces stay",
    async run(lab) {
      const helper = await lab.connect();
      const root = await lab.connect("/");
      const admin = await lab.beside(root, "/admin");
      const { id } = admin;
      const seen = next(admin, "disconnect");
      admin.emit("bye", false);
      assert.equal((await seen)[0], "io server disconnect");
      assert.equal((await ask(helper, "last-disconnect", id)).reason, "server namespace disconnect");
      assert.equal(await ask(root, "echo", "alive"), "alive");
      admin.connect();
      await connected(admin);
    },
  },
  {
    name: "a client the server disconnects for good loses all namespaces and the connection",
    async run(lab) {
      const helper = await lab.connect();
      const root = await lab.connect("/");
      const admin = await lab.beside(root, "/admin");
      await settled(root, lab.mode);
      const ids = [root.id, admin.id];
      const engineClosed = next(root.io.engine, "close");
      const seen = [next(root, "disconnect"), next(admin, "disconnect")];
      root.emit("bye", true);
      for (const reason of await Promise.all(seen)) assert.equal(reason[0], "io server disconnect");
      await engineClosed;
      for (const id of ids) {
        assert.equal((await ask(helper, "last-disconnect", id)).reason, "server namespace disconnect");
      }
    },
  },
  {
    name: "a transport that is closed by the client is transport close to the application",
    async run(lab) {
      const helper = await lab.connect();
      const socket = await lab.connect();
      await settled(socket, lab.mode);
      const { id } = socket;
      socket.io.engine.close();
      assert.equal((await ask(helper, "last-disconnect", id)).reason, "transport close");
    },
  },
  {
    name: "a client that loses its transport connects again by itself, with a new id",
    async run(lab) {
      const socket = await lab.connect("/behaviours", {
        reconnection: true,
        reconnectionDelay: 5,
        reconnectionDelayMax: 10,
      });
      for (let i = 0; i < 3; i++) {
        await settled(socket, lab.mode);
        const { id } = socket;
        const [gone, back, echo] = ["disconnect", "connect", "echo"].map((event) => next(socket, event));
        socket.io.engine.close();
        await gone;
        socket.emit("echo", `buffered ${i}`);
        await back;
        assert.notEqual(socket.id, id);
        assert.deepEqual(await echo, [`buffered ${i}`]);
      }
    },
  },
  {
    name: "a socket that is gone is gone from the namespace",
    async run(lab) {
      const room = lab.name();
      const [helper, socket] = await lab.crowd(2);
      await ask(helper, "join", [room]);
      await ask(socket, "join", [room]);
      const { id } = socket;
      assert.equal((await ask(helper, "fetch", { rooms: [room] })).length, 2);
      socket.disconnect();
      await ask(helper, "last-disconnect", id);
      // `disconnecting` comes before the rooms are left; the next command after it comes after that.
      assert.deepEqual((await ask(helper, "fetch", { rooms: [room] })).map((found) => found.id), [helper.id]);
    },
  },
  {
    name: "connecting and leaving fifty times leaves nothing behind",
    async run(lab) {
      const root = await lab.connect("/");
      const helper = await lab.connect();
      const socket = lab.startBeside(root, "/behaviours", { auth: { round: lab.name() } });
      for (let i = 0; i < 50; i++) {
        await connected(socket);
        const { id } = socket;
        assert.deepEqual(await askAll(socket, "echo", i), [i]);
        socket.disconnect();
        assert.equal((await ask(helper, "last-disconnect", id)).reason, "client namespace disconnect");
        if (i < 49) socket.connect();
      }
      const ghosts = (await ask(helper, "fetch", {})).filter(({ auth }) => auth.round === socket.auth.round);
      assert.deepEqual(ghosts, []);
    },
  },
];

export const connectionBehaviours = [...connecting, ...namespaces, ...leaving];
