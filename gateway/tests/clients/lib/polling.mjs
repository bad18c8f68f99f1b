// A minimal Engine.IO v4 polling client. Every request goes over a new TCP connection, so that on a gateway with several
// cores any request may land on any core.

import { HttpConnection, once } from "./http.mjs";

export const RS = "\x1e";
const HEAD_START_NOOPS = 4;
const TEXT = { "Content-Type": "text/plain;charset=UTF-8" };

export class PollingSession {
  /** Handshakes; `query` is appended to the target of every request. */
  static async open(url, query = "quiet=1", headers = {}) {
    const target = `/socket.io/?EIO=4&transport=polling${query ? `&${query}` : ""}`;
    const response = await once(url, "GET", target, headers);
    if (response?.status !== 200) throw new Error(`handshake: ${response?.status} ${response?.text}`);
    return new PollingSession(url, target, JSON.parse(response.text.split(RS)[0].slice(1)));
  }

  #base;

  constructor(url, base, opened) {
    this.url = url;
    this.#base = base;
    this.opened = opened;
    this.sid = opened.sid;
  }

  get target() {
    return `${this.#base}&sid=${this.sid}`;
  }

  /** One poll: the whole response. */
  get(headers) {
    return once(this.url, "GET", this.target, headers);
  }

  /** One poll: its packets, in order. Throws unless it was answered with 200. */
  async packets(headers) {
    const response = await this.get(headers);
    if (response?.status !== 200) throw new Error(`poll: ${response?.status} ${response?.text}`);
    return response.text.split(RS);
  }

  /** Posts a body, by default as the JS client does: packets joined by RS. */
  post(body, headers = TEXT) {
    return once(this.url, "POST", this.target, headers, Array.isArray(body) ? body.join(RS) : body);
  }

  /** Posts packets that must be taken; throws otherwise. */
  async push(...packets) {
    const response = await this.post(packets);
    if (response?.status !== 200 || response.text !== "ok") throw new Error(`post: ${response?.status}`);
  }

  /**
   * A poll the server holds. No event tells that it does, so noops follow it, each answered and each on a connection of
   * its own: the server has had several turns on every core by then.
   *
   * @returns {Promise<{connection: HttpConnection, response: Promise}>}
   */
  async pending() {
    const connection = await HttpConnection.open(this.url);
    connection.send("GET", this.target);
    const response = connection.response();
    for (let i = 0; i < HEAD_START_NOOPS; i++) await this.push("6");
    return { connection, response };
  }

  /** Joins a namespace and returns the socket id. */
  async join(namespace = "/", auth) {
    const name = namespace === "/" ? "" : `${namespace},`;
    await this.push(`40${name}${auth === undefined ? "" : JSON.stringify(auth)}`);
    const [packet] = await this.packets();
    const [, id] = /^40(?:[^,]*,)?\{"sid":"([\w-]{20})"/.exec(packet) ?? [];
    if (!id) throw new Error(`not a CONNECT reply: ${packet}`);
    return id;
  }
}
