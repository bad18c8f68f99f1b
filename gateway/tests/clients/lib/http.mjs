// HTTP/1.1 by hand over TCP: requests are the bytes you write, responses are parsed strictly and kept raw.

import { Tcp } from "./tcp.mjs";

const END_OF_HEAD = Buffer.from("\r\n\r\n");

/** @typedef {{status: number, headers: Map<string, string>, head: string, body: Buffer, text: string}} Response */

/** The bytes of a request. `headers` are lines in the order given; Host and Content-Length are added when missing. */
export function requestBytes(url, method, target, headers = {}, body) {
  const lines = [`${method} ${target} HTTP/1.1`];
  const names = Object.keys(headers).map((name) => name.toLowerCase());
  if (!names.includes("host")) lines.push(`Host: ${new URL(url).host}`);
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  const bytes = body === undefined ? undefined : Buffer.from(body);
  if (bytes && !names.includes("content-length") && !names.includes("transfer-encoding")) {
    lines.push(`Content-Length: ${bytes.length}`);
  }
  const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  return bytes ? Buffer.concat([head, bytes]) : head;
}

function parseHead(text) {
  const [statusLine, ...lines] = text.split("\r\n");
  const [, status] = /^HTTP\/1\.[01] (\d{3})(?: .*)?$/.exec(statusLine) ?? [];
  if (!status) throw new Error(`not a status line: ${JSON.stringify(statusLine)}`);
  const headers = new Map();
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (!name) throw new Error(`not a header: ${JSON.stringify(line)}`);
    const key = name.toLowerCase();
    headers.set(key, headers.has(key) ? `${headers.get(key)}, ${value}` : value);
  }
  return { status: Number(status), headers };
}

function dechunk(buffer) {
  const parts = [];
  for (let at = 0; ; ) {
    const lineEnd = buffer.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(buffer.subarray(at, lineEnd).toString("latin1"), 16);
    if (Number.isNaN(size)) throw new Error("not a chunk size");
    const end = lineEnd + 2 + size;
    if (buffer.length < end + 2) return undefined;
    if (size === 0) return { value: Buffer.concat(parts), used: end + 2 };
    parts.push(buffer.subarray(lineEnd + 2, end));
    at = end + 2;
  }
}

export class HttpConnection {
  static async open(url) {
    return new HttpConnection(url, await Tcp.open(url));
  }

  constructor(url, tcp) {
    this.url = url;
    this.tcp = tcp;
  }

  send(method, target, headers, body) {
    this.tcp.write(requestBytes(this.url, method, target, headers, body));
  }

  /**
   * Reads the next response; null when the connection ended instead.
   *
   * @param {{noBody?: boolean}} options noBody: the request was a HEAD, so the length announces nothing
   * @returns {Promise<Response | null>}
   */
  async response({ noBody = false } = {}) {
    const head = await this.tcp.take((buffer) => {
      const end = buffer.indexOf(END_OF_HEAD);
      return end < 0 ? undefined : { value: buffer.subarray(0, end).toString("latin1"), used: end + 4 };
    });
    if (head === null) return null;
    const { status, headers } = parseHead(head);
    const empty = noBody || status < 200 || status === 204 || status === 304;
    const body = empty ? Buffer.alloc(0) : await this.#body(headers);
    return { status, headers, head, body, text: body.toString("utf8") };
  }

  async #body(headers) {
    if (headers.get("transfer-encoding") === "chunked") return this.tcp.take(dechunk);
    if (!headers.has("content-length")) return this.tcp.rest();
    const length = Number(headers.get("content-length"));
    const body = await this.tcp.take((buffer) =>
      buffer.length < length ? undefined : { value: buffer.subarray(0, length), used: length },
    );
    if (body === null) throw new Error(`the connection ended before ${length} bytes of body`);
    return body;
  }

  async request(method, target, headers, body) {
    this.send(method, target, headers, body);
    return this.response({ noBody: method === "HEAD" });
  }

  destroy() {
    this.tcp.destroy();
  }
}

/** One request on a connection of its own, which the server is asked to close. */
export async function once(url, method, target, headers = {}, body) {
  const connection = await HttpConnection.open(url);
  try {
    return await connection.request(method, target, { Connection: "close", ...headers }, body);
  } finally {
    connection.destroy();
  }
}
