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

use super::string::plain_end;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut<'a> {
    /// The first element, or `""` when there is none.
    pub(super) first: &'a str,
    /// The elements after the first, with the commas between them.
    pub(super) rest: &'a str,
    /// All elements, with the commas between them.
    pub(super) all: &'a str,
}

/// Checks that `text` is one JSON array, and cuts it, in one pass. No white space before the bracket.
pub(super) fn cut_array(text: &str) -> Result<Cut<'_>, JsonError> {
    let mut cursor = Cursor::new(text);
    cursor.expect(b'[')?;
    cursor.skip_whitespace();
    if cursor.eat(b']') {
        cursor.end()?;
        return Ok(Cut { first: "", rest: "", all: "" });
    }
    let list = cursor.list()?;
    cursor.expect(b']')?;
    cursor.end()?;
    Ok(Cut {
        first: &text[list.start..list.first_end],
        rest: &text[list.rest_start..list.end],
        all: &text[list.start..list.end],
    })
}

/// Offsets within values with commas between them.
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
        self.at = whitespace_end(self.bytes, self.at);
    }

    /// Steps over the value that begins here, which may open `depth_max` brackets.
    pub(super) fn value(&mut self, depth_max: usize) -> Result<(), JsonError> {
        self.at = match self.peek() {
            b'[' | b'{' => container_end(self.bytes, self.at, depth_max)?,
            _ => scalar_end(self.bytes, self.at)?,
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

#[inline(always)]
fn whitespace_end(bytes: &[u8], mut at: usize) -> usize {
    while matches!(peek(bytes, at), b' ' | b'\t' | b'\n' | b'\r') {
        at += 1;
    }
    at
}

/// Where the string, number, `true`, `false` or `null` that begins at `at` ends.
#[inline(always)]
fn scalar_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    match peek(bytes, at) {
        b'"' => string_end(bytes, at),
        b'-' | b'0'..=b'9' => number_end(bytes, at),
        b't' => word_end(bytes, at, b"true"),
        b'f' => word_end(bytes, at, b"false"),
        b'n' => word_end(bytes, at, b"null"),
        _ => Err(unexpected(at)),
    }
}

/// Where the array or object that begins at `at` ends.
fn container_end(bytes: &[u8], mut at: usize, depth_max: usize) -> Result<usize, JsonError> {
    let mut nest = Nest::default();
    loop {
        // A value begins here.
        match peek(bytes, at) {
            b'[' => {
                nest.open(false, depth_max)?;
                at = whitespace_end(bytes, at + 1);
                if peek(bytes, at) != b']' {
                    continue;
                }
            }
            b'{' => {
                nest.open(true, depth_max)?;
                at = whitespace_end(bytes, at + 1);
                if peek(bytes, at) != b'}' {
                    at = key_end(bytes, at)?;
                    continue;
                }
            }
            _ => at = scalar_end(bytes, at)?,
        }
        // A value, or an empty container but for its bracket, has ended here. Close all that ends with it.
        loop {
            at = whitespace_end(bytes, at);
            match (peek(bytes, at), nest.in_object()) {
                (b',', object) => {
                    at = whitespace_end(bytes, at + 1);
                    if object {
                        at = key_end(bytes, at)?;
                    }
                    break;
                }
                (b']', false) | (b'}', true) => {
                    at += 1;
                    nest.close();
                    if nest.depth == 0 {
                        return Ok(at);
                    }
                }
                _ => return Err(unexpected(at)),
            }
        }
    }
}

/// Where the value of the key that begins at `at` begins.
#[inline(always)]
fn key_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    if peek(bytes, at) != b'"' {
        return Err(unexpected(at));
    }
    let at = whitespace_end(bytes, string_end(bytes, at)?);
    if peek(bytes, at) != b':' {
        return Err(unexpected(at));
    }
    Ok(whitespace_end(bytes, at + 1))
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

#[inline(always)]
fn number_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    let at = at + usize::from(peek(bytes, at) == b'-');
    let mut at = if peek(bytes, at) == b'0' { at + 1 } else { digits_end(bytes, at)? };
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
    let mut end = at;
    while peek(bytes, end).is_ascii_digit() {
        end += 1;
    }
    if end > at { Ok(end) } else { Err(unexpected(at)) }
}

#[inline(always)]
fn word_end(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, JsonError> {
    let end = at + word.len();
    if bytes.get(at..end) == Some(word) { Ok(end) } else { Err(unexpected(at)) }
}

/// Which brackets are open: one bit each, the innermost in the lowest bit.
#[derive(Default)]
struct Nest {
    depth: usize,
    innermost: u64,
    /// The bits of each 64 levels further out.
    outer: Vec<u64>,
}

impl Nest {
    #[inline(always)]
    fn open(&mut self, object: bool, depth_max: usize) -> Result<(), JsonError> {
        if self.depth >= depth_max {
            return Err(JsonError::TooDeep);
        }
        if self.depth.is_multiple_of(64) && self.depth > 0 {
            self.outer.push(self.innermost);
        }
        self.innermost = self.innermost << 1 | u64::from(object);
        self.depth += 1;
        Ok(())
    }

    #[inline(always)]
    fn close(&mut self) {
        self.depth -= 1;
        self.innermost >>= 1;
        if self.depth.is_multiple_of(64)
            && let Some(outer) = self.outer.pop()
        {
            self.innermost = outer;
        }
    }

    fn in_object(&self) -> bool {
        self.innermost & 1 == 1
    }
}
