//! The bodies of the fuzz targets, as plain functions: libFuzzer calls them (`fuzz_targets/`), and so does a runner
//! for stable compilers (`src/bin/replay.rs`).
//!
//! A target does more than not panic: what is cut anywhere is decoded the same, what was decoded and encoded is
//! decoded the same again, and memory follows what arrived.

mod backend;
mod codecs;
mod http;
mod session;

pub use backend::backend_wire;
pub use codecs::{engine_io, query, socket_io, ws};
pub use http::{http_body, http_head};
pub use session::session;

/// Takes any input, and panics if a promise is broken.
pub type Target = fn(&[u8]);

/// Every target: the name of its folder in `corpus/`, and its body.
pub const TARGETS: [(&str, Target); 8] = [
    ("http_head", http_head),
    ("http_body", http_body),
    ("ws", ws),
    ("engine_io", engine_io),
    ("socket_io", socket_io),
    ("query", query),
    ("session", session),
    ("backend_wire", backend_wire),
];

/// Cuts `input` in pieces at places that depend on it: whole if `how` is 0, byte by byte if it is 1.
fn pieces(input: &[u8], how: u8) -> Vec<&[u8]> {
    match how {
        0 => vec![input],
        1 => input.chunks(1).collect(),
        _ => {
            let mut rest = input;
            let mut pieces = Vec::new();
            while !rest.is_empty() {
                let step = usize::from(how) ^ usize::from(rest[0]);
                let (piece, tail) = rest.split_at((step % 23 + 1).min(rest.len()));
                pieces.push(piece);
                rest = tail;
            }
            pieces
        }
    }
}
