"use strict";
// This process as a backend of the gateway: the link from its first HELLO to its end, the frames that come, and the end of each turn.

const { Dialer } = require("./dialer");
const { NOT_NOW, Reader } = require("./reader");
const { Writer } = require("./writer");
const { Sessions } = require("./sessions");
const { Requests } = require("./requests");
const { Namespaces } = require("./namespaces");
const { DataTracker } = require("./data");
const { Drain } = require("./drain");
const { COUNTED, IN, MAGIC, REASONS, REFUSED, VERSION, WireError } = require("./wire");

const SOFTWARE = `tidegate for Node.js ${require("../package.json").version}`;
/** A gateway that takes the connection, but says nothing for so long, is not one. */
const WELCOME_WAIT_MS = 10000;
/** A link that has lasted so long was a good one: the next is dialled soon. */
const GOOD_LINK_MS = 10000;
/** How long `close()` waits for the gateway to take what is still to be said. */
const CLOSE_WAIT_MS = 1000;
/** What applications are told when the link breaks; the clients are still there, and come back as recovered. */
const LINK_LOST = "transport close";

class Backend {
  /**
   * `events` is told: `welcome(welcome)`, `down(error)` after a WELCOME, `failed(error)` instead of one, `refused(error)`,
   * `peers(count)`, `handover(socket)`.
   */
  constructor(io, options, events) {
    this.io = io;
    this.name = options.name;
    this.window = options.window;
    /** Bytes that are dealt with before credit is given for them; the gateway says how many. */
    this.portion = 1;
    this.events = events;
    /** What `close()` returned, once it was called; whether the link ends when everything is said. */
    this.closing = undefined;
    this.ending = false;
    /** Between WELCOME and the end of the link. */
    this.up = false;
    this.peers = 1;
    this.refusal = undefined;
    this.welcomed = 0;
    this.timer = undefined;
    /** Bytes handled for which the gateway was given no credit yet. */
    this.handled = 0;
    this.scheduled = false;
    const pending = () => this.pending();
    this.endOfTurn = this.endOfTurn.bind(this);
    this.reader = new Reader(
      (type, frame, bytes) => this.frame(type, frame, bytes),
      () => this.run(() => this.reader.goOn()),
    );
    this.writer = new Writer(pending);
    this.tracker = new DataTracker(this.writer, pending);
    this.sessions = new Sessions({ writer: this.writer, tracker: this.tracker, skipMiddlewares: options.skipMiddlewares, pending });
    this.requests = new Requests(this.writer, io);
    this.namespaces = new Namespaces(io, this.writer, options.namespaces);
    this.drain = new Drain({
      sessions: this.sessions, tracker: this.tracker, writer: this.writer, pending, handover: (socket) => events.handover(socket),
    });
    this.dialer = new Dialer(options.path, options.reconnect, {
      space: () => this.reader.space(),
      received: (bytes) => this.run(() => this.reader.received(bytes)),
      connected: (stream) => this.hello(stream),
      lost: (error) => this.lost(error),
    });
  }

  // The link.

  hello(stream) {
    this.reader.reset();
    stream.write(this.writer.hello(this.window, SOFTWARE, this.name));
    this.timer = setTimeout(() => stream.destroy(new Error("the gateway does not answer")), WELCOME_WAIT_MS);
    this.timer.unref();
  }

  welcome(frame) {
    if (this.up) throw new WireError("a second WELCOME");
    if (frame.u32() !== MAGIC) throw new WireError("a WELCOME without its magic");
    const version = frame.u16();
    if (version !== VERSION) throw new WireError(`version ${version}`);
    const window = frame.u32();
    this.portion = frame.u32();
    const frameMax = frame.u32();
    const software = frame.text16();
    const options = frame.json();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.dialer.succeeded(), GOOD_LINK_MS);
    this.timer.unref();
    this.up = true;
    frame.batches = true;
    this.writer.open(this.dialer.stream, window, frameMax);
    this.events.welcome({ software, version, options });
  }

  refuse(frame) {
    const code = frame.u16();
    this.refusal = Object.assign(new Error(`the gateway refuses this backend: ${frame.text16()}`), {
      code: "TIDEGATE_REFUSED",
      refusal: code,
      // Whoever is dialled again later may be wiser. What is wrong here will stay so.
      fatal: code !== REFUSED.STOPPING,
    });
    this.events.refused(this.refusal);
  }

  /** The stream has ended, for whatever reason. */
  lost(error) {
    clearTimeout(this.timer);
    // A last word comes without the end of its batch.
    if (!(error instanceof WireError)) this.run(() => this.reader.goOn());
    const { up, refusal } = this;
    const reason = refusal ?? error;
    this.up = false;
    this.refusal = undefined;
    this.handled = 0;
    this.peers = 1;
    this.reader.reset();
    this.writer.close();
    this.tracker.stop();
    this.namespaces.stop();
    if (!this.drain.begun && this.closing === undefined) this.dialer.dialLater();
    this.sessions.endAll(LINK_LOST, { description: "the link to the gateway was lost" });
    this.requests.lost();
    this.drain.done();
    if (up) this.events.down(reason);
    else this.events.failed(reason ?? new Error("the gateway has closed the link: is this user allowed to be a backend?"));
  }

  /** Resolves when the link has ended. Sockets that are still here go to other backends. */
  close() {
    this.closing ??= this.closeStream();
    return this.closing;
  }

  async closeStream() {
    this.dialer.stop();
    const { stream } = this.dialer;
    if (stream === undefined) return;
    const closed = new Promise((resolve) => stream.once("close", resolve));
    if (this.up) {
      const timer = setTimeout(() => stream.destroy(), CLOSE_WAIT_MS);
      this.ending = true;
      this.finishUp();
      await closed;
      clearTimeout(timer);
    } else {
      stream.destroy();
      await closed;
    }
  }

  /** `io.close()`: at once, since the process may be about to exit. */
  closeAll() {
    this.sessions.closeAll();
    this.close();
  }

  // Frames.

  /** Handles frames in one go. What the application throws meanwhile is not ours to catch, nor may it stop the others. */
  run(step) {
    this.sessions.run++;
    for (let next = step; next !== undefined; ) {
      try {
        next();
        next = undefined;
      } catch (error) {
        if (error instanceof WireError) {
          this.dialer.stream?.destroy(error);
          return true;
        }
        process.nextTick(() => {
          throw error;
        });
        next = () => this.reader.resume();
      }
    }
    if (this.reader.paused) setImmediate(() => this.reader.paused && this.run(() => this.reader.resume()));
    return true;
  }

  frame(type, frame, bytes) {
    if (this.dispatch(type, frame) === NOT_NOW) return NOT_NOW;
    if ((type & COUNTED) !== 0) {
      this.handled += bytes;
      if (this.handled >= this.portion) this.pending();
    }
    return undefined;
  }

  dispatch(type, frame) {
    const { sessions, requests } = this;
    switch (type) {
      case IN.EVENT:
        return sessions.event(frame);
      case IN.TICK:
        return undefined;
      case IN.ACK:
        return sessions.ack(frame);
      case IN.CONNECT:
        return sessions.connect(frame);
      case IN.DISCONNECTED:
        return sessions.disconnected(frame);
      case IN.CREDIT:
        return this.writer.credited(frame.u32());
      case IN.HANDOVER:
        return this.drain.leave(frame);
      case IN.SERVER_EVENT:
        return requests.serverEvent(frame);
      case IN.TRANSPORT:
        return sessions.upgraded(frame);
      case IN.CONNECTION_ERROR:
        return sessions.refused(frame);
      case IN.FETCHED:
        return requests.fetched(frame);
      case IN.ASKED:
        return requests.asked(frame);
      case IN.ANSWER:
        return requests.answer(frame);
      case IN.ANSWERED:
        return requests.answered(frame);
      case IN.SERVER_RESPONSES:
        return requests.serverResponses(frame);
      case IN.PEERS:
        this.peers = Math.max(frame.u32(), 1);
        return this.events.peers(this.peers);
      case IN.DRAINED:
        return this.drain.done();
      case IN.WELCOME:
        return this.welcome(frame);
      case IN.REFUSE:
        return this.refuse(frame);
      default:
        throw new WireError(`a frame of unknown type 0x${type.toString(16)}`);
    }
  }

  // Turns.

  /** There will be an end of this turn: after everything that the application does in it, before the loop waits. */
  pending() {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.endOfTurn);
  }

  endOfTurn() {
    this.scheduled = false;
    this.finishUp();
  }

  finishUp() {
    if (!this.up) return;
    try {
      this.tracker.check();
      this.drain.check();
      this.sessions.forgetIdle();
    } finally {
      if (this.handled >= this.portion) {
        this.writer.give(this.handled);
        this.handled = 0;
      }
      this.writer.flush();
      // Without credit there is more to be said.
      if (this.ending && this.writer.idle) this.dialer.stream.end();
    }
  }
}

module.exports = { Backend };
