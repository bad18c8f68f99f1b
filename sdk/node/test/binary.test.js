"use strict";
const assert = require("node:assert/strict");
const { connected, everywhere } = require("./support.js");

everywhere("binary values leave as attachments, numbered in the order of the text", async ({ start }) => {
  const { io, peer } = await start();
  const { socket } = await connected(io, peer);
  const bytes = new Uint8Array([0, 1, 2, 3, 4, 5]);
  socket.emit("b", {
    z: Buffer.from("first"), 2: new Uint16Array([1]), 1: bytes.buffer,
    list: [new DataView(bytes.buffer, 1, 2), { toJSON: () => ({ deep: bytes.subarray(4) }) }],
    when: new Date(0), none: undefined, f() {},
  });
  const { packet } = await peer.expect("EMIT");
  const place = (num) => `{"_placeholder":true,"num":${num}}`;
  assert.equal(
    packet.text,
    `["b",{"1":${place(0)},"2":${place(1)},"z":${place(2)},"list":[${place(3)},{"deep":${place(4)}}],"when":"1970-01-01T00:00:00.000Z"}]`,
  );
  assert.deepEqual(packet.attachments.map((a) => [...a]), [[0, 1, 2, 3, 4, 5], [1, 0], [...Buffer.from("first")], [1, 2], [4, 5]]);
});

everywhere("acknowledgements, broadcasts and answers carry binary values", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  io.emit("b", Buffer.from("x"));
  const broadcast = await peer.expect("BROADCAST");
  assert.equal(broadcast.packet.text, '["b",{"_placeholder":true,"num":0}]');
  socket.on("e", (value, ack) => ack(Buffer.concat([value.deep[0], Buffer.from("!")])));
  const args = ["e", { deep: [{ _placeholder: true, num: 1 }, { _placeholder: true, num: 0 }] }];
  peer.send(peer.event(client, { args, attachments: [Buffer.from("zero"), Buffer.from("one")] }, 1));
  assert.equal((await peer.expect("ACK")).packet.attachments[0].toString(), "one!");
  const answer = socket.emitWithAck("q");
  const { ack } = await peer.expect("EMIT");
  peer.send(["ACK", { socket: client.socket, ack, packet: { args: [{ _placeholder: true, num: 0 }], attachments: [Buffer.from("a")] } }]);
  assert.deepEqual(await answer, Buffer.from("a"));
});

everywhere("attachments stay as they were when the buffer is used again", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  const kept = [];
  const all = new Promise((resolve) => socket.on("e", (value) => kept.push(value) === 3 && resolve()));
  for (const text of ["one", "two", "six"]) {
    peer.send(peer.event(client, { args: ["e", { _placeholder: true, num: 0 }], attachments: [Buffer.from(text)] }));
  }
  await all;
  assert.deepEqual(kept.map(String), ["one", "two", "six"]);
});

everywhere("what looks like a placeholder is data without attachments, and an error with them", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  const lookalike = { _placeholder: true, num: 0 };
  socket.emit("x", lookalike);
  assert.deepEqual((await peer.expect("EMIT")).packet.args, ["x", lookalike]);
  assert.throws(() => socket.emit("x", lookalike, Buffer.from("y")), TypeError);
  const heard = new Promise((resolve) => socket.on("e", resolve));
  peer.send(peer.event(client, ["e", lookalike]));
  assert.deepEqual(await heard, lookalike);
});

everywhere("a Blob is an error that says what to do", async ({ start }) => {
  const { io, peer } = await start();
  const { socket } = await connected(io, peer);
  assert.throws(() => socket.emit("x", new Blob(["y"])), /arrayBuffer\(\)/);
});

everywhere("a key named __proto__ is a key like any other", async ({ start }) => {
  const { io, peer } = await start();
  const { socket, client } = await connected(io, peer);
  const value = JSON.parse('{"__proto__":{"a":1}}');
  Object.defineProperty(value.__proto__, "unused", { value: 1, enumerable: false });
  socket.on("e", (value, ack) => ack(value, Buffer.from("b")));
  peer.send(peer.event(client, { text: '["e",{"__proto__":{"_placeholder":true,"num":0}}]', attachments: [Buffer.from("p")] }, 1));
  const { packet } = await peer.expect("ACK");
  assert.equal(packet.text, '[{"__proto__":{"_placeholder":true,"num":0}},{"_placeholder":true,"num":1}]');
  assert.deepEqual(packet.attachments.map(String), ["p", "b"]);
});
