"use strict";
// The other end of bench/echo.mjs: a fake gateway that counts the answers by their bytes, to be fast.

const { FakeGateway, frame } = require("../test/fake-gateway.js");

const CLIENTS = 256;

async function main() {
  const gateway = await FakeGateway.listen({ window: 0x7fffffff });
  process.send({ path: gateway.path });
  await new Promise((resolve) => process.once("message", resolve));
  const link = await gateway.link();
  await link.expect("SERVE");
  const clients = [];
  for (let i = 0; i < CLIENTS; i++) clients.push(await link.connect());
  const args = ["echo", { id: 12345, text: "x".repeat(60), list: [1, 2, 3] }];
  const events = clients.map((client, i) => frame("EVENT", { flags: 1, socket: client.socket, ack: i, packet: args }));
  let wanted = 0;
  let done = () => {};
  let rest = Buffer.alloc(0);
  gateway.raw = (_link, bytes) => {
    const buf = rest.length > 0 ? Buffer.concat([rest, bytes]) : bytes;
    let at = 0;
    while (at + 4 <= buf.length && at + 4 + buf.readUInt32LE(at) <= buf.length) {
      if (buf[at + 4] === 0x24) wanted--;
      at += 4 + buf.readUInt32LE(at);
    }
    rest = buf.subarray(at);
    if (wanted === 0) done();
  };
  process.on("message", async ({ batch, seconds }) => {
    const bytes = Buffer.concat([...Array.from({ length: batch }, (_, i) => events[i % CLIENTS]), frame("TICK")]);
    let count = 0;
    const credit = frame("CREDIT", { bytes: 0x7fffff });
    link.stream.write(Buffer.concat([credit, frame("TICK")]));
    for (const end = Date.now() + seconds * 1000; Date.now() < end; count += batch) {
      wanted = batch;
      link.stream.write(bytes);
      await new Promise((resolve) => (done = resolve));
    }
    process.send({ events: count });
  });
}

main();
