//! Content codings: which one a client takes, and the compressors (protocol.md 1.7, RFC 9110 §12.5.3).

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// A coding of a response body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// None: the bytes as they are.
    Identity,
    /// RFC 1952.
    Gzip,
    /// The zlib format of RFC 1950, whatever the name suggests (RFC 9110 §8.4.1.2).
    Deflate,
    /// RFC 7932. Only for files that were compressed beforehand.
    Brotli,
}

impl Coding {
    /// What polls are compressed with, preferred first.
    pub const POLLING: [Self; 2] = [Self::Gzip, Self::Deflate];

    /// Its name in `Content-Encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
        }
    }
}

/// Picks from `available`, preferred first, what the client likes most; [`Coding::Identity`] if it takes
/// none of them. Takes all `Accept-Encoding` fields of a request, or the only one.
pub fn negotiate<'a>(accepted: impl IntoIterator<Item = &'a [u8]>, available: &[Coding]) -> Coding {
    let mut asked = Asked::default();
    for element in accepted.into_iter().flat_map(|field| field.split(|&byte| byte == b',')) {
        asked.read(element);
    }
    let mut best = (0, Coding::Identity);
    for &coding in available {
        let weight = asked.weight(coding);
        if weight > best.0 {
            best = (weight, coding);
        }
    }
    best.1
}

/// Weights in thousandths, for what was asked for.
#[derive(Default)]
struct Asked {
    gzip: Option<u16>,
    deflate: Option<u16>,
    brotli: Option<u16>,
    any: Option<u16>,
}

impl Asked {
    /// One `coding;q=weight`. What is not understood is not taken.
    fn read(&mut self, element: &[u8]) {
        let mut parts = element.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let weight = parts.next().map_or(1000, weight);
        let slot = match name.len() {
            4 if name.eq_ignore_ascii_case(b"gzip") => &mut self.gzip,
            7 if name.eq_ignore_ascii_case(b"deflate") => &mut self.deflate,
            2 if name.eq_ignore_ascii_case(b"br") => &mut self.brotli,
            1 if name == b"*" => &mut self.any,
            _ => return,
        };
        *slot = Some(slot.unwrap_or(0).max(weight));
    }

    fn weight(&self, coding: Coding) -> u16 {
        let named = match coding {
            Coding::Identity => return 0,
            Coding::Gzip => self.gzip,
            Coding::Deflate => self.deflate,
            Coding::Brotli => self.brotli,
        };
        named.or(self.any).unwrap_or(0)
    }
}

/// `q=` and a number from 0 to 1 with at most three decimals (RFC 9110 §12.4.2), in thousandths; else 0.
fn weight(parameter: &[u8]) -> u16 {
    let [b'q' | b'Q', b'=', whole @ (b'0' | b'1'), decimals @ ..] = parameter else { return 0 };
    let digits = match decimals {
        [] => &[],
        [b'.', digits @ ..] if digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) => digits,
        _ => return 0,
    };
    let thousandths =
        digits.iter().chain(b"000").take(3).fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    (u16::from(whole - b'0') * 1000 + thousandths).min(1000)
}

/// Compresses poll bodies, one after the other, in memory it keeps: a quarter of a megabyte for each coding
/// once it is used. One per shard.
#[derive(Debug, Default)]
pub struct Compressor {
    /// Without a header of its own: that of gzip is written here.
    gzip: Option<Compress>,
    zlib: Option<Compress>,
}

impl Compressor {
    /// A compressor that holds no memory yet.
    pub const fn new() -> Self {
        Self { gzip: None, zlib: None }
    }

    /// Appends `body` in `coding` to `out`, whole and on its own.
    ///
    /// Only for the codings of [`Coding::POLLING`]; any other leaves the bytes as they are. Returns which
    /// it was, for `Content-Encoding`.
    pub fn compress(&mut self, coding: Coding, body: &[u8], out: &mut Vec<u8>) -> Coding {
        match coding {
            Coding::Gzip => {
                // RFC 1952 §2.3: deflate, no flags, no time, no extra flags, unknown system.
                out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
                run(self.gzip.get_or_insert_with(|| Compress::new(Compression::default(), false)), body, out);
                let mut crc = Crc::new();
                crc.update(body);
                out.extend_from_slice(&crc.sum().to_le_bytes());
                out.extend_from_slice(&crc.amount().to_le_bytes());
                Coding::Gzip
            }
            Coding::Deflate => {
                run(self.zlib.get_or_insert_with(|| Compress::new(Compression::default(), true)), body, out);
                Coding::Deflate
            }
            Coding::Identity | Coding::Brotli => {
                out.extend_from_slice(body);
                Coding::Identity
            }
        }
    }
}

/// One complete stream from a compressor that is as good as new afterwards.
fn run(compress: &mut Compress, body: &[u8], out: &mut Vec<u8>) {
    compress.reset();
    // Deflate adds five bytes to each stored block of 16 KiB or more, and a few at the ends.
    out.reserve(body.len() / 2 + 64);
    loop {
        let read = usize::try_from(compress.total_in()).expect("no more than the length of the body");
        let status = compress
            .compress_vec(&body[read..], out, FlushCompress::Finish)
            .expect("a compressor without a dictionary cannot fail");
        if status == Status::StreamEnd {
            return;
        }
        out.reserve(body.len() / 4 + 64);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn polling(accept: &str) -> Coding {
        negotiate([accept.as_bytes()], &Coding::POLLING)
    }

    #[test]
    fn a_poll_gets_what_the_client_likes_most_and_gzip_on_ties() {
        use Coding::*;
        for (accept, expected) in [
            ("", Identity),
            ("identity", Identity),
            ("br", Identity),
            ("gzip", Gzip),
            ("GZIP", Gzip),
            ("deflate", Deflate),
            ("deflate, gzip", Gzip),
            ("gzip, deflate, br, zstd", Gzip),
            ("gzip;q=0.5, deflate;q=0.8", Deflate),
            ("gzip; q=0.5 , deflate;q=0.5", Gzip),
            ("gzip;q=0, deflate", Deflate),
            ("gzip;q=0", Identity),
            ("gzip;q=0.000", Identity),
            ("gzip;q=0.001", Gzip),
            ("*", Gzip),
            ("*;q=0", Identity),
            ("gzip;q=0, *", Deflate),
            ("deflate;q=0.9, *;q=0.1", Deflate),
            ("identity;q=1, *;q=0", Identity),
            ("gzip;q=nonsense", Identity),
            ("gzip;q=1.5", Gzip),
            ("gzip;q=0.1234", Identity),
            ("gzip;q=-1", Identity),
            (",,gzip,,", Gzip),
            ("gzipped", Identity),
        ] {
            assert_eq!(polling(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn without_the_field_nothing_is_compressed() {
        assert_eq!(negotiate(None, &Coding::POLLING), Coding::Identity);
    }

    #[test]
    fn files_may_be_offered_in_brotli() {
        let files = [Coding::Brotli, Coding::Gzip];
        assert_eq!(negotiate([&b"gzip, deflate"[..], b"br"], &files), Coding::Brotli);
        assert_eq!(negotiate([&b"gzip, br;q=0.5"[..]], &files), Coding::Gzip);
        assert_eq!(negotiate([&b"deflate"[..]], &files), Coding::Identity);
        assert_eq!(Coding::Brotli.name(), "br");
    }

    #[test]
    fn what_is_compressed_decompresses_again_and_again() {
        let mut compressor = Compressor::new();
        let noise: Vec<u8> = (0..70_000u32).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        let bodies: [&[u8]; 5] = [b"", b"a", &[b'x'; 100_000], &noise, b"42[\"hello\",\"world\"]"];
        for body in bodies.iter().chain(&bodies) {
            let mut out = b"before".to_vec();
            assert_eq!(compressor.compress(Coding::Gzip, body, &mut out), Coding::Gzip);
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(&out[6..]).read_to_end(&mut back).unwrap();
            assert_eq!(&back, body);

            let mut out = Vec::new();
            assert_eq!(compressor.compress(Coding::Deflate, body, &mut out), Coding::Deflate);
            let mut back = Vec::new();
            flate2::read::ZlibDecoder::new(&out[..]).read_to_end(&mut back).unwrap();
            assert_eq!(&back, body);
        }
    }

    #[test]
    fn what_cannot_be_compressed_here_is_left_alone() {
        let mut out = Vec::new();
        assert_eq!(Compressor::new().compress(Coding::Brotli, b"abc", &mut out), Coding::Identity);
        assert_eq!(out, b"abc");
    }
}
