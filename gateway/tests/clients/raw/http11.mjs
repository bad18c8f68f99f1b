// HTTP/1.1 as RFC 9112 has it, where a front-line server must be strict: keep-alive, pipelining, bodies, smuggling.

import assert from "node:assert/strict";
import { assertMatch } from "../lib/check.mjs";
import { HttpConnection, requestBytes } from "../lib/http.mjs";
import { PollingSession } from "../lib/polling.mjs";
import { Tcp } from "../lib/tcp.mjs";

const POLLING = "/socket.io/?EIO=4&transport=polling&quiet=1";
const TEXT = { "Content-Type": "text/plain;charset=UTF-8" };

/** Sends bytes that must be refused: a 4xx (or nothing at all), then the end of the connection. */
async function assertRefused(url, bytes, statuses = [400]) {
  const tcp = await Tcp.open(url);
  tcp.write(bytes);
  const answer = (await tcp.rest()).toString("latin1");
  tcp.destroy();
  const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(answer) ?? [];
  assert.ok(statuses.includes(Number(status)), `answered ${JSON.stringify(answer.slice(0, 300))}`);
  assert.equal(answer.match(/HTTP\/1\.1 /g).length, 1, `answered more than once: ${JSON.stringify(answer)}`);
}

/** A server that refused something still serves others. */
async function assertServes(url) {
  await (await PollingSession.open(url)).join("/");
}

/** The head of a POST to a live session, with the given header lines and whatever follows. */
function post(session, lines, body) {
  return `POST ${session.target} HTTP/1.1\r\nHost: x\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n${body}`;
}

const IN_BODY = { inBody: true };

const smuggling = (name, lines, body, more = {}) => ({
  name: `${name} is refused with 400, and the connection is closed`,
  ...more,
  async run({ url }) {
    const session = await PollingSession.open(url);
    await assertRefused(url, post(session, lines, body), more.statuses);
    // A head that was refused never reached the session. A body that broke off ends it, as any aborted POST does.
    if (more.inBody) await assertServes(url);
    else await session.join("/");
  },
});

export const http11Vectors = [
  {
    name: "a connection is kept alive for one request after another",
    async run({ url }) {
      const connection = await HttpConnection.open(url);
      const opened = await connection.request("GET", POLLING);
      const { sid } = JSON.parse(opened.text.slice(1));
      for (let i = 0; i < 50; i++) {
        const packet = i === 0 ? "40" : `42${i}["echo",${i}]`;
        const posted = await connection.request("POST", `${POLLING}&sid=${sid}`, TEXT, packet);
        assert.equal(posted.text, "ok");
        const polled = await connection.request("GET", `${POLLING}&sid=${sid}`);
        if (i > 0) assert.equal(polled.text, `43${i}[${i}]`);
      }
      connection.destroy();
    },
  },
  {
    name: "pipelined requests are answered in order",
    async run({ url }) {
      const connection = await HttpConnection.open(url);
      const targets = ["/socket.io/", POLLING, "/nowhere", `${POLLING}&sid=abc`, POLLING];
      connection.tcp.write(Buffer.concat(targets.map((target) => requestBytes(url, "GET", target))));
      const statuses = [];
      for (const _ of targets) statuses.push((await connection.response()).status);
      assert.deepEqual(statuses, [400, 200, 404, 400, 200]);
      connection.destroy();
    },
  },
  {
    name: "pipelined requests of one session are taken one after another",
    stock: false,
    why: "Node takes them all at once, so that they overlap and end the session",
    async run({ url }) {
      const session = await PollingSession.open(url);
      await session.join("/");
      const connection = await HttpConnection.open(url);
      connection.tcp.write(
        Buffer.concat([
          requestBytes(url, "POST", session.target, TEXT, '421["echo","a"]'),
          requestBytes(url, "GET", session.target),
          requestBytes(url, "GET", "/socket.io/"),
          requestBytes(url, "POST", session.target, TEXT, '422["echo","b"]'),
          requestBytes(url, "GET", session.target),
        ]),
      );
      const texts = [];
      for (let i = 0; i < 5; i++) texts.push((await connection.response()).text);
      assert.deepEqual(texts, [
        "ok",
        '431["a"]',
        '{"code":0,"message":"Transport unknown"}',
        "ok",
        '432["b"]',
      ]);
      connection.destroy();
    },
  },
  {
    name: "Connection: close is obeyed, and HTTP/1.0 closes by itself",
    async run({ url }) {
      const tcp = await Tcp.open(url);
      tcp.write(requestBytes(url, "GET", POLLING, { Connection: "close" }));
      assertMatch((await tcp.rest()).toString("latin1"), /^HTTP\/1\.1 200 OK\r\n[^]*0\{"sid"/);
      const old = await Tcp.open(url);
      old.write(`GET ${POLLING} HTTP/1.0\r\nHost: x\r\n\r\n`);
      assertMatch((await old.rest()).toString("latin1"), /^HTTP\/1\.[01] 200 OK\r\n[^]*0\{"sid"/);
    },
  },
  {
    name: "a request in pieces of one byte is the same request",
    async run({ url }) {
      const session = await PollingSession.open(url);
      await session.join("/");
      const connection = await HttpConnection.open(url);
      for (const byte of requestBytes(url, "POST", session.target, TEXT, '421["echo","€"]')) {
        await connection.tcp.flushed(Buffer.of(byte));
      }
      assert.equal((await connection.response()).text, "ok");
      assert.deepEqual(await session.packets(), ['431["€"]']);
      connection.destroy();
    },
  },
  {
    name: "header names and the values of Connection and Transfer-Encoding are read without regard to case",
    async run({ url }) {
      const session = await PollingSession.open(url);
      const connection = await HttpConnection.open(url);
      const bytes = post(session, ["cOnTeNt-TyPe: text/plain", "TRANSFER-encoding: Chunked", "CONNECTION: CLOSE"], "");
      connection.tcp.write(`${bytes}2\r\n40\r\n0\r\n\r\n`);
      assert.equal((await connection.response()).text, "ok");
      assert.equal((await connection.tcp.rest()).length, 0);
    },
  },
  {
    name: "a chunked body is put together, whatever its chunks, extensions and trailers",
    async run({ url }) {
      const session = await PollingSession.open(url);
      await session.join("/");
      const connection = await HttpConnection.open(url);
      connection.tcp.write(post(session, ["Transfer-Encoding: chunked"], ""));
      for (const chunk of ["4\r\n421[\r\n", '00a;x="y"\r\n"echo","sp\r\n', '3\r\nlit\r\n2\r\n"]\r\n', "0\r\nX-T: 1\r\n\r\n"]) {
        await connection.tcp.flushed(chunk);
      }
      assert.equal((await connection.response()).text, "ok");
      assert.deepEqual(await session.packets(), ['431["split"]']);
      const again = await connection.request("POST", session.target, TEXT, '422["echo",2]');
      assert.equal(again.text, "ok");
      assert.deepEqual(await session.packets(), ["432[2]"]);
      connection.destroy();
    },
  },
  {
    name: "a chunked body over the limit is refused with 413, and the session lives",
    async run({ url }) {
      const session = await PollingSession.open(url);
      const connection = await HttpConnection.open(url);
      connection.tcp.write(post(session, ["Transfer-Encoding: chunked"], ""));
      const chunk = Buffer.concat([Buffer.from("30d40\r\n"), Buffer.alloc(200_000, "x"), Buffer.from("\r\n")]);
      for (let i = 0; i < 6 && !connection.tcp.ended; i++) await connection.tcp.flushed(chunk);
      const response = await connection.response();
      assert.equal(response.status, 413);
      assert.equal(response.body.length, 0);
      connection.destroy();
      await session.join("/");
    },
  },
  {
    name: "Expect: 100-continue is answered before the body is sent",
    async run({ url }) {
      const session = await PollingSession.open(url);
      const connection = await HttpConnection.open(url);
      connection.tcp.write(post(session, ["Expect: 100-continue", "Content-Length: 2"], ""));
      assert.equal((await connection.response()).status, 100);
      connection.tcp.write("40");
      assert.equal((await connection.response()).text, "ok");
      connection.destroy();
    },
  },
  {
    name: "HEAD outside the engine is answered without a body",
    async run({ url }) {
      const connection = await HttpConnection.open(url);
      const head = await connection.request("HEAD", "/nowhere");
      assert.equal(head.status, 404);
      // Were there a body, it would be taken for the next response.
      assert.equal((await connection.request("GET", POLLING)).status, 200);
      connection.destroy();
    },
  },
  smuggling("a repeated Content-Length", ["Content-Length: 2", "Content-Length: 2"], "40"),
  smuggling("a conflicting Content-Length", ["Content-Length: 2", "Content-Length: 20"], "40"),
  smuggling("a list as Content-Length", ["Content-Length: 2, 2"], "40"),
  smuggling("a signed Content-Length", ["Content-Length: +2"], "40"),
  smuggling("a negative Content-Length", ["Content-Length: -2"], "40"),
  smuggling("a Content-Length in hex", ["Content-Length: 0x2"], "40"),
  smuggling("a Content-Length beyond 64 bits", ["Content-Length: 99999999999999999999999"], "40"),
  smuggling("Content-Length with Transfer-Encoding", ["Content-Length: 2", "Transfer-Encoding: chunked"], "0\r\n\r\n"),
  smuggling("Transfer-Encoding that does not end in chunked", ["Transfer-Encoding: chunked, identity"], "40"),
  smuggling("an unknown Transfer-Encoding", ["Transfer-Encoding: xchunked"], "0\r\n\r\n", {
    statuses: [400, 501],
    inBody: true,
  }),
  smuggling("a repeated Transfer-Encoding", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], "0\r\n\r\n"),
  smuggling("a space before the colon", ["Transfer-Encoding : chunked"], "0\r\n\r\n"),
  smuggling("a folded header line", ["X-A: 1", " 2", "Content-Length: 2"], "40"),
  smuggling("a bare LF in the headers", ["X-A: 1\nContent-Length: 2"], "40"),
  smuggling("a NUL in a header", ["X-A: a\0b", "Content-Length: 2"], "40"),
  smuggling("a bare CR in a header", ["X-A: a\rb", "Content-Length: 2"], "40"),
  smuggling("a chunk size with a sign", ["Transfer-Encoding: chunked"], "+2\r\n40\r\n0\r\n\r\n", IN_BODY),
  smuggling("a chunk size in other than hex", ["Transfer-Encoding: chunked"], "0x2\r\n40\r\n0\r\n\r\n", IN_BODY),
  smuggling("a chunk size beyond 64 bits", ["Transfer-Encoding: chunked"], "fffffffffffffffff\r\n40\r\n0\r\n\r\n", IN_BODY),
  smuggling("a chunk longer than it says", ["Transfer-Encoding: chunked"], "2\r\n40x\r\n0\r\n\r\n", IN_BODY),
  smuggling("a chunk size ended by a bare LF", ["Transfer-Encoding: chunked"], "2\n40\r\n0\r\n\r\n", IN_BODY),
  {
    name: "what is not HTTP is refused with 400, and the connection is closed",
    async run({ url }) {
      for (const bytes of [
        "hello\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "GET  / HTTP/1.1\r\n\r\n",
        `GET ${POLLING} HTTP/1.1\r\n: empty\r\nHost: x\r\n\r\n`,
        `GET ${POLLING} HTTP/9.9\r\nHost: x\r\n\r\n`,
        `G(T ${POLLING} HTTP/1.1\r\nHost: x\r\n\r\n`,
      ]) {
        await assertRefused(url, Buffer.from(bytes, "latin1"), [400, 505]);
      }
    },
  },
  {
    name: "HTTP/1.1 without a Host is refused with 400",
    run: ({ url }) => assertRefused(url, `GET ${POLLING} HTTP/1.1\r\n\r\n`),
  },
  {
    name: "a head without end is refused before it costs memory",
    async run({ url }) {
      const tcp = await Tcp.open(url);
      await tcp.flushed(`GET ${POLLING} HTTP/1.1\r\nHost: x\r\n`);
      for (let i = 0; i < 300 && !tcp.ended; i++) await tcp.flushed(`X-${i}: ${"y".repeat(1000)}\r\n`);
      const answer = (await tcp.rest()).toString("latin1");
      if (answer !== "") assertMatch(answer, /^HTTP\/1\.1 4(00|31) /);
    },
  },
  {
    name: "a target without end is refused before it costs memory",
    async run({ url }) {
      const tcp = await Tcp.open(url);
      await tcp.flushed("GET /socket.io/?EIO=4&transport=polling&x=");
      for (let i = 0; i < 300 && !tcp.ended; i++) await tcp.flushed("y".repeat(1000));
      const answer = (await tcp.rest()).toString("latin1");
      if (answer !== "") assertMatch(answer, /^HTTP\/1\.1 4(00|14|31) /);
    },
  },
];
