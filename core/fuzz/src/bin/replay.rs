//! Runs the fuzz targets without libFuzzer: the committed corpus, then seeded mutations of it.
//!
//! `replay [seconds] [target]`: about so many seconds in total (default 20), all targets or one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tidegate_core_fuzz::{TARGETS, Target};

const SECONDS: u64 = 20;
/// Per target; an ordinary run ends with these or with its time.
const MUTATIONS_MAX: u64 = 50_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(SECONDS, |text| text.parse().expect("seconds"));
    let only = arguments.next();
    let targets: Vec<_> =
        TARGETS.iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name)).collect();
    assert!(!targets.is_empty(), "no such target");
    let each = Duration::from_secs(seconds) / u32::try_from(targets.len()).expect("a few");
    for (name, target) in targets {
        replay(name, *target, each);
    }
}

fn replay(name: &str, target: Target, time: Duration) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("every target has a corpus")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> =
        paths.iter().map(|path| std::fs::read(path).expect("a readable file")).collect();
    for (path, seed) in paths.iter().zip(&seeds) {
        run(target, seed, &path.display().to_string());
    }
    let start = Instant::now();
    let mut random = Random(0x7469_6465_6761_7465);
    let mut mutations = 0;
    while mutations < MUTATIONS_MAX && start.elapsed() < time {
        let input = random.mutate(&seeds);
        run(target, &input, &format!("mutation {mutations}"));
        mutations += 1;
    }
    println!("{name}: {} seeds, {mutations} mutations", seeds.len());
}

/// Runs one input. If it fails, says which it was.
fn run(target: Target, input: &[u8], what: &str) {
    if std::panic::catch_unwind(|| target(input)).is_err() {
        eprintln!("failed: {what}: {}", input.escape_ascii());
        std::process::exit(1);
    }
}

/// Numbers that look random and are the same each time (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("below a usize")
    }

    /// One or two seeds, cut and changed in a few places.
    fn mutate(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        if self.below(4) == 0 {
            let other = &seeds[self.below(seeds.len())];
            bytes.truncate(self.below(bytes.len() + 1));
            bytes.extend_from_slice(&other[self.below(other.len() + 1)..]);
        }
        for _ in 0..=self.below(5) {
            self.change(&mut bytes);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        const MEANINGFUL: &[u8] = b"\r\n \t:;,0149{}[]\"/\\-%&=+?|$\0\x01\x02\x1e\x7f\x80\x81\x88\xc3\xff";
        let byte = match self.below(3) {
            0 => u8::try_from(self.below(256)).expect("a byte"),
            _ => MEANINGFUL[self.below(MEANINGFUL.len())],
        };
        let at = self.below(bytes.len() + 1);
        match self.below(5) {
            0 => bytes.insert(at, byte),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            // A piece of it once more, elsewhere.
            3 => {
                let end = (at + self.below(30)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let place = self.below(bytes.len() + 1);
                bytes.splice(place..place, piece);
            }
            _ if at < bytes.len() => bytes[at] = byte,
            _ => bytes.push(byte),
        }
    }
}
