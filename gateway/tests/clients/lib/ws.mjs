// A WebSocket client made of frames, so that it can also send what no honest client does.

import { randomBytes } from "node:crypto";
import { HttpConnection } from "./http.mjs";

export const OP = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/** The bytes of one frame as a client sends it. */
export function frameBytes(opcode, payload, { fin = true, rsv = 0, masked = true } = {}) {
  const body = Buffer.from(payload);
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const bit = masked ? 0x80 : 0;
  if (body.length < 126) head.push(bit | body.length);
  else if (body.length < 65536) head.push(bit | 126, body.length >> 8, body.length & 255);
  else {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(body.length));
    head.push(bit | 127, ...length);
  }
  if (!masked) return Buffer.concat([Buffer.from(head), body]);
  const mask = randomBytes(4);
  for (let i = 0; i < body.length; i++) body[i] ^= mask[i & 3];
  return Buffer.concat([Buffer.from(head), mask, body]);
}

function takeFrame(buffer) {
  if (buffer.length < 2) return undefined;
  let length = buffer[1] & 0x7f;
  let at = 2;
  if (buffer[1] & 0x80) throw new Error("a server frame is masked");
  if (length === 126) {
    if (buffer.length < 4) return undefined;
    length = buffer.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (buffer.length < 10) return undefined;
    length = Number(buffer.readBigUInt64BE(2));
    at = 10;
  }
  if (buffer.length < at + length) return undefined;
  const frame = { fin: buffer[0] >= 0x80, opcode: buffer[0] & 15, rsv: (buffer[0] >> 4) & 7 };
  return { value: { ...frame, payload: buffer.subarray(at, at + length) }, used: at + length };
}

export function upgradeHeaders(extra = {}) {
  return {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
    ...extra,
  };
}

export class RawWebSocket {
  /** Upgrades `target`; throws unless the answer is 101. */
  static async open(url, target, headers) {
    const connection = await HttpConnection.open(url);
    connection.send("GET", target, upgradeHeaders(headers));
    const response = await connection.response();
    if (response?.status !== 101) {
      connection.destroy();
      throw new Error(`upgrade: ${response?.status} ${response?.text}`);
    }
    return new RawWebSocket(connection.tcp, response);
  }

  /** A new Engine.IO session on WebSocket, its open packet read. */
  static async session(url, query = "quiet=1", headers) {
    const ws = await RawWebSocket.open(url, `/socket.io/?EIO=4&transport=websocket&${query}`, headers);
    const open = await ws.text();
    ws.opened = JSON.parse(open.slice(1));
    return ws;
  }

  /** The candidate of an upgrade of `sid`. Nothing has been sent on it. */
  static candidate(url, sid, query = "quiet=1") {
    return RawWebSocket.open(url, `/socket.io/?EIO=4&transport=websocket&sid=${sid}&${query}`);
  }

  constructor(tcp, response) {
    this.tcp = tcp;
    this.response = response;
  }

  frame(opcode, payload, options) {
    this.tcp.write(frameBytes(opcode, payload, options));
  }

  send(...packets) {
    for (const packet of packets) this.frame(typeof packet === "string" ? OP.text : OP.binary, packet);
  }

  /** Several packets in one write, which is as near to "in the same tick" as a network gets. */
  sendTogether(...packets) {
    this.tcp.write(
      Buffer.concat(packets.map((packet) => frameBytes(typeof packet === "string" ? OP.text : OP.binary, packet))),
    );
  }

  /** The next frame, or null when the connection ended. */
  next() {
    return this.tcp.take(takeFrame);
  }

  /** The next frame as text; throws if it is anything else. */
  async text() {
    const frame = await this.next();
    if (frame?.opcode !== OP.text || !frame.fin) throw new Error(`expected text, got ${describe(frame)}`);
    return frame.payload.toString("utf8");
  }

  /** The next frame as binary; throws if it is anything else. */
  async binary() {
    const frame = await this.next();
    if (frame?.opcode !== OP.binary || !frame.fin) throw new Error(`expected binary, got ${describe(frame)}`);
    return frame.payload;
  }

  /** The next frame must be a close: returns its code (1005 for none), answers it, and waits for the end. */
  async closed() {
    const frame = await this.next();
    if (frame?.opcode !== OP.close) throw new Error(`expected a close frame, got ${describe(frame)}`);
    this.frame(OP.close, frame.payload.subarray(0, 2));
    const rest = await this.tcp.rest();
    if (rest.length > 0) throw new Error(`${rest.length} bytes after the close frame`);
    return frame.payload.length === 0 ? 1005 : frame.payload.readUInt16BE(0);
  }

  /** An event and its ack: proof that nothing else was sent before, and that the session lives. */
  async roundTrip(namespace = "") {
    this.send(`42${namespace}9007["echo","still here"]`);
    const answer = await this.text();
    if (answer !== `43${namespace}9007["still here"]`) throw new Error(`expected an ack, got ${answer}`);
  }

  destroy() {
    this.tcp.destroy();
  }
}

function describe(frame) {
  if (!frame) return "the end of the connection";
  const name = Object.keys(OP).find((key) => OP[key] === frame.opcode) ?? frame.opcode;
  return `${name} ${JSON.stringify(frame.payload.toString("utf8").slice(0, 200))}`;
}
