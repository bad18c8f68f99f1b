"use strict";
// Rooms, broadcasts and everything that goes beyond this process. Rooms live in the gateway; what is known of them here is for
// `socket.rooms` and the events of the adapter. A broadcast is one frame.

const NOTHING = new Set();

/** The in-memory adapter of the very socket.io that `io` comes from: what every adapter's class derives from. */
function inMemoryAdapter(io) {
  let prototype = Object.getPrototypeOf(io.of("/").adapter);
  while (Object.getPrototypeOf(prototype).addAll !== undefined) prototype = Object.getPrototypeOf(prototype);
  return prototype.constructor;
}

/** Numbers of acknowledgements are unique on the link, not only in their namespace (§4, EMIT). */
function countTogether(nsp, requests) {
  Object.defineProperty(nsp, "_ids", {
    configurable: true,
    get: () => requests.acks,
    set: (value) => {
      requests.acks = value;
    },
  });
}

/** The adapter class of one link. A class and no patch of the prototype: `io.close()` resets that. */
function adapterClass(io, backend) {
  const { writer, requests, sessions, namespaces } = backend;

  return class TidegateAdapter extends inMemoryAdapter(io) {
    constructor(nsp) {
      super(nsp);
      /** Sockets of this namespace that the gateway knows, by id; those in middlewares, too. */
      this.records = new Map();
      /** Sockets with catch-all listeners for what is sent. */
      this.observed = new Set();
      sessions.introduceTo(nsp, this);
      countTogether(nsp, requests);
      namespaces.created(nsp.name);
    }

    close() {
      namespaces.closed(this.nsp.name);
    }

    /** How many backends are ready, this one included. */
    serverCount() {
      return Promise.resolve(backend.peers);
    }

    // Rooms of one socket. Another process may have put it into rooms that are not known here, or taken it out of those that are: so
    // everything is said, whether it seems to change anything or not.

    addAll(id, rooms) {
      const record = this.records.get(id);
      if (record !== undefined) {
        // The room of its own id the gateway has made itself.
        const others = [...rooms].filter((room) => room !== id);
        if (others.length > 0) writer.join(record, others);
      }
      return super.addAll(id, rooms);
    }

    del(id, room) {
      const record = this.records.get(id);
      if (record !== undefined && room !== id) writer.leave(record, [room]);
      return super.del(id, room);
    }

    delAll(id) {
      const record = this.records.get(id);
      // Who is not let in leaves nothing behind in the gateway.
      if (record !== undefined && record.open) {
        const rooms = [...(this.sids.get(id) ?? NOTHING)].filter((room) => room !== id);
        if (rooms.length > 0) writer.leave(record, rooms);
      }
      return super.delAll(id);
    }

    /** Rooms that the gateway already knows of. */
    restore(id, rooms) {
      super.addAll(id, new Set(rooms));
    }

    // Broadcasts.

    broadcast(packet, opts) {
      packet.nsp = this.nsp.name;
      if (this.observed.size > 0) this.notifyObserved(packet, opts);
      if (backend.up) writer.broadcast(this.selector(opts), packet.data, 0, opts.flags ?? {});
    }

    broadcastWithAck(packet, opts, clientCountCallback, ack) {
      packet.nsp = this.nsp.name;
      if (this.observed.size > 0) this.notifyObserved(packet, opts);
      // Without a gateway nobody answers, and `timeout` says so.
      if (!backend.up) return;
      const servers = backend.peers;
      const asked = (clients) => {
        // The gateway counts for all servers at once.
        clientCountCallback(clients);
        for (let i = 1; i < servers; i++) clientCountCallback(0);
      };
      requests.broadcast(this.selector(opts), packet.data, opts.flags ?? {}, asked, ack);
    }

    /** Those are few, so they are tried one by one; what is known of rooms here decides. */
    notifyObserved(packet, opts) {
      for (const socket of this.observed) if (this.matches(socket.id, opts)) socket.notifyOutgoingListeners?.(packet);
    }

    matches(id, { rooms, except }) {
      const has = this.sids.get(id);
      if (has === undefined) return false;
      if (except !== undefined) for (const room of except) if (has.has(room)) return false;
      if (rooms.size === 0) return true;
      for (const room of rooms) if (has.has(room)) return true;
      return false;
    }

    // What is asked of, or done to, the sockets of all backends.

    /** For `allSockets()`. */
    sockets(rooms) {
      return requests.fetch(this.selector({ rooms })).then((found) => new Set(found.map(({ id }) => id)));
    }

    /** Sockets of this process are themselves; the others are described. */
    fetchSockets(opts) {
      if (opts.flags?.local) return Promise.resolve(this.localSockets(opts));
      return requests.fetch(this.selector(opts)).then((found) => found.map((one) => this.localSocket(one) ?? one));
    }

    localSockets(opts) {
      const ids = new Set();
      for (const room of opts.rooms) for (const id of this.rooms.get(room) ?? NOTHING) ids.add(id);
      const candidates = opts.rooms.size > 0 ? ids : this.nsp.sockets.keys();
      const found = [];
      for (const id of candidates) {
        const socket = this.matches(id, opts) ? this.nsp.sockets.get(id) : undefined;
        if (socket !== undefined) found.push(socket);
      }
      return found;
    }

    localSocket({ id }) {
      return this.nsp.sockets.get(id);
    }

    addSockets(opts, rooms) {
      // Before the rooms change that the selector may name.
      if (backend.up) writer.socketsJoin(this.selector(opts), rooms);
      const ids = this.localSockets(opts).map(({ id }) => id);
      for (const id of ids) super.addAll(id, new Set(rooms));
    }

    delSockets(opts, rooms) {
      if (backend.up) writer.socketsLeave(this.selector(opts), rooms);
      const ids = this.localSockets(opts).map(({ id }) => id);
      for (const id of ids) for (const room of rooms) super.del(id, room);
    }

    /** Those of ours come back from the gateway, disconnected. */
    disconnectSockets(opts, close) {
      if (backend.up) writer.disconnectSockets(this.selector(opts), close);
    }

    /** To the other backends that serve this namespace. */
    serverSideEmit(packet) {
      requests.serverEmit(this.nsp.name, packet);
    }

    selector({ rooms, except }) {
      return { namespace: this.nsp.name, rooms, except: except ?? NOTHING };
    }
  };
}

module.exports = { adapterClass };
