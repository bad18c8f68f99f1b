// A connection that is closed, dropped or reset at every stage of handshake, polling, upgrade and close.

import { HttpConnection, requestBytes } from "../lib/http.mjs";
import { PollingSession } from "../lib/polling.mjs";
import { Tcp } from "../lib/tcp.mjs";
import { OP, RawWebSocket, frameBytes, upgradeHeaders } from "../lib/ws.mjs";

const HOW = ["end", "destroy", "reset"];
const ROUNDS = 5;
const POLLING = "/socket.io/?EIO=4&transport=polling&quiet=1";

async function joinedPolling(url) {
  const session = await PollingSession.open(url);
  await session.join("/behaviours");
  return session;
}

async function joinedWebSocket(url) {
  const ws = await RawWebSocket.session(url);
  ws.send("40/behaviours,");
  await ws.text();
  return ws;
}

/** Each stage returns the connection to be closed, having brought it there. */
const STAGES = {
  "after the TCP connect": (url) => Tcp.open(url),
  "within a request line": async (url) => {
    const tcp = await Tcp.open(url);
    await tcp.flushed("GET /socket.io/?EI");
    return tcp;
  },
  "within a head": async (url) => {
    const tcp = await Tcp.open(url);
    await tcp.flushed(`GET ${POLLING} HTTP/1.1\r\nHost: x\r\nX-A`);
    return tcp;
  },
  "before the answer to a handshake": async (url) => {
    const connection = await HttpConnection.open(url);
    connection.send("GET", POLLING);
    return connection.tcp;
  },
  "within a body": async (url) => {
    const session = await joinedPolling(url);
    const tcp = await Tcp.open(url);
    await tcp.flushed(requestBytes(url, "POST", session.target, { "Content-Length": "100" }, "42["));
    return tcp;
  },
  "within a chunk": async (url) => {
    const session = await joinedPolling(url);
    const tcp = await Tcp.open(url);
    await tcp.flushed(requestBytes(url, "POST", session.target, { "Transfer-Encoding": "chunked" }, "ff\r\n42["));
    return tcp;
  },
  "with a poll pending": async (url) => {
    const session = await joinedPolling(url);
    return (await session.pending()).connection.tcp;
  },
  "with a poll that is being answered": async (url) => {
    const session = await joinedPolling(url);
    const get = await session.pending();
    await session.push('42/behaviours,1["big",{"bytes":500000}]');
    get.response.catch(() => {});
    return get.connection.tcp;
  },
  "before the 101": async (url) => {
    const tcp = await Tcp.open(url);
    tcp.write(requestBytes(url, "GET", POLLING.replace("polling", "websocket"), upgradeHeaders()));
    return tcp;
  },
  "after the 101": async (url) => (await RawWebSocket.session(url)).tcp,
  "with a CONNECT under way": async (url) => {
    const ws = await RawWebSocket.session(url);
    ws.send("40/behaviours,");
    return ws.tcp;
  },
  "within a frame": async (url) => {
    const ws = await joinedWebSocket(url);
    await ws.tcp.flushed(frameBytes(OP.text, '42["echo",1]').subarray(0, 9));
    return ws.tcp;
  },
  "within a fragmented message": async (url) => {
    const ws = await joinedWebSocket(url);
    ws.frame(OP.text, '42/behaviours,["ec', { fin: false });
    return ws.tcp;
  },
  "between an event and its attachment": async (url) => {
    const ws = await joinedWebSocket(url);
    ws.send('452-/behaviours,["echo",{"_placeholder":true,"num":0}]', Buffer.of(1));
    return ws.tcp;
  },
  "with an answer on its way": async (url) => {
    const ws = await joinedWebSocket(url);
    ws.send('42/behaviours,1["big",{"bytes":2000000}]');
    await ws.next();
    return ws.tcp;
  },
  "with a question of the server open": async (url) => {
    const ws = await joinedWebSocket(url);
    ws.send('42/behaviours,1["call-me",{"ev":"question","timeout":50}]');
    await ws.text();
    return ws.tcp;
  },
  "with a candidate that says nothing": async (url) => {
    const session = await joinedPolling(url);
    return (await RawWebSocket.candidate(url, session.sid)).tcp;
  },
  "with a probe under way": async (url) => {
    const session = await joinedPolling(url);
    const ws = await RawWebSocket.candidate(url, session.sid);
    ws.send("2probe");
    return ws.tcp;
  },
  "after a probe": async (url) => {
    const session = await joinedPolling(url);
    const ws = await RawWebSocket.candidate(url, session.sid);
    ws.send("2probe");
    await ws.text();
    return ws.tcp;
  },
  "right after the upgrade": async (url) => {
    const session = await joinedPolling(url);
    const ws = await RawWebSocket.candidate(url, session.sid);
    ws.send("2probe");
    await ws.text();
    ws.send("5", '42/behaviours,["echo",1]');
    return ws.tcp;
  },
  "after its close frame": async (url) => {
    const ws = await joinedWebSocket(url);
    ws.frame(OP.close, Buffer.of(3, 232));
    return ws.tcp;
  },
  "without answering the server's close frame": async (url) => {
    const ws = await joinedWebSocket(url);
    ws.send('42/behaviours,["bye",true]');
    while ((await ws.next())?.opcode !== OP.close);
    return ws.tcp;
  },
};

export function stages({ url }) {
  return Object.entries(STAGES).map(([stage, reach]) => ({
    name: `a connection that goes away ${stage}`,
    async run() {
      for (let i = 0; i < ROUNDS; i++) {
        await Promise.all(
          HOW.map(async (how) => {
            const tcp = await reach(url);
            tcp[how]();
            // A half-closed connection is dropped when the server has had a turn to see it.
            if (how === "end") await PollingSession.open(url);
            tcp.destroy();
          }),
        );
      }
    },
  }));
}
