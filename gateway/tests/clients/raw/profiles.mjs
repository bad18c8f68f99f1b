// Vectors that need other than default options: each profile names the server flags it is true for.

import assert from "node:assert/strict";
import { assertMatch } from "../lib/check.mjs";
import { once } from "../lib/http.mjs";
import { PollingSession } from "../lib/polling.mjs";
import { RawWebSocket, upgradeHeaders } from "../lib/ws.mjs";
import { timingProfiles } from "./timing.mjs";

const POLLING = "/socket.io/?EIO=4&transport=polling";
const WEBSOCKET = "/socket.io/?EIO=4&transport=websocket";
const TRANSPORT_UNKNOWN = '{"code":0,"message":"Transport unknown"}';

const small = [
  {
    name: "P13 a limit of 100 bytes refuses a POST of 101 with 413, takes one of 100, and the session lives",
    async run({ url }) {
      const session = await PollingSession.open(url);
      assert.equal(session.opened.maxPayload, 100);
      await session.join("/");
      const refused = await session.post(`42["echo","${"x".repeat(88)}"]`);
      assert.equal(refused.status, 413);
      assert.equal(refused.body.length, 0);
      const body = `42["echo","${"x".repeat(87)}"]`;
      assert.equal(body.length, 100);
      await session.push(body);
      assert.deepEqual(await session.packets(), [body]);
    },
  },
  {
    name: "P13 the limit counts bytes, not characters",
    async run({ url }) {
      const session = await PollingSession.open(url);
      const refused = await session.post(`42["echo","${"€".repeat(40)}"]`);
      assert.equal(refused.status, 413);
    },
  },
  {
    name: "W5 a limit of 100 bytes closes with 1009 on a message of 101",
    async run({ url, reason }) {
      const ws = await RawWebSocket.session(url);
      ws.send("40");
      const { sid } = JSON.parse((await ws.text()).slice(2));
      const body = `42["echo","${"x".repeat(87)}"]`;
      ws.send(body);
      assert.equal(await ws.text(), body);
      ws.send(`${body} `);
      assert.equal(await ws.closed(), 1009);
      assert.equal(await reason(sid), "transport error");
    },
  },
  {
    name: "the limit does not hold for what the server sends",
    async run({ url }) {
      const ws = await RawWebSocket.session(url);
      ws.send("40/behaviours,");
      await ws.text();
      ws.send('42/behaviours,0["big",{"bytes":5000}]');
      assert.equal((await ws.text()).length, '43/behaviours,0[""]'.length + 5000);
      ws.destroy();
    },
  },
];

const pollingOnly = [
  {
    name: "H21 with transports polling the handshake offers no upgrade",
    async run({ url }) {
      assert.deepEqual((await PollingSession.open(url)).opened.upgrades, []);
    },
  },
  {
    name: "H21 with transports polling an upgrade is a plain request for an unknown transport",
    async run({ url }) {
      const response = await once(url, "GET", WEBSOCKET, upgradeHeaders());
      assert.equal(response.status, 400);
      assert.equal(response.text, TRANSPORT_UNKNOWN);
    },
  },
];

const websocketOnly = [
  {
    name: "H22 with transports websocket a polling handshake is refused with code 0",
    async run({ url }) {
      const response = await once(url, "GET", POLLING);
      assert.equal(response.status, 400);
      assert.equal(response.text, TRANSPORT_UNKNOWN);
    },
  },
  {
    name: "H22 with transports websocket a WebSocket handshake is taken",
    async run({ url }) {
      const ws = await RawWebSocket.session(url);
      assert.deepEqual(ws.opened.upgrades, []);
      ws.destroy();
    },
  },
];

const corsAny = [
  {
    name: "H25 a preflight is answered with 204 and what is allowed",
    async run({ url }) {
      const response = await once(url, "OPTIONS", POLLING, {
        Origin: "https://a.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-z",
      });
      assert.equal(response.status, 204);
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      assert.equal(response.headers.get("access-control-allow-methods"), "GET,HEAD,PUT,PATCH,POST,DELETE");
      assert.equal(response.headers.get("access-control-allow-headers"), "content-type,x-z");
      assert.equal(response.headers.get("vary"), "Access-Control-Request-Headers");
      assert.equal(response.headers.get("content-length"), "0");
    },
  },
  {
    name: "H25 every response carries the CORS header, errors and the 101 too",
    async run({ url }) {
      for (const target of [POLLING, "/socket.io/"]) {
        const response = await once(url, "GET", target, { Origin: "https://a.com" });
        assert.equal(response.headers.get("access-control-allow-origin"), "*", target);
      }
      const ws = await RawWebSocket.session(url);
      assert.equal(ws.response.headers.get("access-control-allow-origin"), "*");
      ws.destroy();
    },
  },
];

const corsOne = [
  {
    name: "H26 one configured origin is announced to everybody, with Vary",
    async run({ url }) {
      for (const headers of [{ Origin: "https://b.com" }, { Origin: "https://a.com" }, {}]) {
        const response = await once(url, "GET", POLLING, headers);
        assert.equal(response.status, 200);
        assert.equal(response.headers.get("access-control-allow-origin"), "https://a.com");
        assertMatch(response.headers.get("vary"), /^Origin$/);
      }
    },
  },
];

const corsList = [
  {
    name: "H27 of several origins the one that asks is reflected; credentials are announced",
    async run({ url }) {
      for (const [origin, allowed] of [
        [undefined, undefined],
        ["https://a.com", "https://a.com"],
        ["https://c.com", "https://c.com"],
        ["https://b.com", undefined],
      ]) {
        const response = await once(url, "GET", POLLING, origin ? { Origin: origin } : {});
        assert.equal(response.status, 200);
        assert.equal(response.headers.get("access-control-allow-origin"), allowed);
        assert.equal(response.headers.get("vary"), "Origin");
        assert.equal(response.headers.get("access-control-allow-credentials"), "true");
      }
    },
  },
];

/** Profile name → the flags of the server, and the vectors. */
export const profiles = {
  small: { flags: ["--max-payload", "100"], vectors: small },
  "polling-only": { flags: ["--transports", "polling"], vectors: pollingOnly },
  "websocket-only": { flags: ["--transports", "websocket"], vectors: websocketOnly },
  "cors-any": { flags: ["--cors-origin", "*"], vectors: corsAny },
  "cors-one": { flags: ["--cors-origin", "https://a.com"], vectors: corsOne },
  "cors-list": {
    flags: ["--cors-origin", "https://a.com", "--cors-origin", "https://c.com", "--cors-credentials"],
    vectors: corsList,
  },
  ...timingProfiles,
};
