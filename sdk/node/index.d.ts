import { EventEmitter } from "node:events";
import type { Server, Socket } from "socket.io";

/** Options of {@link attach}. */
export interface AttachOptions {
  /** The gateway's Unix socket. Default: the environment's `TIDEGATE_BACKEND_SOCKET`, else `/run/tidegate/backend.sock`. */
  path?: string;
  /** What the gateway calls this process in its log. Default: the title of the process and its id. */
  name?: string;
  /** Bytes that the gateway may send ahead of what was handled. Default: 1 MiB. */
  window?: number;
  /** Whether adopted sockets, which have passed the middlewares before, skip them. Default: true. */
  skipMiddlewares?: boolean;
  /** Names (`/`, `/admin`) to which the offer to the gateway is confined. Default: every namespace there is. */
  namespaces?: string[];
  /** How a lost link is dialled again. */
  reconnect?: {
    /** Milliseconds before the first attempt; doubled with each that fails. Default: 100. */
    minDelay?: number;
    /** Most milliseconds between two attempts. Default: 5000. */
    maxDelay?: number;
    /** Part of the delay that is left to chance, from 0 to 1. Default: 0.5. */
    jitter?: number;
  };
  /** Gives up waiting for a gateway. */
  signal?: AbortSignal;
}

/** What the gateway says of itself. */
export interface Gateway {
  software: string;
  /** Of the backend protocol. */
  version: number;
  /** Its options, under the names that `new Server()` has for them. */
  options: { [name: string]: unknown };
}

/** A refusal by the gateway. */
export interface RefusedError extends Error {
  code: "TIDEGATE_REFUSED";
  /** The code of the backend protocol (1 to 5). */
  refusal: number;
}

interface LinkEvents {
  /** The gateway is there again. */
  connect: [];
  /** The link is lost, and dialled again. The sockets have ended with `transport close`, and come back as recovered. */
  disconnect: [error: Error | undefined];
  /** The gateway has refused a link that it had before. */
  refused: [error: RefusedError];
  /** The number of backends has changed. */
  peers: [count: number];
  /** A socket is about to be given to another backend: the last moment for its `data`. */
  handover: [socket: Socket];
}

/** The link to the gateway. */
export declare class Link extends EventEmitter {
  private constructor();
  /** Whether the gateway is there. */
  readonly connected: boolean;
  /** How many backends are connected to the gateway, this one included. */
  readonly peers: number;
  /** What it has said of itself. */
  readonly gateway: Gateway;
  /**
   * Gives every socket back, for other backends to go on with. Resolves when the gateway has taken the last one.
   * Handlers that owe an acknowledgement have `grace` milliseconds (5000) to give it.
   */
  drain(options?: { grace?: number }): Promise<void>;
  /** Ends the link for good. Clients stay connected to the gateway. */
  close(): Promise<void>;
  /** The process stays alive as long as it is attached (the default). */
  ref(): this;
  /** The link alone does not keep the process alive. */
  unref(): this;
  on<E extends keyof LinkEvents>(event: E, listener: (...args: LinkEvents[E]) => void): this;
  once<E extends keyof LinkEvents>(event: E, listener: (...args: LinkEvents[E]) => void): this;
  off<E extends keyof LinkEvents>(event: E, listener: (...args: LinkEvents[E]) => void): this;
}

/**
 * Connects a Server to the gateway, in place of `io.listen(3000)`.
 *
 * Resolves once the gateway has said welcome, which may take until there is one; rejects if it refuses, or may not be dialled. Handlers that are
 * registered right after it see every client.
 */
export declare function attach(io: Server<any, any, any, any>, options?: AttachOptions): Promise<Link>;
