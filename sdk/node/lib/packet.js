"use strict";
// Arguments of an event or an acknowledgement: what is binary in them, and how it is taken out and put back.
// docs/backend-protocol.md §2, "Packets"; the rules for what counts as binary are those of socket.io-parser.

const BLOB = typeof Blob === "function" ? Blob : undefined;

function isBinary(value) {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer || (BLOB !== undefined && value instanceof BLOB);
}

/** Most attachments of one packet: clients take no more (§2). */
const ATTACHMENTS_MAX = 10;
/** Most brackets that may be open at once; the gateway takes a few more. */
const DEPTH_MAX = 1000;

/**
 * Whether there is something in `value`, at any depth, that JSON cannot carry as it is.
 *
 * Throws RangeError for what is nested too deeply, which what refers to itself is, too.
 */
function hasBinary(value) {
  return typeof value === "object" && value !== null && binaryWithin(value, 0, false);
}

function binaryWithin(value, depth, fromToJSON) {
  if (depth >= DEPTH_MAX) throw tooDeep();
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const item = value[i];
      if (typeof item === "object" && item !== null && binaryWithin(item, depth + 1, false)) return true;
    }
    return false;
  }
  if (isBinary(value)) return true;
  if (typeof value.toJSON === "function" && !fromToJSON) {
    const json = value.toJSON();
    return typeof json === "object" && json !== null && binaryWithin(json, depth, true);
  }
  for (const key in value) {
    const item = value[key];
    if (typeof item === "object" && item !== null && Object.hasOwn(value, key) && binaryWithin(item, depth + 1, false)) return true;
  }
  return false;
}

function tooDeep() {
  return new RangeError(`a value that is nested more than ${DEPTH_MAX} levels deep, or refers to itself, cannot be sent`);
}

/** The bytes of `value`, without a copy. */
function bytesOf(value) {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  throw new TypeError("a Blob or File cannot be sent by a server: send `await blob.arrayBuffer()` instead");
}

/**
 * A copy of `value` with a placeholder for each binary value, whose bytes are pushed to `attachments` in the order in which
 * `JSON.stringify` comes to the placeholders.
 *
 * Throws for an object that looks like a placeholder: with attachments nobody could tell it from one.
 */
function takeOut(value, attachments, depth = 0, fromToJSON = false) {
  if (value === null || typeof value !== "object") return value;
  if (depth > DEPTH_MAX) throw tooDeep();
  if (isBinary(value)) {
    if (attachments.length === ATTACHMENTS_MAX) throw new RangeError(`a packet cannot have more than ${ATTACHMENTS_MAX} binary values: clients take no more`);
    attachments.push(bytesOf(value));
    return { _placeholder: true, num: attachments.length - 1 };
  }
  if (Array.isArray(value)) {
    const copy = new Array(value.length);
    for (let i = 0; i < value.length; i++) copy[i] = takeOut(value[i], attachments, depth + 1);
    return copy;
  }
  if (value instanceof Date) return value;
  if (typeof value.toJSON === "function" && !fromToJSON) return takeOut(value.toJSON(), attachments, depth, true);
  if (value._placeholder === true) {
    throw new TypeError("an object with `_placeholder: true` cannot be sent together with binary data");
  }
  // No prototype: a key `__proto__` is a key like any other. Integer keys come first here as in `value`, and in its JSON.
  const copy = Object.create(null);
  for (const key in value) {
    if (!Object.hasOwn(value, key)) continue;
    const item = value[key];
    // JSON leaves functions out; a copied `toJSON` would be called.
    if (typeof item !== "function") copy[key] = takeOut(item, attachments, depth + 1);
  }
  return copy;
}

/** Puts the attachments back where their placeholders are, in place, and returns the value. */
function putBack(value, attachments) {
  if (value === null || typeof value !== "object") return value;
  if (value._placeholder === true && attachments[value.num] !== undefined) return attachments[value.num];
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = putBack(value[i], attachments);
    return value;
  }
  for (const key of Object.keys(value)) {
    const item = value[key];
    if (item === null || typeof item !== "object") continue;
    const back = putBack(item, attachments);
    // An own `__proto__` (JSON.parse makes one) would set the prototype if it were assigned.
    if (back !== item) Object.defineProperty(value, key, { value: back, enumerable: true, configurable: true, writable: true });
  }
  return value;
}

module.exports = { hasBinary, takeOut, putBack };
