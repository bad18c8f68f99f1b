// Clients that never read while the server is asked to send a lot, and clients that send all they can.

import { RawWebSocket } from "../lib/ws.mjs";
import { HttpConnection } from "../lib/http.mjs";
import { PollingSession } from "../lib/polling.mjs";

const NEVER_READERS = 10;
const REQUESTS = 20;
const BIG_BYTES = 1_000_000;
const SENDERS = 5;
const SENT_EVENTS = 5000;

export function floods({ url }) {
  return [
    {
      name: "WebSocket clients that never read what they asked for",
      async run() {
        const clients = await Promise.all(Array.from({ length: NEVER_READERS }, () => RawWebSocket.session(url)));
        for (const ws of clients) {
          ws.send("40/behaviours,");
          await ws.text();
          ws.tcp.pause();
        }
        for (let i = 0; i < REQUESTS; i++) {
          for (const ws of clients) ws.send(`42/behaviours,${i}["big",{"bytes":${BIG_BYTES}}]`);
        }
        // The helper's answer comes after the server has had every request, or has closed on it.
        const last = await RawWebSocket.session(url);
        last.send("40");
        await last.text();
        await last.roundTrip();
        for (const ws of [...clients, last]) ws.destroy();
      },
    },
    {
      name: "polling clients that never read what they asked for",
      async run() {
        const connections = await Promise.all(
          Array.from({ length: NEVER_READERS }, async () => {
            const session = await PollingSession.open(url);
            await session.join("/behaviours");
            const get = await HttpConnection.open(url);
            get.tcp.pause();
            get.send("GET", session.target);
            for (let i = 0; i < REQUESTS; i++) {
              // A session that was closed as a slow consumer refuses, which is an answer too.
              await session.post(`42/behaviours,${i}["big",{"bytes":${BIG_BYTES}}]`);
            }
            return get;
          }),
        );
        for (const connection of connections) connection.destroy();
      },
    },
    {
      name: "polling clients that never poll",
      async run() {
        await Promise.all(
          Array.from({ length: NEVER_READERS }, async () => {
            const session = await PollingSession.open(url);
            await session.join("/behaviours");
            for (let i = 0; i < REQUESTS; i++) {
              await session.post(`42/behaviours,${i}["big",{"bytes":${BIG_BYTES}}]`);
            }
            const response = await session.post("1");
            if (response.status !== 200 && response.status !== 400) throw new Error(`answered ${response.status}`);
          }),
        );
      },
    },
    {
      name: "members of a room that never read, while another broadcasts to them",
      async run() {
        const room = `deaf-${Math.random()}`;
        const deaf = await Promise.all(
          Array.from({ length: NEVER_READERS }, async () => {
            const ws = await RawWebSocket.session(url);
            ws.send("40/behaviours,");
            await ws.text();
            ws.send(`42/behaviours,0["join",["${room}"]]`);
            await ws.text();
            ws.tcp.pause();
            return ws;
          }),
        );
        const sender = await RawWebSocket.session(url);
        sender.send("40/behaviours,");
        await sender.text();
        const what = JSON.stringify({ rooms: [room], ev: "news", args: ["x".repeat(50_000)] });
        for (let i = 0; i < 100; i++) {
          sender.send(`42/behaviours,${i}["to",${what}]`);
          const ack = await sender.text();
          if (ack !== `43/behaviours,${i}[true]`) throw new Error(`answered ${ack}`);
        }
        for (const ws of [...deaf, sender]) ws.destroy();
      },
    },
    {
      name: "clients that send all they can and read nothing",
      async run() {
        await Promise.all(
          Array.from({ length: SENDERS }, async () => {
            const ws = await RawWebSocket.session(url);
            ws.send("40");
            await ws.text();
            ws.tcp.pause();
            const event = `42["echo","${"x".repeat(1000)}"]`;
            for (let i = 0; i < SENT_EVENTS && !ws.tcp.ended; i++) ws.send(event);
            ws.destroy();
          }),
        );
      },
    },
  ];
}
