// protocol.md 9.7, and what 9.5 means for a live connection: the Socket.IO layer over the plain `ws` client.

import assert from "node:assert/strict";
import { once } from "node:events";
import WebSocket from "ws";
import { assertMatch, deferred } from "../lib/check.mjs";

const PH = (num = 0) => `{"_placeholder":true,"num":${num}}`;
const CONNECTED = /^40\{"sid":"[\w-]{20}"\}$/;

/** A WebSocket session whose messages are read in order. */
class Session {
  static async open(url, query = "quiet=1") {
    const ws = new WebSocket(`${url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket&${query}`);
    const session = new Session(ws);
    await once(ws, "open");
    assertMatch(await session.next(), /^0\{/);
    return session;
  }

  static async joined(url) {
    const session = await Session.open(url);
    session.id = await session.join();
    return session;
  }

  #queue = [];
  #waiting = [];

  constructor(ws) {
    this.ws = ws;
    const push = (item) => {
      const waiter = this.#waiting.shift();
      if (waiter) waiter.resolve(item);
      else this.#queue.push(item);
    };
    ws.on("message", (data, binary) => push(binary ? data.toString("hex") : data.toString("utf8")));
    ws.on("close", (code) => push({ closed: code }));
    ws.on("error", () => {});
  }

  /** The next message: text, or hex for binary, or {closed: code}. */
  next() {
    if (this.#queue.length > 0) return Promise.resolve(this.#queue.shift());
    const waiter = deferred();
    this.#waiting.push(waiter);
    return waiter.promise;
  }

  send(...packets) {
    for (const packet of packets) this.ws.send(packet);
  }

  async join(namespace = "") {
    this.send(`40${namespace}`);
    const answer = await this.next();
    const [, id] = /\{"sid":"([\w-]{20})"\}$/.exec(answer) ?? [];
    assert.ok(id, `not joined: ${JSON.stringify(answer)}`);
    return id;
  }

  async expect(...answers) {
    for (const answer of answers) {
      const got = await this.next();
      if (answer instanceof RegExp) assertMatch(String(got), answer);
      else assert.deepEqual(got, answer);
    }
  }

  async expectClosed() {
    assert.deepEqual(await this.next(), { closed: 1005 });
  }

  /** Nothing is on its way but the answer to this. */
  async quiet() {
    this.send('429007["echo","quiet"]');
    await this.expect('439007["quiet"]');
  }

  close() {
    this.ws.terminate();
  }
}

const vector = (name, body, more = {}) => ({ name, ...more, run: body });

/** Each list of packets, on a joined session of its own, closes it; the application sees forced close. */
async function assertAllClose({ url, reason }, lists) {
  for (const packets of lists) {
    const session = await Session.joined(url);
    session.send(...packets);
    const end = await session.next();
    assert.deepEqual(end, { closed: 1005 }, `after ${JSON.stringify(packets)}`);
    assert.equal(await reason(session.id), "forced close", JSON.stringify(packets));
  }
}

/** Each list of packets leaves the session open and gets no answer. */
async function assertAllIgnored({ url }, lists) {
  const session = await Session.joined(url);
  for (const packets of lists) {
    session.send(...packets);
    await session.quiet();
  }
  session.close();
}

const connecting = [
  vector("S1 CONNECT is answered with a socket id", async ({ url }) => {
    const session = await Session.open(url);
    session.send("40");
    await session.expect(CONNECTED);
    session.close();
  }),
  vector("S2 CONNECT to a namespace is answered in it", async ({ url }) => {
    const session = await Session.open(url);
    session.send("40/admin,");
    await session.expect(/^40\/admin,\{"sid":"[\w-]{20}"\}$/);
    session.send("40/custom");
    await session.expect(/^40\/custom,\{"sid":"[\w-]{20}"\}$/);
    session.close();
  }),
  vector("S3 a repeated CONNECT closes the connection", async ({ url, reason }) => {
    const session = await Session.joined(url);
    session.send("40");
    await session.expectClosed();
    assert.equal(await reason(session.id), "forced close");
  }),
  vector("S4 an event before CONNECT closes the connection", async ({ url }) => {
    const session = await Session.open(url);
    session.send('42["a"]');
    await session.expectClosed();
  }),
  vector(
    "S4 an event sent before the answer to CONNECT closes the connection",
    async ({ url, release }) => {
      // A held CONNECT makes "before the answer" a fact and not a race.
      const key = `s4-${Math.random()}`;
      const session = await Session.open(url);
      session.send(`40/behaviours,{"hold":"${key}"}`, '42/behaviours,["echo"]');
      await session.expectClosed();
      await release(key);
    },
  ),
  vector(
    "S4 two CONNECTs to one namespace before the first is answered close the connection",
    async ({ url, release }) => {
      const key = `s4b-${Math.random()}`;
      const session = await Session.open(url);
      session.send(`40/behaviours,{"hold":"${key}"}`, `40/behaviours,{"hold":"${key}"}`);
      await session.expectClosed();
      await release(key);
    },
    { stock: false, why: "Node creates two sockets (4.3)" },
  ),
  vector("S5 an event for a namespace that is not joined closes the connection", async ({ url }) => {
    const session = await Session.open(url);
    await session.join("/admin");
    session.send('42["a"]');
    await session.expectClosed();
  }),
  vector("S6 CONNECT to an unknown namespace is an error, and the connection stays open", async ({ url }) => {
    const session = await Session.open(url);
    session.send("40/random,");
    await session.expect('44/random,{"message":"Invalid namespace"}');
    await session.join();
    await session.quiet();
    session.close();
  }),
  vector("S7 a query is part of the name of a namespace", async ({ url }) => {
    const session = await Session.open(url);
    session.send("40/admin?x=1,");
    await session.expect('44/admin?x=1,{"message":"Invalid namespace"}');
    session.close();
  }),
  vector("S8 a refused CONNECT carries message and data, and may be tried again", async ({ url }) => {
    const session = await Session.open(url);
    session.send("40/mw,");
    await session.expect('44/mw,{"message":"nope"}');
    session.send('40/mw,{"data":1}');
    await session.expect('44/mw,{"message":"nope","data":{"code":42}}');
    session.close();
  }),
  vector("S8 an event for a namespace whose CONNECT was refused closes the connection", async ({ url }) => {
    const session = await Session.open(url);
    session.send("40/mw,");
    await session.next();
    session.send('42/mw,["a"]');
    await session.expectClosed();
  }),
  vector("S9 a dynamic namespace is matched by its pattern", async ({ url }) => {
    const session = await Session.open(url);
    session.send("40/dyn-12,");
    await session.expect(/^40\/dyn-12,\{"sid":"[\w-]{20}"\}$/);
    session.send("40/dyn-x,");
    await session.expect('44/dyn-x,{"message":"Invalid namespace"}');
    session.send('42/dyn-12,1["nsp"]');
    await session.expect('43/dyn-12,1["/dyn-12"]');
    session.close();
  }),
  vector("S10 a namespace that was left can be joined again, with a new id", async ({ url, reason }) => {
    const session = await Session.joined(url);
    session.send("41");
    assert.equal(await reason(session.id), "client namespace disconnect");
    const again = await session.join();
    assert.notEqual(again, session.id);
    await session.quiet();
    session.close();
  }),
  vector("S11 an event after leaving closes the connection", async ({ url, reason }) => {
    const session = await Session.joined(url);
    session.send("41");
    assert.equal(await reason(session.id), "client namespace disconnect");
    session.send('42["a"]');
    await session.expectClosed();
  }),
  vector("S12 leaving what was not joined closes the connection", async ({ url }) => {
    const session = await Session.open(url);
    session.send("41");
    await session.expectClosed();
  }),
  vector("S13 leaving one namespace keeps the others", async ({ url }) => {
    const session = await Session.joined(url);
    await session.join("/admin");
    session.send("41/admin,", '42["echo",1]');
    await session.expect('42["echo",1]');
    session.close();
  }),
  vector("S14 a client's CONNECT_ERROR closes the connection", async ({ url }) => {
    const session = await Session.joined(url);
    session.send('44{"message":"x"}');
    await session.expectClosed();
  }),
  vector("S15 a server may disconnect a socket and keep the connection", async ({ url, reason }) => {
    const session = await Session.joined(url);
    session.send('42["bye",false]');
    await session.expect("41");
    assert.equal(await reason(session.id), "server namespace disconnect");
    await session.join();
    await session.quiet();
    session.close();
  }),
  vector("S16 a server may disconnect a client from everything", async ({ url, reason }) => {
    const session = await Session.joined(url);
    const admin = await session.join("/admin");
    session.send('42["bye",true]');
    await session.expect("41", "41/admin,");
    await session.expectClosed();
    assert.equal(await reason(session.id), "server namespace disconnect");
    assert.equal(await reason(admin), "server namespace disconnect");
  }),
  vector("S23 an ack id in CONNECT is ignored, and the root namespace may be named", async ({ url }) => {
    for (const packet of ["405", "40/,", "40/"]) {
      const session = await Session.open(url);
      session.send(packet);
      await session.expect(CONNECTED);
      session.close();
    }
  }),
];

const events = [
  vector("S17 an event with an id is acked with its args", async ({ url }) => {
    const session = await Session.joined(url);
    session.send('421["echo","x",{"a":1}]');
    await session.expect('431["x",{"a":1}]');
    session.close();
  }),
  vector("S18 a binary event is acked with its attachment", async ({ url }) => {
    const session = await Session.joined(url);
    session.send(`451-7["echo",${PH()}]`, Buffer.from([1, 2, 3]));
    await session.expect(`461-7[${PH()}]`, "010203");
    session.close();
  }),
  vector("S19 attachments follow their placeholders' order", async ({ url }) => {
    const session = await Session.joined(url);
    session.send(`452-["echo",${PH(1)},${PH(0)}]`, Buffer.from([1]), Buffer.from([2]));
    await session.expect(`452-["echo",${PH(0)},${PH(1)}]`, "02", "01");
    session.close();
  }),
  vector("S20 control packets may come between an event and its attachments", async ({ url }) => {
    const session = await Session.joined(url);
    session.send(`451-["echo",${PH()}]`, "3", "6", Buffer.from([9]));
    await session.expect(`451-["echo",${PH()}]`, "09");
    session.close();
  }),
  vector("S21 an unknown ack, an ack without id, and an empty event are ignored", (context) =>
    assertAllIgnored(context, [['4399["x"]'], ['43["x"]'], ["42"], ["4212"], ["43"], ["43[]"], ["451-", Buffer.of(1)]]),
  ),
  vector("S22 what is no packet closes the connection, and the application sees forced close", (context) =>
    assertAllClose(context, [['42["disconnect"]'], ['42["a"'], [Buffer.from([1])]]),
  ),
];

const decoder = [
  vector("D5 D8 D15 D29 D31 a payload of the wrong shape closes the connection", (context) =>
    assertAllClose(
      context,
      [
        ..."0[]|0null|0\"x\"|0abc|0admin,{}".split("|").map((packet) => packet.replace("0", "0/other,")),
        ...'1{}|1""|2[]|2[null]|2[true]|2[{}]|2{}|2"a"|2null|31{}|31null|4[]'.split("|"),
      ].map((packet) => [`4${packet}`]),
    ),
  ),
  vector("D17 a reserved event name closes the connection", (context) =>
    assertAllClose(
      context,
      ["connect", "disconnect", "connect_error", "disconnecting", "newListener", "removeListener"].map((name) => [
        `42["${name}"]`,
      ]),
    ),
  ),
  vector("D19 D20 D23 a broken id, JSON or namespace closes the connection", (context) =>
    assertAllClose(
      context,
      ['2-1["a"]', '21.5["a"]', '21e1["a"]', '2abc["a"]', '2["a"', '2["a"]x', '2,["a"]'].map(
        (packet) => [`4${packet}`],
      ),
    ),
  ),
  vector("D32 an unknown packet type closes the connection", (context) =>
    assertAllClose(context, [["47"], ["49"], ["4a"], ["4-1"]]),
  ),
  vector(
    "D26 D33 an ack id beyond 2^53-1, and a missing or blank type, close the connection",
    (context) => assertAllClose(context, [['429007199254740993["a"]'], ["4 "], ["4"], ['42\u{feff}["a"]']]),
    { stock: false, why: "Node rounds the id and reads blanks as 0 (4.2)" },
  ),
  vector("D34 D40 D51 attachments without their event, or an event in their place, close the connection", (context) =>
    assertAllClose(context, [
      [Buffer.from([1])],
      [`451-["a",${PH()}]`, '42["b"]'],
      [`451-["a",${PH()}]`, Buffer.of(1), Buffer.of(2)],
    ]),
  ),
  vector("D41 D44 an attachment that is not there closes the connection", (context) =>
    assertAllClose(context, [
      [`451-["a",${PH(1)}]`, Buffer.of(1)],
      [`451-["a",${PH(-1)}]`, Buffer.of(1)],
      ['451-["a",{"_placeholder":true,"num":"0"}]', Buffer.of(1)],
      ['451-["a",{"_placeholder":true}]', Buffer.of(1)],
      [`451-[${PH()}]`],
    ]),
  ),
  vector("D45 D46 a bad number of attachments closes the connection", (context) =>
    assertAllClose(
      context,
      ["5", '5-["a"]', '50-["a"]', '5-1-["a"]', '51["a"]', '5abc-["a"]', '51.5-["a"]', '5["a-b"]', "60-1[]", '511-["a"]']
        .map((packet) => [`4${packet}`]),
    ),
  ),
  vector(
    "D45 a number of attachments in other than digits closes the connection",
    (context) => assertAllClose(context, [['451e0-["a"]'], ['450x1-["a"]'], ['45+1-["a"]'], ['45 1-["a"]'], ['451.0-["a"]']]),
    { stock: false, why: "Node reads JS numbers (4.2)" },
  ),
  vector("D47 a binary packet of the wrong shape closes the connection", (context) =>
    assertAllClose(context, [["451-[]"], ["451-{}"], ['451-["connect"]'], ['461-1{"a":1}']]),
  ),
  vector("D16 D18 D21 D24 D25 odd but legal events reach the application", async ({ url }) => {
    const session = await Session.joined(url);
    for (const [sent, back] of [
      ['421["echo","a"] ', '431["a"]'],
      ['422["echo","a"]\n', '432["a"]'],
      ['42/,3["echo"]', "433[]"],
      [`424["echo",${PH()}]`, `434[${PH()}]`],
      ['42000000000005["echo"]', "435[]"],
      ['429007199254740991["echo"]', "439007199254740991[]"],
      ['42 6["echo"]'.replace(" ", ""), "436[]"],
      ['427["echo", 1 , [ 2 ] ]', "437[1,[2]]"],
      ['428["echo","\\u00e9\\n\\/"]', '438["é\\n/"]'],
      ['429["echo","\\ud800"]', '439["\\ud800"]'],
    ]) {
      session.send(sent);
      // Arguments may come back as they were spelled: the same JSON, not the same text.
      const [, head, args] = /^(\d+)(.*)$/.exec(await session.next());
      assert.equal(head + JSON.stringify(JSON.parse(args)), back);
    }
    session.send('42[1,"x"]', '42[""]', '42["error"]', '42["connection"]', '42["toString"]', '42["__proto__"]');
    await session.quiet();
    session.close();
  }),
  vector("D37 D38 D39 D42 D43 placeholders are replaced where they are, and only they", async ({ url }) => {
    const session = await Session.joined(url);
    for (const [sent, attachments, back, returned] of [
      [`451-1["echo",{"b":[${PH()}]}]`, ["01"], `461-1[{"b":[${PH()}]}]`, ["01"]],
      [`452-2["echo",${PH()},${PH()}]`, ["01", "02"], `462-2[${PH()},${PH(1)}]`, ["01", "01"]],
      ['451-3["echo"]', ["01"], "433[]", []],
      ['451-4["echo",{"_placeholder":1,"num":0}]', ["01"], '434[{"_placeholder":1,"num":0}]', []],
      ['451-5["echo",{"_placeholder":true,"num":0,"x":1}]', ["01"], `461-5[${PH()}]`, ["01"]],
      [`451-6["echo",${PH()}]`, [""], `461-6[${PH()}]`, [""]],
    ]) {
      session.send(sent, ...attachments.map((hex) => Buffer.from(hex, "hex")));
      await session.expect(back, ...returned);
    }
    session.close();
  }),
  vector("D46 ten attachments are taken", async ({ url }) => {
    const session = await Session.joined(url);
    const holders = Array.from({ length: 10 }, (_, i) => PH(i)).join(",");
    session.send(`4510-1["echo",${holders}]`, ...Array.from({ length: 10 }, (_, i) => Buffer.of(i)));
    await session.expect(`4610-1[${holders}]`, ...Array.from({ length: 10 }, (_, i) => `0${i}`));
    session.close();
  }),
  vector("D48 D49 a binary packet without payload, and a binary ack nobody waits for, are ignored", (context) =>
    assertAllIgnored(context, [
      ["451-", Buffer.of(1)],
      [`461-1[${PH()}]`, Buffer.from([1, 2, 3])],
    ]),
  ),
  vector("deep nesting is taken", async ({ url }) => {
    const session = await Session.joined(url);
    const deep = "[".repeat(500) + "]".repeat(500);
    session.send(`421["echo",${deep}]`);
    await session.expect(`431[${deep}]`);
    session.close();
  }),
  vector("namespaces of one connection are answered apart", async ({ url }) => {
    const session = await Session.joined(url);
    await session.join("/admin");
    await session.join("/custom");
    session.send('420["echo","root"]', '42/admin,0["echo","admin"]', '42/custom,0["echo","custom"]');
    await session.expect('430["root"]', '43/admin,0["admin"]', '43/custom,0["custom"]');
    session.close();
  }),
];

export const socketioVectors = [...connecting, ...events, ...decoder];
