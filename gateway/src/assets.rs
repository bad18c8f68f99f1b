//! Reads the bundles of the browser client and compresses them, once, at start.

use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tidegate_core::front::assets::{Asset, Codings, Rules};

/// The names Socket.IO serves, each also with `.map` (protocol.md 5.10).
const BUNDLES: [&str; 4] =
    ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"];
/// Largest file taken for a bundle, in bytes. The largest there is has 300 kB.
const BUNDLE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Brotli's effort, of 11. Beyond it, start takes seconds and a bundle gets no smaller to speak of.
const BROTLI_QUALITY: i32 = 7;
/// log2 of brotli's window: 512 KiB, more than any bundle.
const BROTLI_WINDOW: i32 = 19;

/// Why there are no bundles. The gateway works without; it is a warning at start.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The directory or a file in it cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The directory has none of the names.
    #[error("{}: no client bundle here (expected socket.io.min.js and the like)", .0.display())]
    NoBundle(PathBuf),
    /// Neither `package.json` nor the head of a bundle has a version, which is their ETag.
    #[error("{}: no version, neither in ../package.json nor in the first line of a bundle", .0.display())]
    NoVersion(PathBuf),
}

/// Reads the bundles in `dir` (`dist` of npm's socket.io-client, `client-dist` of socket.io), to be served below
/// `prefix`, which ends with `/`. Names that are not there are left out.
///
/// # Errors
///
/// See [`BundleError`].
pub fn load_bundles(dir: &Path, prefix: &str) -> Result<Vec<Asset>, BundleError> {
    fs::read_dir(dir).map_err(|error| BundleError::Unreadable { path: dir.to_owned(), error })?;
    let names = BUNDLES.into_iter().flat_map(|name| [name.to_owned(), format!("{name}.map")]);
    let mut files = Vec::new();
    for name in names {
        let path = dir.join(&name);
        match read_bundle(&path) {
            Ok(bytes) => files.push((name, bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(BundleError::Unreadable { path, error }),
        }
    }
    if files.is_empty() {
        return Err(BundleError::NoBundle(dir.to_owned()));
    }
    let version = version(dir, &files).ok_or_else(|| BundleError::NoVersion(dir.to_owned()))?;
    Ok(files.into_iter().map(|(name, bytes)| bundle(prefix, &name, bytes, &version)).collect())
}

/// The file in every coding that makes it smaller.
pub fn compress(bytes: &[u8]) -> Codings {
    let smaller = |coded: Vec<u8>| (coded.len() < bytes.len()).then(|| Bytes::from(coded));
    let gzip = GzEncoder::new(Vec::new(), Compression::best());
    let deflate = ZlibEncoder::new(Vec::new(), Compression::best());
    Codings {
        br: smaller(brotli(bytes)),
        gzip: smaller(write_through(gzip, bytes, GzEncoder::finish)),
        deflate: smaller(write_through(deflate, bytes, ZlibEncoder::finish)),
    }
}

fn read_bundle(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > BUNDLE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    fs::read(path)
}

fn bundle(prefix: &str, name: &str, bytes: Vec<u8>, version: &str) -> Asset {
    Asset {
        path: format!("{prefix}{name}"),
        content_type: if name.ends_with(".map") {
            "application/json; charset=utf-8"
        } else {
            "application/javascript; charset=utf-8"
        },
        cache_control: "public, max-age=0",
        etag: format!("\"{version}\""),
        rules: Rules::Bundle,
        codings: compress(&bytes),
        identity: bytes.into(),
    }
}

/// The version of the package around `dir`, else the one a bundle names in its first lines.
fn version(dir: &Path, files: &[(String, Vec<u8>)]) -> Option<String> {
    // Not `dir/..`: that would leave the directory a link points to, and `dist` has no parent by name.
    let package = dir.canonicalize().ok()?.parent().map(|parent| parent.join("package.json"))?;
    let of_package = fs::read(package).ok().and_then(|text| {
        let package: serde_json::Value = serde_json::from_slice(&text).ok()?;
        // Any project has a package.json; only these two have bundles.
        let ours = matches!(package["name"].as_str()?, "socket.io-client" | "socket.io");
        ours.then(|| package["version"].as_str().map(str::to_owned))?
    });
    let of_package = of_package.filter(|version| is_version(version));
    of_package.or_else(|| files.iter().find_map(|(_, bytes)| banner_version(bytes)))
}

/// `4.8.4` in ` * Socket.IO v4.8.4`, which is how a bundle begins.
fn banner_version(bundle: &[u8]) -> Option<String> {
    let start = String::from_utf8_lossy(&bundle[..bundle.len().min(256)]);
    let (_, after) = start.split_once("Socket.IO v")?;
    let version = after.split(|c: char| c.is_whitespace()).next()?;
    is_version(version).then(|| version.to_owned())
}

/// Whether this can stand in an ETag: `4.8.4`, `5.0.0-rc.1`.
fn is_version(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte))
}

fn brotli(mut bytes: &[u8]) -> Vec<u8> {
    let params = BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        lgwin: BROTLI_WINDOW,
        size_hint: bytes.len(),
        ..BrotliEncoderParams::default()
    };
    let mut coded = Vec::new();
    brotli::BrotliCompress(&mut bytes, &mut coded, &params).expect("memory can be read and written");
    coded
}

fn write_through<E: io::Write>(
    mut encoder: E,
    bytes: &[u8],
    finish: fn(E) -> io::Result<Vec<u8>>,
) -> Vec<u8> {
    let written = encoder.write_all(bytes).and_then(|()| finish(encoder));
    written.expect("writing to memory cannot fail")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// `dist` of a package with these files and this `package.json`.
    fn dist(files: &[(&str, &str)], package: Option<&str>) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let dist = root.path().join("dist");
        fs::create_dir(&dist).unwrap();
        for (name, text) in files {
            fs::write(dist.join(name), text).unwrap();
        }
        if let Some(package) = package {
            fs::write(root.path().join("package.json"), package).unwrap();
        }
        (root, dist)
    }

    #[test]
    fn only_the_names_of_socket_io_are_served() {
        let files =
            [("socket.io.js", "1"), ("socket.io.min.js.map", "{}"), ("socket.io.esm.js", "2"), ("x", "3")];
        let (_root, dist) = dist(&files, Some(r#"{"name":"socket.io-client","version":"4.8.4"}"#));
        let bundles = load_bundles(&dist, "/io/").unwrap();
        let seen: Vec<_> =
            bundles.iter().map(|b| (b.path.as_str(), b.content_type, b.etag.as_str())).collect();
        assert_eq!(
            seen,
            [
                ("/io/socket.io.js", "application/javascript; charset=utf-8", "\"4.8.4\""),
                ("/io/socket.io.min.js.map", "application/json; charset=utf-8", "\"4.8.4\""),
            ]
        );
    }

    #[test]
    fn without_a_package_of_socket_io_the_bundle_itself_says_its_version() {
        let bundle = "/*!\n * Socket.IO v4.7.1\n * (c) 2014-2026\n */\n";
        let (_root, dist) = dist(&[("socket.io.js", bundle)], Some(r#"{"name":"my-app","version":"0.0.1"}"#));
        assert_eq!(load_bundles(&dist, "/").unwrap()[0].etag, "\"4.7.1\"");
    }

    #[test]
    fn a_directory_without_bundles_is_a_reason_not_a_panic() {
        let missing = load_bundles(Path::new("/nonexistent/dist"), "/").unwrap_err();
        assert!(missing.to_string().starts_with("/nonexistent/dist: "), "{missing}");
        let (_root, empty) = dist(&[], None);
        assert!(matches!(load_bundles(&empty, "/"), Err(BundleError::NoBundle(_))));
        let (_root, nameless) = dist(&[("socket.io.js", "let x")], None);
        assert!(matches!(load_bundles(&nameless, "/"), Err(BundleError::NoVersion(_))));
    }

    #[test]
    fn every_coding_decodes_to_the_file_and_is_smaller() {
        let text = "the same words again and again ".repeat(200);
        let codings = compress(text.as_bytes());
        let [br, gzip, deflate] = [codings.br, codings.gzip, codings.deflate].map(Option::unwrap);
        let read = |mut reader: Box<dyn io::Read>| {
            let mut decoded = String::new();
            reader.read_to_string(&mut decoded).unwrap();
            decoded
        };
        assert!(br.len() < text.len() && gzip.len() < text.len() && deflate.len() < text.len());
        assert_eq!(read(Box::new(flate2::read::GzDecoder::new(io::Cursor::new(gzip)))), text);
        assert_eq!(read(Box::new(flate2::read::ZlibDecoder::new(io::Cursor::new(deflate)))), text);
        assert_eq!(read(Box::new(brotli::Decompressor::new(io::Cursor::new(br), 4096))), text);
    }

    #[test]
    fn what_does_not_shrink_is_sent_as_it_is() {
        let codings = compress(b"x");
        assert!(codings.br.is_none() && codings.gzip.is_none() && codings.deflate.is_none());
    }
}
