// protocol.md 9.1 with default options, and HTTP/1.1 itself: over raw TCP, byte for byte where the table says so.

import assert from "node:assert/strict";
import { assertMatch } from "../lib/check.mjs";
import { HttpConnection, once, requestBytes } from "../lib/http.mjs";
import { PollingSession } from "../lib/polling.mjs";
import { Tcp } from "../lib/tcp.mjs";
import { OP, RawWebSocket, frameBytes, upgradeHeaders } from "../lib/ws.mjs";

const POLLING = "/socket.io/?EIO=4&transport=polling";
const WEBSOCKET = "/socket.io/?EIO=4&transport=websocket";
const OPEN =
  /^0\{"sid":"[\w-]{20}","upgrades":\["websocket"\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\}$/;
const ERRORS = {
  0: "Transport unknown",
  1: "Session ID unknown",
  2: "Bad handshake method",
  3: "Bad request",
  5: "Unsupported protocol version",
};

/** 400, JSON, the exact body, and no cache header. */
function assertError(response, code) {
  assert.equal(response.status, 400);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.text, `{"code":${code},"message":"${ERRORS[code]}"}`);
  assert.equal(response.headers.has("cache-control"), false);
}

async function assertErrors(url, code, ...requests) {
  for (const [method, target] of requests) {
    const response = await once(url, method, target);
    assert.ok(response, `${method} ${target}: no answer`);
    assertError(response, code);
  }
}

/** Everything the server answers to one write, up to its FIN. */
async function conversation(url, bytes) {
  const tcp = await Tcp.open(url);
  tcp.write(bytes);
  const answer = await tcp.rest();
  tcp.destroy();
  return answer.toString("latin1");
}

function refusedUpgrade(message) {
  return (
    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-type: text/html\r\n" +
    `Content-Length: ${message.length}\r\n\r\n${message}`
  );
}

async function assertAlive(session) {
  await session.join("/");
}

const handshake = [
  {
    name: "H1 a polling handshake is answered with the open packet, its keys in order",
    async run({ url }) {
      const response = await once(url, "GET", POLLING);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("content-type"), "text/plain; charset=UTF-8");
      assert.equal(response.headers.get("cache-control"), "no-store");
      assert.equal(response.headers.get("content-length"), "118");
      assert.equal(response.body.length, 118);
      assertMatch(response.text, OPEN);
      assert.equal(response.headers.has("access-control-allow-origin"), false);
      assert.equal(response.headers.has("set-cookie"), false);
    },
  },
  {
    name: "H1 every handshake gets a session id of its own",
    async run({ url }) {
      const sids = await Promise.all(Array.from({ length: 20 }, async () => (await PollingSession.open(url)).sid));
      assert.equal(new Set(sids).size, 20);
    },
  },
  {
    name: "H2 a request without a transport is refused with code 0",
    run: ({ url }) => assertErrors(url, 0, ["GET", "/socket.io/"]),
  },
  {
    name: "H3 an unknown transport is refused with code 0 before anything else",
    run: ({ url }) =>
      assertErrors(
        url,
        0,
        ["GET", "/socket.io/?EIO=4&transport=foo"],
        ["GET", "/socket.io/?EIO=4&transport=webtransport"],
        ["POST", "/socket.io/?EIO=3&transport=foo"],
        ["GET", "/socket.io/?EIO=4&transport=polling&transport=foo"],
      ),
  },
  {
    name: "H4 an unknown session id is refused with code 1, whatever it looks like",
    run: ({ url }) =>
      assertErrors(
        url,
        1,
        ["GET", `${POLLING}&sid=abc`],
        ["GET", `${POLLING}&sid=__proto__`],
        ["GET", "/socket.io/?EIO=3&transport=polling&sid=zz"],
        ["POST", `${POLLING}&sid=AAAAAAAAAAAAAAAAAAAA`],
        ["GET", `${POLLING}&sid=${"x".repeat(500)}`],
        ["GET", `${POLLING}&sid=%00%ff%F0%9F%98%80`],
      ),
  },
  {
    name: "H5 an empty session id is none",
    async run({ url }) {
      const response = await once(url, "GET", `${POLLING}&sid=`);
      assert.equal(response.status, 200);
      assertMatch(response.text, OPEN);
    },
  },
  {
    name: "H6 a handshake by any method but GET is refused with code 2",
    run: ({ url }) =>
      assertErrors(
        url,
        2,
        ["POST", POLLING],
        ["OPTIONS", POLLING],
        ["PUT", POLLING],
        ["DELETE", POLLING],
        ["POST", WEBSOCKET],
        ["POST", "/socket.io/?EIO=3&transport=polling"],
      ),
  },
  {
    name: "H6 a HEAD handshake is refused with 400 and no body",
    async run({ url }) {
      const response = await once(url, "HEAD", POLLING);
      assert.equal(response.status, 400);
    },
  },
  {
    name: "H7 transport=websocket without an upgrade is refused with code 3",
    run: ({ url }) => assertErrors(url, 3, ["GET", WEBSOCKET]),
  },
  {
    name: "H8 any protocol revision but 4 is refused with code 5",
    run: ({ url }) =>
      assertErrors(
        url,
        5,
        ["GET", "/socket.io/?EIO=3&transport=polling"],
        ["GET", "/socket.io/?transport=polling"],
        ["GET", "/socket.io/?EIO=5&transport=polling"],
        ["GET", "/socket.io/?EIO=4&EIO=3&transport=polling"],
      ),
  },
  {
    name: "H9 of a repeated query key the last value wins",
    async run({ url }) {
      assert.equal((await once(url, "GET", "/socket.io/?EIO=3&EIO=4&transport=polling")).status, 200);
      assert.equal((await once(url, "GET", "/socket.io/?EIO=4&transport=foo&transport=polling")).status, 200);
    },
  },
  {
    name: "H9 the query is percent-decoded, in keys and in values",
    async run({ url }) {
      assert.equal((await once(url, "GET", "/socket.io/?E%49O=%34&transport=pol%6Cing")).status, 200);
    },
  },
  {
    name: "H10 a session answers 500 with an empty body to PUT, OPTIONS and HEAD, and lives on",
    async run({ url }) {
      const session = await PollingSession.open(url);
      for (const method of ["PUT", "OPTIONS", "HEAD", "DELETE"]) {
        const response = await once(url, method, session.target);
        assert.equal(response.status, 500, method);
        assert.equal(response.body.length, 0);
      }
      await assertAlive(session);
    },
  },
  {
    name: "H11 a polling session asked for by transport=websocket without upgrade is refused with code 3",
    async run({ url }) {
      const session = await PollingSession.open(url);
      await assertErrors(url, 3, ["GET", `${WEBSOCKET}&sid=${session.sid}`]);
      await assertAlive(session);
    },
  },
  {
    name: "H12 a session of revision 4 asked for in another revision is refused with code 3",
    async run({ url }) {
      const session = await PollingSession.open(url);
      await assertErrors(
        url,
        3,
        ["GET", `/socket.io/?EIO=3&transport=polling&sid=${session.sid}`],
        ["GET", `/socket.io/?transport=polling&sid=${session.sid}`],
        ["POST", `/socket.io/?EIO=3&transport=polling&sid=${session.sid}`],
      );
      await assertAlive(session);
    },
  },
  {
    name: "H20 a path without the trailing slash is not the engine's; a longer path is",
    async run({ url }) {
      const foreign = await once(url, "GET", "/socket.io?EIO=4&transport=polling");
      assert.ok(foreign !== null && !foreign.text.startsWith("0{") && !foreign.text.includes('"code"'));
      const longer = await once(url, "GET", "/socket.io/x?EIO=4&transport=polling");
      assert.equal(longer.status, 200);
      assertMatch(longer.text, OPEN);
    },
  },
];

const upgrades = [
  {
    name: "H15 an upgrade to an unknown transport is refused in exactly these bytes",
    async run({ url }) {
      const bytes = requestBytes(url, "GET", "/socket.io/?EIO=4&transport=foo", upgradeHeaders());
      assert.equal(await conversation(url, bytes), refusedUpgrade("Transport unknown"));
    },
  },
  {
    name: "H16 an upgrade of an unknown session is refused in exactly these bytes",
    async run({ url }) {
      const bytes = requestBytes(url, "GET", `${WEBSOCKET}&sid=abc`, upgradeHeaders());
      assert.equal(await conversation(url, bytes), refusedUpgrade("Session ID unknown"));
    },
  },
  {
    name: "H16 an upgrade in protocol revision 3 is refused before the 101",
    stock: false,
    why: "Node writes the refusal into the upgraded connection (1.2)",
    async run({ url }) {
      const bytes = requestBytes(url, "GET", "/socket.io/?EIO=3&transport=websocket", upgradeHeaders());
      assert.equal(await conversation(url, bytes), refusedUpgrade("Unsupported protocol version"));
    },
  },
  {
    name: "H16 an upgrade request with transport=polling is refused with Bad request",
    stock: false,
    why: "Node answers 101 and closes (1.2)",
    async run({ url }) {
      const bytes = requestBytes(url, "GET", POLLING, upgradeHeaders());
      assert.equal(await conversation(url, bytes), refusedUpgrade("Bad request"));
    },
  },
  {
    name: "H18 an upgrade is accepted with the key of RFC 6455, then the open packet",
    async run({ url }) {
      const ws = await RawWebSocket.open(url, WEBSOCKET, { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" });
      const { head, headers } = ws.response;
      assertMatch(head, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
      assert.equal(headers.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
      assert.equal(headers.get("upgrade").toLowerCase(), "websocket");
      assert.equal(headers.get("connection").toLowerCase(), "upgrade");
      assert.equal(headers.has("sec-websocket-extensions"), false);
      assert.equal(headers.has("sec-websocket-protocol"), false);
      assertMatch(
        await ws.text(),
        /^0\{"sid":"[\w-]{20}","upgrades":\[\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\}$/,
      );
      ws.destroy();
    },
  },
  {
    name: "H19 no extension is accepted by default, and the first subprotocol offered is",
    async run({ url }) {
      const ws = await RawWebSocket.open(url, WEBSOCKET, {
        "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
        "Sec-WebSocket-Protocol": "foo, bar",
      });
      assert.equal(ws.response.headers.has("sec-websocket-extensions"), false);
      assert.equal(ws.response.headers.get("sec-websocket-protocol"), "foo");
      ws.destroy();
    },
  },
  {
    name: "the Upgrade and Connection headers are read without regard to case, in lists",
    async run({ url }) {
      const ws = await RawWebSocket.open(url, WEBSOCKET, { Connection: "keep-alive, UPGRADE", Upgrade: "WebSocket" });
      assertMatch(await ws.text(), /^0\{/);
      ws.destroy();
    },
  },
  {
    name: "an upgrade with a missing or bad WebSocket key is refused with 400 and the reason",
    async run({ url }) {
      for (const key of [undefined, "short", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSBs"]) {
        const headers = upgradeHeaders();
        if (key === undefined) delete headers["Sec-WebSocket-Key"];
        else headers["Sec-WebSocket-Key"] = key;
        const answer = await conversation(url, requestBytes(url, "GET", WEBSOCKET, headers));
        assertMatch(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
        assert.ok(answer.endsWith("\r\n\r\nMissing or invalid Sec-WebSocket-Key header"), answer);
      }
    },
  },
  {
    name: "an upgrade in another WebSocket version is refused with 400 and the versions there are",
    async run({ url }) {
      const headers = upgradeHeaders({ "Sec-WebSocket-Version": "12" });
      const answer = await conversation(url, requestBytes(url, "GET", WEBSOCKET, headers));
      assertMatch(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
      assertMatch(answer, /\r\nSec-WebSocket-Version: 13, 8\r\n/i);
      assert.ok(answer.endsWith("\r\n\r\nMissing or invalid Sec-WebSocket-Version header"), answer);
    },
  },
  {
    name: "frames sent together with the upgrade request are not lost",
    stock: false,
    why: "Node drops messages that arrive before it listens",
    async run({ url }) {
      const connection = await HttpConnection.open(url);
      const request = requestBytes(url, "GET", `${WEBSOCKET}&quiet=1`, upgradeHeaders());
      connection.tcp.write(Buffer.concat([request, frameBytes(OP.text, "40")]));
      const response = await connection.response();
      const ws = new RawWebSocket(connection.tcp, response);
      assertMatch(await ws.text(), /^0\{/);
      assertMatch(await ws.text(), /^40\{"sid":"[\w-]{20}"\}$/);
      ws.destroy();
    },
  },
];

const bundle = [
  {
    name: "H28 the client bundle has a version as ETag, and 304 answers who has it",
    needs: "client",
    async run({ url }) {
      const first = await once(url, "GET", "/socket.io/socket.io.js");
      assert.equal(first.status, 200);
      assert.equal(first.headers.get("cache-control"), "public, max-age=0");
      assert.equal(first.headers.get("content-type"), "application/javascript; charset=utf-8");
      const etag = first.headers.get("etag");
      assertMatch(etag, /^"\d+\.\d+\.\d+"$/);
      for (const candidate of [etag, `W/${etag}`]) {
        const again = await once(url, "GET", "/socket.io/socket.io.js?x=1", { "If-None-Match": candidate });
        assert.equal(again.status, 304);
        assert.equal(again.body.length, 0);
      }
      const other = await once(url, "GET", "/socket.io/socket.io.js", { "If-None-Match": '"0.0.0"' });
      assert.equal(other.status, 200);
    },
  },
  {
    name: "H28 every bundle there is can be fetched, with its map",
    needs: "client",
    async run({ url }) {
      for (const name of ["socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"]) {
        const script = await once(url, "GET", `/socket.io/${name}`);
        assert.equal(script.status, 200, name);
        const map = await once(url, "GET", `/socket.io/${name}.map`);
        assert.equal(map.status, 200, `${name}.map`);
        assert.equal(map.headers.get("content-type"), "application/json; charset=utf-8");
      }
    },
  },
  {
    name: "H29 a name that is not a bundle's goes to the engine",
    run: ({ url }) => assertErrors(url, 0, ["GET", "/socket.io/socket.io.esm.js"]),
  },
];

export const httpVectors = [...handshake, ...upgrades, ...bundle];
