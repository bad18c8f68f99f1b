// Random and mutated inputs on every layer: HTTP heads and bodies, WebSocket frames, Engine.IO and Socket.IO packets.
//
// An input passes when the server answers it, refuses it, or says nothing; that the server lives is seen by who else is
// connected. After its last input a connection is half-closed and given a moment, then dropped.

import { requestBytes } from "../lib/http.mjs";
import { PollingSession, RS } from "../lib/polling.mjs";
import { Tcp } from "../lib/tcp.mjs";
import { OP, RawWebSocket, frameBytes, upgradeHeaders } from "../lib/ws.mjs";

const AT_ONCE = 16;
const INPUTS_PER_CONNECTION = 20;
const MOMENT_MS = 20;

const PH = '{"_placeholder":true,"num":0}';

const HTTP_SEEDS = (url, sid) => {
  const polling = "/socket.io/?EIO=4&transport=polling&quiet=1";
  return [
    requestBytes(url, "GET", polling),
    requestBytes(url, "GET", `${polling}&sid=${sid}`),
    requestBytes(url, "POST", `${polling}&sid=${sid}`, { "Content-Type": "text/plain" }, "40"),
    requestBytes(url, "POST", `${polling}&sid=${sid}`, { "Transfer-Encoding": "chunked" }, "2\r\n40\r\n0\r\n\r\n"),
    requestBytes(url, "POST", `${polling}&sid=${sid}`, { Expect: "100-continue" }, '42["echo"]'),
    requestBytes(url, "GET", polling.replace("polling", "websocket"), upgradeHeaders()),
    requestBytes(url, "GET", `${polling.replace("polling", "websocket")}&sid=${sid}`, upgradeHeaders()),
    requestBytes(url, "GET", "/socket.io/socket.io.min.js", { "If-None-Match": '"1"', "Accept-Encoding": "gzip" }),
    requestBytes(url, "OPTIONS", polling, { Origin: "http://a", "Access-Control-Request-Headers": "x" }),
    requestBytes(url, "GET", "/"),
  ];
};

const SIO_SEEDS = [
  "40",
  '40/admin,{"a":1}',
  "41/admin,",
  '42["echo",1,{"a":[null,"é😀"]}]',
  '42/behaviours,12["echo","x"]',
  '43/behaviours,1["x"]',
  '44{"message":"x"}',
  `451-["echo",${PH}]`,
  `452-/behaviours,7["echo",{"a":${PH}},{"_placeholder":true,"num":1}]`,
  `461-1[${PH}]`,
  '42/behaviours,0["join",["a","b"]]',
  '42/behaviours,1["to",{"rooms":["a"],"ev":"x","args":[1]}]',
  '42/behaviours,2["fetch",{"rooms":["a"]}]',
  '42/behaviours,3["call-me",{"ev":"q","timeout":10}]',
  "40/dyn-1,",
  "0",
  "2probe",
  "3",
  "5",
  "6",
  "bAQIDBA==",
];

const INTERESTING = ["\0", "\r\n", "\r\n\r\n", "\x1e", '"', "\\", "{", "[", "[[[[[[[[[[", "-", ",", "/", "\u{1f600}", "%", "&"];

/** One to four small changes. */
function mutate(random, seed, seeds) {
  let bytes = Buffer.from(seed);
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = random.below(bytes.length + 1);
    const upTo = Math.min(bytes.length, at + 1 + random.below(16));
    const [head, middle, tail] = [bytes.subarray(0, at), bytes.subarray(at, upTo), bytes.subarray(upTo)];
    switch (random.below(8)) {
      case 0: // flip a bit
        if (at < bytes.length) bytes[at] ^= 1 << random.below(8);
        break;
      case 1: // remove
        bytes = Buffer.concat([head, tail]);
        break;
      case 2: // repeat
        bytes = Buffer.concat([head, middle, middle, tail]);
        break;
      case 3: // insert bytes
        bytes = Buffer.concat([head, random.bytes(1 + random.below(8)), middle, tail]);
        break;
      case 4: // insert something that means something
        bytes = Buffer.concat([head, Buffer.from(random.pick(INTERESTING)), middle, tail]);
        break;
      case 5: // cut off
        bytes = Buffer.from(head);
        break;
      case 6: // a number at the edge
        bytes = Buffer.concat([head, Buffer.from(random.pick(["0", "-1", "10", "4294967296", "9".repeat(30)])), tail]);
        break;
      default: // splice with another
        bytes = Buffer.concat([head, Buffer.from(random.pick(seeds)).subarray(random.below(8))]);
    }
  }
  return bytes;
}

/** Bytes that mean nothing, or little. */
function noise(random, seeds) {
  return random.chance(0.15) ? random.bytes(random.below(200)) : mutate(random, random.pick(seeds), seeds);
}

/** Lets the server see the end of the input, then drops the connection. */
async function letGo(tcp) {
  tcp.end();
  const moment = new Promise((resolve) => setTimeout(resolve, MOMENT_MS));
  await Promise.race([tcp.rest(), moment]);
  tcp.destroy();
}

/** Calls `work(share)` until `count` inputs are used; it returns how many of its share it used, if not all. */
async function spend(count, work) {
  let left = count;
  const worker = async () => {
    while (left > 0) {
      const share = Math.min(left, INPUTS_PER_CONNECTION);
      left -= share;
      left += share - ((await work(share)) ?? share);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return `${count} inputs`;
}

async function overHttp(url, random, share) {
  const session = await PollingSession.open(url);
  const seeds = HTTP_SEEDS(url, session.sid);
  for (let left = share; left > 0; ) {
    const tcp = await Tcp.open(url);
    // Several on one connection: what a server makes of the bytes after a broken request is the interesting part.
    for (let n = 1 + random.below(3); n > 0 && left > 0; n--, left--) tcp.write(noise(random, seeds));
    await letGo(tcp);
  }
}

/** Frames that are valid but for a few bits, over a session that is otherwise in order. */
async function overFrames(url, random, share) {
  const ws = await RawWebSocket.session(url);
  let used = 0;
  for (; used < share && !ws.tcp.ended; used++) {
    const payload = random.chance(0.5) ? random.pick(SIO_SEEDS) : random.bytes(random.below(300));
    const frame = frameBytes(random.chance(0.8) ? random.pick(Object.values(OP)) : random.below(16), payload, {
      fin: random.chance(0.8),
      rsv: random.chance(0.05) ? random.below(8) : 0,
      masked: random.chance(0.97),
    });
    ws.tcp.write(random.chance(0.3) ? mutate(random, frame, [frame]) : frame);
    if (random.chance(0.3)) await new Promise(setImmediate);
  }
  await letGo(ws.tcp);
  return used;
}

/** Well-formed frames with broken packets in them. */
async function overPackets(url, random, share) {
  const ws = await RawWebSocket.session(url);
  ws.send("40", "40/behaviours,");
  await ws.text();
  await ws.text();
  let used = 0;
  for (; used < share && !ws.tcp.ended; used++) {
    if (random.chance(0.15)) ws.frame(OP.binary, random.bytes(random.below(50)));
    else if (random.chance(0.4)) ws.frame(OP.text, random.pick(SIO_SEEDS));
    else ws.frame(OP.text, noise(random, SIO_SEEDS).toString("utf8"));
    // Some arrive together, some apart; what comes after a close goes nowhere.
    if (random.chance(0.3)) await new Promise(setImmediate);
  }
  await letGo(ws.tcp);
  return used;
}

/** Well-formed POSTs with broken payloads in them. */
async function overPolling(url, random, share) {
  let session = await PollingSession.open(url);
  await session.join("/behaviours");
  for (let left = share; left > 0; left--) {
    const packets = Array.from({ length: 1 + random.below(3) }, () => noise(random, SIO_SEEDS).toString("utf8"));
    const response = await session.post(packets.join(RS));
    if (response === null || ![200, 400, 413].includes(response.status)) {
      throw new Error(`a POST was answered with ${response?.status}`);
    }
    if (response.status === 400) session = await PollingSession.open(url);
  }
}

export function inputs({ url, random, count }) {
  const layers = [
    ["HTTP requests", 0.2, overHttp],
    ["WebSocket frames", 0.35, overFrames],
    ["Engine.IO and Socket.IO packets over WebSocket", 0.4, overPackets],
    ["Engine.IO and Socket.IO packets over polling", 0.05, overPolling],
  ];
  return layers.map(([name, part, work]) => ({
    name: `random and mutated ${name}`,
    run: () => spend(Math.round(count * part), (share) => work(url, random, share)),
  }));
}
