//! Is this text JSON, and where do its elements begin and end?
//!
//! Arguments are never parsed into a tree: they are checked once and passed on as text. The grammar is that
//! of RFC 8259 as `JSON.parse` takes it: escapes may name lone surrogates, numbers may be out of range, keys
//! may repeat. Only nesting has a limit, [`JSON_DEPTH_MAX`] (protocol.md 4.2 rule 9 and section 10).
//!
//! Nothing here recurses, and nothing allocates up to a nesting of 64.
//!
//! Why not `simd-json`: it makes a tape of unescaped strings and parsed numbers that nobody here would read.
//! Measured on one Sapphire Rapids core (AVX2 chosen at run time, padded input, buffers reused; chat objects,
//! decimals, brackets, long and non-ASCII strings) this scan takes 25 to 70 % of its time at every size from
//! 64 bytes to 1 MB: there is no crossover. The tests hold the two against each other.

use super::string::{digit_run_end, plain_end};
use crate::limits::JSON_DEPTH_MAX;

/// Why a text was refused. Always the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, or not the kind of value that was asked for.
    #[error("unexpected byte, or end of text, at offset {at}")]
    Syntax {
        /// Offset in bytes of the first byte that cannot be there.
        at: usize,
    },
    /// More than [`JSON_DEPTH_MAX`] open brackets.
    #[error("nested deeper than {JSON_DEPTH_MAX} brackets")]
    TooDeep,
}

/// Checks that `text` is one JSON value, with nothing but white space around it.
pub fn validate(text: &str) -> Result<(), JsonError> {
    let mut cursor = Cursor::new(text);
    cursor.skip_whitespace();
    cursor.value(JSON_DEPTH_MAX)?;
    cursor.end()
}

/// Checks that `text` is JSON values with commas between them, as in an array without its brackets. May be empty.
pub fn validate_list(text: &str) -> Result<(), JsonError> {
    let mut cursor = Cursor::new(text);
    cursor.skip_whitespace();
    if !cursor.at_end() {
        cursor.list()?;
    }
    cursor.end()
}

/// A JSON array cut where a packet needs it. Each part is without white space around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut<'a> {
    text: &'a str,
    list: List,
}

impl<'a> Cut<'a> {
    /// The first element, or `""` when there is none.
    pub(crate) fn first(&self) -> &'a str {
        &self.text[self.list.start..self.list.first_end]
    }

    /// The elements after the first, with the commas between them.
    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.list.rest_start..self.list.end]
    }

    /// All elements, with the commas between them.
    pub(crate) fn all(&self) -> &'a str {
        &self.text[self.list.start..self.list.end]
    }
}

/// Checks that `text` is one JSON array, and cuts it, in one pass. No white space before the bracket.
pub(crate) fn cut_array(text: &str) -> Result<Cut<'_>, JsonError> {
    let mut cursor = Cursor::new(text);
    cursor.expect(b'[')?;
    cursor.skip_whitespace();
    let mut list = List::default();
    if cursor.peek() != b']' {
        list = cursor.list()?;
    }
    cursor.expect(b']')?;
    cursor.end()?;
    Ok(Cut { text, list })
}

/// Offsets within values with commas between them.
#[derive(Clone, Copy, Debug, Default)]
struct List {
    start: usize,
    first_end: usize,
    rest_start: usize,
    end: usize,
}

/// A place in a JSON text. `at` is never beyond the end.
///
/// The work is done by the free functions below: they take and return offsets by value, which keeps the
/// offset in a register through the whole scan (measured: a third faster than methods on `&mut self`).
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }

    /// Offset of the next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next byte, or NUL at the end.
    pub(super) fn peek(&self) -> u8 {
        peek(self.bytes, self.at)
    }

    /// Steps over `byte` if it is next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.eat(byte) { Ok(()) } else { Err(unexpected(self.at)) }
    }

    pub(super) fn skip_whitespace(&mut self) {
        (self.at, _) = token(self.bytes, self.at);
    }

    /// Steps over the value that begins here, which may open `depth_max` brackets.
    pub(super) fn value(&mut self, depth_max: usize) -> Result<(), JsonError> {
        self.at = match self.peek() {
            b'[' | b'{' => container_end(self.bytes, self.at, depth_max)?,
            first => scalar_end(self.bytes, self.at, first)?,
        };
        Ok(())
    }

    /// Steps over values with commas between them, at least one, and the white space after them.
    fn list(&mut self) -> Result<List, JsonError> {
        let start = self.at;
        self.value(JSON_DEPTH_MAX - 1)?;
        let mut list = List { start, first_end: self.at, rest_start: self.at, end: self.at };
        self.skip_whitespace();
        while self.eat(b',') {
            self.skip_whitespace();
            if list.rest_start == list.first_end {
                list.rest_start = self.at;
            }
            self.value(JSON_DEPTH_MAX - 1)?;
            list.end = self.at;
            self.skip_whitespace();
        }
        Ok(list)
    }

    /// Whether nothing is left.
    pub(super) fn at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Only white space is left.
    fn end(&mut self) -> Result<(), JsonError> {
        self.skip_whitespace();
        if self.at_end() { Ok(()) } else { Err(unexpected(self.at)) }
    }
}

#[cold]
fn unexpected(at: usize) -> JsonError {
    JsonError::Syntax { at }
}

/// The byte at `at`, or NUL at the end: no JSON token begins with NUL.
#[inline(always)]
fn peek(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// Where the next byte that is no white space is, and that byte, or NUL at the end.
#[inline(always)]
fn token(bytes: &[u8], mut at: usize) -> (usize, u8) {
    let mut byte = peek(bytes, at);
    // One comparison for most: few senders write any white space.
    while byte <= b' ' && matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
        at += 1;
        byte = peek(bytes, at);
    }
    (at, byte)
}

/// Where the string, number, `true`, `false` or `null` that begins at `at` with `first` ends.
#[inline(always)]
fn scalar_end(bytes: &[u8], at: usize, first: u8) -> Result<usize, JsonError> {
    match first {
        b'"' => string_end(bytes, at),
        b'-' | b'0'..=b'9' => number_end(bytes, at, first),
        b't' => word_end(bytes, at, b"true"),
        b'f' => word_end(bytes, at, b"false"),
        b'n' => word_end(bytes, at, b"null"),
        _ => Err(unexpected(at)),
    }
}

/// Where the array or object that begins at `at` ends.
fn container_end(bytes: &[u8], mut at: usize, depth_max: usize) -> Result<usize, JsonError> {
    let mut nest = Nest::new();
    let mut byte = peek(bytes, at);
    loop {
        // A value begins here.
        match byte {
            b'[' => {
                nest.open(false, depth_max)?;
                (at, byte) = token(bytes, at + 1);
                if byte != b']' {
                    continue;
                }
            }
            b'{' => {
                nest.open(true, depth_max)?;
                (at, byte) = token(bytes, at + 1);
                if byte != b'}' {
                    (at, byte) = after_key(bytes, at, byte)?;
                    continue;
                }
            }
            _ => (at, byte) = token(bytes, scalar_end(bytes, at, byte)?),
        }
        // A value, or an empty container but for its bracket, has ended here. Close all that ends with it.
        loop {
            match (byte, nest.in_object()) {
                (b',', object) => {
                    (at, byte) = token(bytes, at + 1);
                    if object {
                        (at, byte) = after_key(bytes, at, byte)?;
                    }
                    break;
                }
                (b']', false) | (b'}', true) => {
                    if nest.close() {
                        return Ok(at + 1);
                    }
                    (at, byte) = token(bytes, at + 1);
                }
                _ => return Err(unexpected(at)),
            }
        }
    }
}

/// Where the value of the key that begins at `at` with `first` begins, and with what.
#[inline(always)]
fn after_key(bytes: &[u8], at: usize, first: u8) -> Result<(usize, u8), JsonError> {
    if first != b'"' {
        return Err(unexpected(at));
    }
    let (at, byte) = token(bytes, string_end(bytes, at)?);
    if byte != b':' {
        return Err(unexpected(at));
    }
    Ok(token(bytes, at + 1))
}

/// Where the string whose opening quote is at `at` ends.
#[inline(always)]
fn string_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    let mut at = at + 1;
    loop {
        at = plain_end(bytes, at);
        match peek(bytes, at) {
            b'"' => return Ok(at + 1),
            b'\\' => at = escape_end(bytes, at)?,
            _ => return Err(unexpected(at)),
        }
    }
}

/// Where the escape whose backslash is at `at` ends. Which surrogate a `\u` names is the reader's business.
fn escape_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    match peek(bytes, at + 1) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(at + 2),
        b'u' => match (at + 2..at + 6).find(|&at| !peek(bytes, at).is_ascii_hexdigit()) {
            None => Ok(at + 6),
            Some(at) => Err(unexpected(at)),
        },
        _ => Err(unexpected(at + 1)),
    }
}

/// Where the number ends that begins at `at` with `first`.
#[inline(always)]
fn number_end(bytes: &[u8], at: usize, first: u8) -> Result<usize, JsonError> {
    let at = at + usize::from(first == b'-');
    let at = if peek(bytes, at) == b'0' { at + 1 } else { digits_end(bytes, at)? };
    if matches!(peek(bytes, at), b'.' | b'e' | b'E') { fraction_end(bytes, at) } else { Ok(at) }
}

/// Where the fraction, the exponent or both end that begin at `at`.
#[inline(always)]
fn fraction_end(bytes: &[u8], mut at: usize) -> Result<usize, JsonError> {
    if peek(bytes, at) == b'.' {
        at = digits_end(bytes, at + 1)?;
    }
    if matches!(peek(bytes, at), b'e' | b'E') {
        let signed = matches!(peek(bytes, at + 1), b'+' | b'-');
        at = digits_end(bytes, at + 1 + usize::from(signed))?;
    }
    Ok(at)
}

/// Where the run of at least one digit at `at` ends.
#[inline(always)]
fn digits_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    let end = digit_run_end(bytes, at);
    if end > at { Ok(end) } else { Err(unexpected(at)) }
}

#[inline(always)]
fn word_end(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, JsonError> {
    let end = at + word.len();
    if bytes.get(at..end) == Some(word) { Ok(end) } else { Err(unexpected(at)) }
}

/// Which brackets are open.
struct Nest {
    depth: usize,
    /// One bit for each of the innermost, the last of them lowest, and above them a 1.
    innermost: u64,
    /// The same of those further out, whenever there was no more room.
    outer: Vec<u64>,
}

impl Nest {
    fn new() -> Self {
        Self { depth: 0, innermost: 1, outer: Vec::new() }
    }

    #[inline(always)]
    fn open(&mut self, object: bool, depth_max: usize) -> Result<(), JsonError> {
        if self.depth >= depth_max {
            return Err(JsonError::TooDeep);
        }
        if self.innermost >> 63 == 1 {
            self.make_room();
        }
        self.innermost = self.innermost << 1 | u64::from(object);
        self.depth += 1;
        Ok(())
    }

    /// Returns whether none is open any more.
    #[inline(always)]
    fn close(&mut self) -> bool {
        self.depth -= 1;
        self.innermost >>= 1;
        self.innermost == 1 && !self.take_back()
    }

    #[cold]
    fn make_room(&mut self) {
        self.outer.push(std::mem::replace(&mut self.innermost, 1));
    }

    /// Returns whether there was anything further out.
    #[cold]
    fn take_back(&mut self) -> bool {
        let outer = self.outer.pop();
        self.innermost = outer.unwrap_or(1);
        outer.is_some()
    }

    fn in_object(&self) -> bool {
        self.innermost & 1 == 1
    }
}
