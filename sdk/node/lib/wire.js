"use strict";
// The words of the backend protocol: frame types, flags, reasons and codes. docs/backend-protocol.md is normative; the
// numbers of its sections stand where they are obeyed.

/** "TDGB", as the little-endian u32 it is on the wire. */
const MAGIC = 0x42474454;
/** The only version of the protocol that this SDK speaks. */
const VERSION = 1;
/** A frame counts against the credit of its sender if this bit of its type is set (§3). */
const COUNTED = 0x20;
/** Longest `data` of a socket, in bytes of JSON (§4, DATA). */
const DATA_BYTES_MAX = 65536;

/** What a backend sends (§4). */
const OUT = Object.freeze({
  HELLO: 0x01,
  CREDIT: 0x02,
  SERVE: 0x03,
  WITHDRAW: 0x04,
  DRAIN: 0x05,
  ACCEPT: 0x20,
  REJECT: 0x21,
  DECLINE: 0x22,
  EMIT: 0x23,
  ACK: 0x24,
  BROADCAST: 0x25,
  JOIN: 0x26,
  LEAVE: 0x27,
  DISCONNECT: 0x28,
  CLOSE: 0x29,
  DATA: 0x2a,
  SOCKETS_JOIN: 0x2b,
  SOCKETS_LEAVE: 0x2c,
  DISCONNECT_SOCKETS: 0x2d,
  FETCH: 0x2e,
  SERVER_EMIT: 0x2f,
  SERVER_ACK: 0x30,
  RELEASED: 0x31,
});

/** What the gateway sends (§5). */
const IN = Object.freeze({
  WELCOME: 0x81,
  REFUSE: 0x82,
  CREDIT: 0x83,
  TICK: 0x84,
  FETCHED: 0x85,
  ASKED: 0x86,
  ANSWER: 0x87,
  ANSWERED: 0x88,
  PEERS: 0x89,
  SERVER_RESPONSES: 0x8a,
  DRAINED: 0x8b,
  CONNECT: 0xa0,
  EVENT: 0xa1,
  ACK: 0xa2,
  DISCONNECTED: 0xa3,
  HANDOVER: 0xa4,
  SERVER_EVENT: 0xa5,
  TRANSPORT: 0xa6,
  CONNECTION_ERROR: 0xa7,
});

/** Flags of EMIT and BROADCAST. */
const VOLATILE = 1;
const UNCOMPRESSED = 2;
const LOCAL = 4;
const WITH_ACK = 8;

/** Reasons of DISCONNECTED, in the words of Socket.IO (§5). Those below `SOCKET_REASON` end the session. */
const REASONS = Object.freeze({
  1: "transport close",
  2: "transport error",
  3: "ping timeout",
  4: "parse error",
  5: "forced close",
  6: "forced server close",
  7: "server shutting down",
  16: "client namespace disconnect",
  17: "server namespace disconnect",
});
const SOCKET_REASON = 16;
const CLIENT_LEFT = 16;

/** Codes of REFUSE (§8). */
const REFUSED = Object.freeze({ NOT_HELLO: 1, VERSION: 2, LINKS: 3, STOPPING: 4, PROTOCOL: 5 });

/** Packet types of Socket.IO. */
const PACKET = Object.freeze({ CONNECT: 0, DISCONNECT: 1, EVENT: 2, ACK: 3, CONNECT_ERROR: 4 });

/** The gateway sent what the protocol does not allow. The link is closed, and dialled again. */
class WireError extends Error {
  constructor(message) {
    super(`the gateway broke the backend protocol: ${message}`);
    this.name = "WireError";
    this.code = "TIDEGATE_PROTOCOL";
  }
}

module.exports = {
  MAGIC, VERSION, COUNTED, DATA_BYTES_MAX, OUT, IN, VOLATILE, UNCOMPRESSED, LOCAL, WITH_ACK, REASONS, SOCKET_REASON,
  CLIENT_LEFT, REFUSED, PACKET, WireError,
};
