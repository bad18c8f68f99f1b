// Slowloris: heads, bodies and frames that arrive one byte now and then, over many connections.

import { frameBytes, OP, RawWebSocket, upgradeHeaders } from "../lib/ws.mjs";
import { requestBytes } from "../lib/http.mjs";
import { PollingSession } from "../lib/polling.mjs";
import { Tcp } from "../lib/tcp.mjs";

const CONNECTIONS = 150;
const DRIP_MS = 50;

/** Opens connections, has each drip its own bytes for a while, and drops them. */
async function drip(url, seconds, count, makeBytes, open = () => Tcp.open(url)) {
  const slow = await Promise.all(
    Array.from({ length: count }, async () => {
      const bytes = await makeBytes();
      return { tcp: await open(), bytes, at: 0 };
    }),
  );
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    for (const each of slow) {
      if (!each.tcp.ended && each.at < each.bytes.length) each.tcp.write(each.bytes.subarray(each.at, ++each.at));
    }
    await new Promise((resolve) => setTimeout(resolve, DRIP_MS));
  }
  const closed = slow.filter(({ tcp }) => tcp.ended).length;
  for (const { tcp } of slow) tcp.destroy();
  return `${count} connections, ${closed} of them closed by the server`;
}

export function slow({ url, seconds }) {
  const target = "/socket.io/?EIO=4&transport=polling&quiet=1";
  return [
    {
      name: "heads that drip",
      run: () => {
        const bytes = requestBytes(url, "GET", target, { "X-Long": "x".repeat(2000) });
        return drip(url, seconds, CONNECTIONS, () => bytes);
      },
    },
    {
      name: "heads that never begin",
      run: () => drip(url, seconds, CONNECTIONS, () => Buffer.alloc(0)),
    },
    {
      name: "upgrades that drip",
      run: () => {
        const bytes = requestBytes(url, "GET", target.replace("polling", "websocket"), upgradeHeaders());
        return drip(url, seconds, CONNECTIONS, () => bytes);
      },
    },
    {
      name: "bodies that drip",
      async run() {
        const makeBytes = async () => {
          const session = await PollingSession.open(url);
          return requestBytes(url, "POST", session.target, {}, `42["echo","${"x".repeat(2000)}"]`);
        };
        return drip(url, seconds, CONNECTIONS, makeBytes);
      },
    },
    {
      name: "frames that drip",
      async run() {
        const open = async () => (await RawWebSocket.session(url)).tcp;
        return drip(url, seconds, CONNECTIONS, () => frameBytes(OP.text, "x".repeat(2000)), open);
      },
    },
  ];
}
