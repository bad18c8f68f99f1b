// @ts-check
// What a user may be called, say, and how often. The page has the same limits; only these count. What is thrown is for the
// user's eyes.

/** Longest nickname, in characters. */
const NICKNAME_CHARS_MAX = 32;
/** Longest message, in characters. */
const TEXT_CHARS_MAX = 2000;
/** What one message uses up of a user's time: five a second can go on for ever. */
const MESSAGE_COST_MS = 200;
/** How far ahead of that a user may be: about twenty messages at once. */
const BURST_MS = 4000;

/** Control characters, and those that turn the direction of the text around them: they could forge a line of the page. */
const FORGERY = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

/** @param {unknown} wanted @returns {string} */
export function nicknameOf(wanted) {
  const name = within(wanted, NICKNAME_CHARS_MAX, "A nickname");
  if (FORGERY.test(name)) throw new Error("A nickname cannot have control characters.");
  return name;
}

/** @param {unknown} said @returns {string} */
export function textOf(said) {
  return within(said, TEXT_CHARS_MAX, "A message");
}

/** @param {unknown} value @param {number} charsMax @param {string} what */
function within(value, charsMax, what) {
  const text = typeof value === "string" ? value.trim() : "";
  // A character has at most two units, which are cheaper to count.
  if (text === "" || text.length > 2 * charsMax || [...text].length > charsMax) {
    throw new Error(`${what} has 1 to ${charsMax} characters.`);
  }
  return text;
}

/** How much one user may still say. */
export class Quota {
  /** When everything said so far is paid for. */
  #paidAt = 0;

  /** Counts one more message at this time, in milliseconds; throws if it is one too many. @param {number} now */
  take(now) {
    const start = Math.max(this.#paidAt, now);
    if (start - now > BURST_MS) throw new Error("Slow down a little: your message was not sent.");
    this.#paidAt = start + MESSAGE_COST_MS;
  }
}
