// protocol.md 9.2: long-polling, request by request.

import assert from "node:assert/strict";
import { assertMatch } from "../lib/check.mjs";
import { HttpConnection, once } from "../lib/http.mjs";
import { PollingSession, RS } from "../lib/polling.mjs";

const PH = '{"_placeholder":true,"num":0}';
const TEXT = { "Content-Type": "text/plain;charset=UTF-8" };

function assertOk(response) {
  assert.equal(response.status, 200);
  assert.equal(response.text, "ok");
  assert.equal(response.headers.get("content-type"), "text/html");
  assert.equal(response.headers.get("content-length"), "2");
  assert.equal(response.headers.get("cache-control"), "no-store");
}

function assertEmpty(response, status) {
  assert.equal(response.status, status);
  assert.equal(response.body.length, 0);
}

async function assertGone(session) {
  const response = await session.get();
  assert.equal(response.status, 400);
  assert.equal(response.text, '{"code":1,"message":"Session ID unknown"}');
}

/** POSTs `body` while a GET is pending: `ok`, the GET gets exactly `packets`, then the session is unknown. */
async function assertEnds(url, body, packets, join = false) {
  const session = await PollingSession.open(url);
  const id = join ? await session.join("/") : undefined;
  const get = await session.pending();
  assertOk(await session.post(body));
  assert.equal((await get.response).text, packets, `after ${JSON.stringify(body)}`);
  await assertGone(session);
  return id;
}

async function joined(url) {
  const session = await PollingSession.open(url);
  return { session, id: await session.join("/") };
}

const taken = [
  {
    name: "P1 CONNECT is posted, and its reply polled",
    async run({ url }) {
      const session = await PollingSession.open(url);
      assertOk(await session.post("40"));
      const response = await session.get();
      assert.equal(response.headers.get("content-type"), "text/plain; charset=UTF-8");
      assert.equal(response.headers.get("cache-control"), "no-store");
      assert.equal(response.headers.get("content-length"), "32");
      assertMatch(response.text, /^40\{"sid":"[\w-]{20}"\}$/);
      assert.notEqual(JSON.parse(response.text.slice(2)).sid, session.sid, "the socket id must not be the session's");
    },
  },
  {
    name: "P2 several packets in a POST are taken in order, and answered in one GET",
    async run({ url }) {
      const { session } = await joined(url);
      await session.push('421["echo","test1"]', '422["echo","test2"]', '42["echo","test3"]');
      assert.deepEqual(await session.packets(), ['431["test1"]', '432["test2"]', '42["echo","test3"]']);
    },
  },
  {
    name: "P2 P3 the bare Engine.IO endpoint echoes text and binary messages",
    needs: "eio",
    async run({ url }) {
      const target = "/engine.io/?EIO=4&transport=polling";
      const open = await once(url, "GET", target);
      const sid = `${target}&sid=${JSON.parse(open.text.slice(1)).sid}`;
      for (const body of [["4test1", "4test2", "4test3"].join(RS), `4hello${RS}bAQIDBA==`]) {
        assertOk(await once(url, "POST", sid, TEXT, body));
        assert.equal((await once(url, "GET", sid)).text, body);
      }
    },
  },
  {
    name: "P6 pong, upgrade, noop and open packets are ignored, and the GET stays pending",
    async run({ url }) {
      const { session } = await joined(url);
      const get = await session.pending();
      for (const packet of ["3", "3probe", "5", "6", "0", '0{"a":1}']) assertOk(await session.post(packet));
      await session.push('42["echo","now"]');
      assert.equal((await get.response).text, '42["echo","now"]');
    },
  },
  {
    name: "P12 an octet-stream with a parameter is text",
    async run({ url }) {
      const session = await PollingSession.open(url);
      assertOk(await session.post("40", { "Content-Type": "application/octet-stream; charset=utf-8" }));
      assertMatch((await session.packets())[0], /^40/);
    },
  },
  {
    name: "P19 invalid UTF-8 in a POST becomes replacement characters",
    async run({ url }) {
      const { session } = await joined(url);
      const body = Buffer.concat([Buffer.from('420["echo","'), Buffer.from([0xff, 0xfe]), Buffer.from('"]')]);
      const response = await once(url, "POST", session.target, TEXT, body);
      assertOk(response);
      assert.deepEqual(await session.packets(), ['430["\ufffd\ufffd"]']);
    },
  },
  {
    name: "P20 base64 is taken padded, unpadded and URL-safe, and sent padded",
    async run({ url }) {
      const { session } = await joined(url);
      for (const [sent, back] of [
        ["bAQIDBA==", "bAQIDBA=="],
        ["bAQIDBA", "bAQIDBA=="],
        ["b-_8", "b+/8="],
        ["b", "b"],
      ]) {
        await session.push(`451-0["echo",${PH}]`, sent);
        assert.deepEqual(await session.packets(), [`461-0[${PH}]`, back]);
      }
    },
  },
  {
    name: "P20 base64 with a blank in it is taken as if it were not there",
    oracleOnly: "protocol.md 10: Tidegate refuses garbage in base64",
    async run({ url }) {
      const { session } = await joined(url);
      await session.push(`451-0["echo",${PH}]`, "bAQ IDBA==");
      assert.deepEqual(await session.packets(), [`461-0[${PH}]`, "bAQIDBA=="]);
    },
  },
  {
    name: "P20 base64 with garbage in it ends the session",
    stock: false,
    why: "Node skips what is not base64 (1.6)",
    run: ({ url }) => assertEnds(url, [`451-0["echo",${PH}]`, "bAQ*DBA=="].join(RS), "1", true),
  },
  {
    name: "P21 without a pending GET only the ordinary event is kept",
    async run({ url }) {
      const session = await PollingSession.open(url);
      await session.join("/behaviours");
      const burst = [
        { ev: "v1", flags: { volatile: true } },
        { ev: "n1" },
        { ev: "v2", flags: { volatile: true } },
      ];
      await session.push(`42/behaviours,${JSON.stringify(["burst", burst])}`);
      assert.deepEqual(await session.packets(), ['42/behaviours,["n1"]']);
      await session.push('42/behaviours,0["nsp"]');
      assert.deepEqual(await session.packets(), ['43/behaviours,0["/behaviours"]']);
    },
  },
  {
    name: "P22 a pending GET takes one volatile event, the next is dropped",
    async run({ url }) {
      const session = await PollingSession.open(url);
      await session.join("/behaviours");
      const get = await session.pending();
      const burst = [
        { ev: "v3", flags: { volatile: true } },
        { ev: "v4", flags: { volatile: true } },
        { ev: "n2" },
      ];
      await session.push(`42/behaviours,${JSON.stringify(["burst", burst])}`);
      assert.equal((await get.response).text, '42/behaviours,["v3"]');
      assert.deepEqual(await session.packets(), ['42/behaviours,["n2"]']);
    },
  },
  {
    name: "P23 a response of 1024 bytes is compressed for who accepts it, one of 1023 is not",
    async run({ url }) {
      const { session } = await joined(url);
      for (const [length, encoding] of [
        [1024, "gzip"],
        [1023, undefined],
      ]) {
        await session.push(`421["echo","${"x".repeat(length - '431[""]'.length)}"]`);
        const response = await session.get({ "Accept-Encoding": "gzip" });
        assert.equal(response.headers.get("content-encoding"), encoding);
        if (encoding) {
          const { gunzipSync } = await import("node:zlib");
          assert.equal(gunzipSync(response.body).length, length);
        } else {
          assert.equal(response.headers.get("content-length"), String(length));
        }
      }
    },
  },
  {
    name: "compression is negotiated: deflate, the star, and what is refused with q=0",
    async run({ url }) {
      const { session } = await joined(url);
      for (const [accept, encoding] of [
        ["deflate", "deflate"],
        ["*", "gzip"],
        ["gzip;q=0, deflate", "deflate"],
        ["deflate;q=0.5, gzip;q=0.9", "gzip"],
        ["br", undefined],
        ["gzip;q=0", undefined],
        ["identity", undefined],
      ]) {
        await session.push(`421["echo","${"x".repeat(3000)}"]`);
        const response = await session.get({ "Accept-Encoding": accept });
        assert.equal(response.headers.get("content-encoding"), encoding, accept);
      }
    },
  },
];

const refused = [
  {
    name: "P4 a malformed payload is answered with ok, and ends the session",
    async run({ url }) {
      for (const body of ["", "abc", "7", RS, `40${RS}`]) await assertEnds(url, body, "1");
    },
  },
  {
    name: "P4 the packets before the first malformed one are delivered",
    async run({ url }) {
      const session = await PollingSession.open(url);
      const get = await session.pending();
      assertOk(await session.post(["40", "abc", '42["a"]']));
      const answer = (await get.response).text;
      assert.ok(answer === "1" || /^40\{"sid":"[\w-]{20}"\}(\x1e1)?$/.test(answer), answer);
      await assertGone(session);
    },
  },
  {
    name: "P4 the application sees parse error",
    async run({ url, reason }) {
      const id = await assertEnds(url, "abc", "1", true);
      assert.equal(await reason(id), "parse error");
    },
  },
  {
    name: "P5 a client's ping ends the session with transport error",
    async run({ url, reason }) {
      for (const body of ["2", "2probe", `2${RS}4hello`]) await assertEnds(url, body, "1");
      assert.equal(await reason(await assertEnds(url, "2", "1", true)), "transport error");
    },
  },
  {
    name: "P7 a client's close ends the session, and the pending GET with a noop",
    async run({ url, reason }) {
      const id = await assertEnds(url, "1", "6", true);
      assert.equal(await reason(id), "transport close");
    },
  },
  {
    name: "P8 a malformed Socket.IO packet ends the session",
    async run({ url }) {
      for (const body of ["4", "4abc", "bAQID"]) await assertEnds(url, body, "1");
    },
  },
  {
    name: "P9 a second GET is refused, and ends the session and the first GET",
    async run({ url, reason }) {
      const { session, id } = await joined(url);
      const first = await session.pending();
      assertEmpty(await session.get(), 400);
      const ended = await first.response;
      assert.equal(ended.status, 200);
      assert.equal(ended.text, "1");
      await assertGone(session);
      assert.equal(await reason(id), "transport error");
    },
  },
  {
    name: "P10 a second POST is refused, and ends the session, the first POST and the GET",
    async run({ url, reason }) {
      const { session, id } = await joined(url);
      const get = await session.pending();
      const first = await HttpConnection.open(url);
      // 100-continue tells that the server has the head, so that this POST is the first.
      first.send("POST", session.target, { ...TEXT, Expect: "100-continue", "Content-Length": "100" }, "42");
      assert.equal((await first.response()).status, 100);
      assertEmpty(await session.post("40"), 400);
      assert.equal(await first.response(), null, "the first POST must be cut off without a response");
      assert.equal((await get.response).text, "1");
      await assertGone(session);
      assert.equal(await reason(id), "transport error");
    },
  },
  {
    name: "P11 an octet-stream is refused, and ends the session",
    async run({ url, reason }) {
      const { session, id } = await joined(url);
      assertEmpty(await session.post("40", { "Content-Type": "application/octet-stream" }), 400);
      await assertGone(session);
      assert.equal(await reason(id), "transport error");
    },
  },
  {
    name: "P13 a POST over the limit is refused with 413, one at the limit is taken, and the session lives",
    async run({ url }) {
      const { session } = await joined(url);
      const atLimit = `42["echo","${"x".repeat(1_000_000 - '42["echo",""]'.length)}"]`;
      assert.equal(atLimit.length, 1_000_000);
      assertEmpty(await session.post(`${atLimit} `), 413);
      assertOk(await session.post(atLimit));
      assert.deepEqual(await session.packets(), [atLimit]);
    },
  },
  {
    name: "P14 a poll whose connection is dropped ends the session with transport error",
    async run({ url, reason }) {
      const { session, id } = await joined(url);
      const get = await session.pending();
      get.connection.destroy();
      assert.equal(await reason(id), "transport error");
      await assertGone(session);
    },
  },
  {
    name: "P14 a POST whose connection is dropped ends the session with transport error",
    async run({ url, reason }) {
      const { session, id } = await joined(url);
      const post = await HttpConnection.open(url);
      post.send("POST", session.target, { ...TEXT, Expect: "100-continue", "Content-Length": "100" }, "42");
      assert.equal((await post.response()).status, 100);
      post.destroy();
      assert.equal(await reason(id), "transport error");
      await assertGone(session);
    },
  },
  {
    name: "P15 P18 without a pending GET the session lingers: it tells its end to the next GET, and takes nothing more",
    async run({ url, reason }) {
      const { session, id } = await joined(url);
      assertOk(await session.post('42["a"'));
      assertOk(await session.post("40"));
      assert.deepEqual(await session.packets(), ["6", "1"]);
      await assertGone(session);
      assert.equal(await reason(id), "forced close");
    },
  },
  {
    name: "P16 a server that disconnects with events queued lets them be polled first",
    async run({ url, reason }) {
      const { session, id } = await joined(url);
      assertOk(await session.post('42["bye",true]'));
      assert.deepEqual(await session.packets(), ["41"]);
      assert.deepEqual(await session.packets(), ["6", "1"]);
      await assertGone(session);
      assert.equal(await reason(id), "server namespace disconnect");
    },
  },
  {
    name: "P17 a repeated CONNECT ends the session",
    async run({ url, reason }) {
      const { session, id } = await joined(url);
      assertOk(await session.post("40"));
      assert.deepEqual(await session.packets(), ["6", "1"]);
      await assertGone(session);
      assert.equal(await reason(id), "forced server close");
    },
  },
];

export const pollingVectors = [...taken, ...refused];
