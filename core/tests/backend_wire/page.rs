//! Reads the vectors out of docs/backend-protocol.md §9, which says how they are written.

/// The page.
pub(crate) const PAGE: &str = include_str!("../../../docs/backend-protocol.md");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    FromBackend,
    ToBackend,
}

/// What holds for a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It decodes and encodes.
    Same,
    /// It decodes only.
    Decode,
    /// It is refused.
    Error,
}

#[derive(Debug)]
pub(crate) struct Vector {
    /// Its info string and the line below.
    pub(crate) what: String,
    pub(crate) direction: Direction,
    pub(crate) name: String,
    pub(crate) mode: Mode,
    pub(crate) fields: serde_json::Value,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn vectors() -> Vec<Vector> {
    let blocks = PAGE.split("\n```vector ").skip(1);
    let vectors: Vec<_> = blocks.map(|block| vector(block.split("\n```").next().expect("an end"))).collect();
    assert!(vectors.len() >= 41, "the page has a vector for every type");
    vectors
}

fn vector(block: &str) -> Vector {
    let mut lines = block.lines();
    let info = lines.next().expect("an info string");
    let line = lines.next().expect("a line of fields");
    let words: Vec<_> = info.split(' ').collect();
    let digits: String = lines.flat_map(str::split_whitespace).collect();
    Vector {
        what: format!("{info}: {line}"),
        direction: match words[0] {
            "from-backend" => Direction::FromBackend,
            "to-backend" => Direction::ToBackend,
            other => panic!("no direction: {other}"),
        },
        name: words[1].to_owned(),
        mode: match words[2..] {
            [] => Mode::Same,
            ["decode"] => Mode::Decode,
            ["error"] => Mode::Error,
            _ => panic!("no such word: {info}"),
        },
        fields: serde_json::from_str(line).expect("the fields are JSON"),
        bytes: unhex(&digits),
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
}
