// The events of the chat: one interface for each direction, and the data of a socket, as the tutorial of Socket.IO has them.

/** How many are in the chat. Of two headcounts, the one with the larger revision is the later one. */
export interface Headcount {
  count: number;
  revision: number;
}

/** Somebody came or went. Times are Unix milliseconds. */
export interface Notice extends Headcount {
  author: string;
  time: number;
}

/** What somebody said. `from` is the id of the author's socket. */
export interface Message {
  from: string;
  author: string;
  text: string;
  time: number;
}

export type Answer<Result = object> = ({ ok: true } & Result) | { ok: false; error: string };

export interface ClientToServerEvents {
  enter: (nickname: string, answer: (answer: Answer<Headcount>) => void) => void;
  say: (text: string, answer: (answer: Answer) => void) => void;
}

export interface ServerToClientEvents {
  message: (message: Message) => void;
  joined: (notice: Notice) => void;
  left: (notice: Notice) => void;
  count: (headcount: Headcount) => void;
}

export interface InterServerEvents {}

/** Kept by the gateway: whoever takes the socket over finds it. */
export interface SocketData {
  username?: string;
}
