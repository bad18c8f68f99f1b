// @ts-check
// The chat: one room, nicknames, notices of who comes and goes, a count. There is nothing of Tidegate in this file but a few
// comments: it works on any `Server`. The page with the other end of the events is public/.

import { nicknameOf, Quota, textOf } from "./rules.js";

/** @import { Server, Socket } from "socket.io" */
/** @import { ClientToServerEvents, Headcount, InterServerEvents, ServerToClientEvents, SocketData } from "./events.js" */
/** @typedef {Server<ClientToServerEvents, ServerToClientEvents, InterServerEvents, SocketData>} ChatServer */
/** @typedef {Socket<ClientToServerEvents, ServerToClientEvents, InterServerEvents, SocketData>} ChatSocket */

/** The room of those who have a nickname. */
const INSIDE = "inside";
/** From the first client that comes back after a restart until all are told how many there are. */
const RECOUNT_MS = 200;

/** @param {ChatServer} io */
export function chat(io) {
  let revision = 0;
  /** @type {NodeJS.Timeout | undefined} */
  let recounting;

  /**
   * How many are inside, whichever process serves them. A revision is a time, so that those of the next process are larger.
   * @returns {Promise<Headcount>}
   */
  async function headcount() {
    const { length: count } = await io.in(INSIDE).fetchSockets();
    revision = Math.max(revision + 1, Date.now());
    return { count, revision };
  }

  /** @param {ChatSocket} socket @param {unknown} wanted @returns {Promise<Headcount>} */
  async function enter(socket, wanted) {
    // A second `enter` changes nothing: the client was not sure whether the first had arrived.
    if (socket.data.username !== undefined) return headcount();
    const author = nicknameOf(wanted);
    socket.data.username = author;
    await socket.join(INSIDE);
    const now = await headcount();
    socket.to(INSIDE).emit("joined", { author, ...now, time: Date.now() });
    return now;
  }

  /** @param {ChatSocket} socket @param {Quota} quota @param {unknown} said */
  function say(socket, quota, said) {
    const author = socket.data.username;
    if (author === undefined) throw new Error("Choose a nickname first.");
    const text = textOf(said);
    quota.take(Date.now());
    io.to(INSIDE).emit("message", { from: socket.id, author, text, time: Date.now() });
  }

  /** @param {string} author */
  async function left(author) {
    io.to(INSIDE).emit("left", { author, ...(await headcount()), time: Date.now() });
  }

  async function recount() {
    recounting = undefined;
    io.to(INSIDE).emit("count", await headcount());
  }

  io.on("connection", (socket) => {
    // This socket was another process's, which has gone. The client has noticed nothing: the socket has its id, its rooms
    // and its data. Nobody counted those who left in the meantime.
    if (socket.recovered) recounting ??= setTimeout(recount, RECOUNT_MS);

    const quota = new Quota();
    socket.on("enter", (nickname, answer) => settle(answer, () => enter(socket, nickname)));
    socket.on("say", (text, answer) => settle(answer, () => say(socket, quota, text)));
    socket.on("disconnect", () => {
      if (socket.data.username !== undefined) left(socket.data.username).catch(console.error);
    });
  });
}

/**
 * Does what a client asks, and tells it how that went. Clients send whatever they like, or no callback at all.
 * @template {object | void} Result
 * @param {unknown} answer
 * @param {() => Result | Promise<Result>} act
 */
async function settle(answer, act) {
  const tell = typeof answer === "function" ? answer : () => {};
  try {
    tell({ ok: true, ...(await act()) });
  } catch (error) {
    tell({ ok: false, error: error instanceof Error ? error.message : String(error) });
  }
}
