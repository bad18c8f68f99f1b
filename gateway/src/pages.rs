//! Reads a directory of pages, once, at start: what a small app needs beside the engine, without a second web server.
//!
//! A request finds what was read and nothing else: the file system is not asked again, whatever the path. So a change in
//! the directory shows after a restart. Names that begin with a dot are left out.

use crate::assets::compress;
use bytes::Bytes;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use tidegate_core::front::assets::{Asset, Codings, Rules};

/// Most bytes of all files together. They are kept in memory, up to four times: as they are, and in three codings.
pub const PAGES_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most files and directories.
pub const PAGES_ENTRIES_MAX: usize = 10_000;

/// The file that is served at the path of its directory, too.
const INDEX: &str = "index.html";

/// Content type by extension, and whether files of the type are smaller when they are compressed.
const TYPES: &[(&str, &str, bool)] = &[
    ("html", "text/html; charset=utf-8", true),
    ("htm", "text/html; charset=utf-8", true),
    ("css", "text/css; charset=utf-8", true),
    ("js", "text/javascript; charset=utf-8", true),
    ("mjs", "text/javascript; charset=utf-8", true),
    ("json", "application/json; charset=utf-8", true),
    ("map", "application/json; charset=utf-8", true),
    ("webmanifest", "application/manifest+json; charset=utf-8", true),
    ("txt", "text/plain; charset=utf-8", true),
    ("md", "text/markdown; charset=utf-8", true),
    ("csv", "text/csv; charset=utf-8", true),
    ("xml", "application/xml; charset=utf-8", true),
    ("svg", "image/svg+xml; charset=utf-8", true),
    ("wasm", "application/wasm", true),
    ("ico", "image/x-icon", true),
    ("ttf", "font/ttf", true),
    ("otf", "font/otf", true),
    ("woff", "font/woff", false),
    ("woff2", "font/woff2", false),
    ("png", "image/png", false),
    ("jpg", "image/jpeg", false),
    ("jpeg", "image/jpeg", false),
    ("gif", "image/gif", false),
    ("webp", "image/webp", false),
    ("avif", "image/avif", false),
    ("mp3", "audio/mpeg", false),
    ("ogg", "audio/ogg", false),
    ("wav", "audio/wav", false),
    ("mp4", "video/mp4", false),
    ("webm", "video/webm", false),
    ("pdf", "application/pdf", false),
];
/// What a browser saves to a file rather than show or run.
const UNKNOWN_TYPE: (&str, bool) = ("application/octet-stream", false);

/// A directory cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    /// It, or something in it, cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A symbolic link to a place outside, to a name with a dot, or to a directory, which might be one above.
    #[error("{}: among pages, links lead to files that are pages themselves", .0.display())]
    Link(PathBuf),
    /// A pipe, a socket, a device.
    #[error("{}: neither a file nor a directory", .0.display())]
    Special(PathBuf),
    /// A name that is not UTF-8.
    #[error("{}: no request can name this, since it is not UTF-8", .0.display())]
    Name(PathBuf),
    /// A file that nobody could get.
    #[error("{}: requests for {prefix}… are Socket.IO's (socket_io.path)", path.display())]
    Hidden {
        /// Which.
        path: PathBuf,
        /// Where Socket.IO lives.
        prefix: String,
    },
    /// More than [`PAGES_ENTRIES_MAX`] files and directories.
    #[error("{}: more than {PAGES_ENTRIES_MAX} files and directories: is this the right directory?", .0.display())]
    TooMany(PathBuf),
    /// More than [`PAGES_BYTES_MAX`] bytes.
    #[error(
        "{}: more than {} MiB, which is the most that is kept in memory: a web server suits these files better",
        .0.display(), PAGES_BYTES_MAX / 1024 / 1024
    )]
    TooLarge(PathBuf),
}

/// Reads the files in `dir` and the directories below, to be served from `/` on, for a gateway whose Socket.IO lives at
/// `prefix` (begins and ends with `/`). `index.html` is also served at the path of its directory, with its slash.
///
/// # Errors
///
/// See [`PagesError`]. What cannot be served is not left out, since nobody would notice.
pub fn load_pages(dir: &Path, prefix: &str) -> Result<Vec<Asset>, PagesError> {
    let root = dir.canonicalize().map_err(|error| PagesError::Unreadable { path: dir.to_owned(), error })?;
    let mut walk = Walk { root: &root, prefix, entries: 0, bytes: 0, pages: Vec::new() };
    let mut waiting = vec![(root.clone(), "/".to_owned())];
    while let Some((dir, path)) = waiting.pop() {
        waiting.extend(walk.directory(&dir, &path)?);
    }
    Ok(walk.pages)
}

/// One page at `path`, whose type the name of its file tells. A browser asks every time, and is told 304 until the file
/// is another.
pub fn page(path: &str, name: &str, identity: Bytes) -> Asset {
    let mut hasher = DefaultHasher::new();
    hasher.write(&identity);
    let (content_type, shrinks) = type_of(name);
    Asset {
        path: path.to_owned(),
        content_type,
        cache_control: "no-cache",
        etag: format!("\"{:016x}\"", hasher.finish()),
        rules: Rules::Page,
        codings: if shrinks { compress(&identity) } else { Codings::default() },
        identity,
    }
}

fn type_of(name: &str) -> (&'static str, bool) {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let row = TYPES.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(extension));
    row.map_or(UNKNOWN_TYPE, |(_, content_type, shrinks)| (content_type, *shrinks))
}

/// On the way through a directory.
struct Walk<'a> {
    /// The directory, without links in its path.
    root: &'a Path,
    prefix: &'a str,
    entries: usize,
    bytes: usize,
    pages: Vec<Asset>,
}

impl Walk<'_> {
    /// Reads the files of one directory, and returns the directories in it. `path` is that of its requests.
    fn directory(&mut self, dir: &Path, path: &str) -> Result<Vec<(PathBuf, String)>, PagesError> {
        let unreadable = |error| PagesError::Unreadable { path: dir.to_owned(), error };
        let mut directories = Vec::new();
        for entry in fs::read_dir(dir).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            self.entries += 1;
            if self.entries > PAGES_ENTRIES_MAX {
                return Err(PagesError::TooMany(self.root.to_owned()));
            }
            let file = entry.path();
            let name = entry.file_name().into_string().map_err(|_| PagesError::Name(file.clone()))?;
            if name.starts_with('.') {
                continue;
            }
            if entry.file_type().map_err(unreadable)?.is_dir() {
                directories.push((file, format!("{path}{name}/")));
            } else {
                self.file(&file, path, &name)?;
            }
        }
        Ok(directories)
    }

    /// Reads one file, or what a link leads to.
    fn file(&mut self, file: &Path, parent: &str, name: &str) -> Result<(), PagesError> {
        let path = format!("{parent}{name}");
        if path.starts_with(self.prefix) {
            return Err(PagesError::Hidden { path: file.to_owned(), prefix: self.prefix.to_owned() });
        }
        let read = self.target(file).and_then(|target| target.map(|target| self.read(&target)).transpose());
        let read = read.map_err(|error| PagesError::Unreadable { path: file.to_owned(), error })?;
        let identity = match read {
            None => return Err(PagesError::Link(file.to_owned())),
            Some(Read::Special) => return Err(PagesError::Special(file.to_owned())),
            Some(Read::TooLarge) => return Err(PagesError::TooLarge(self.root.to_owned())),
            Some(Read::Whole(bytes)) => Bytes::from(bytes),
        };
        self.bytes += identity.len();
        let page = page(&path, name, identity);
        if name == INDEX {
            self.pages.push(Asset { path: parent.to_owned(), ..page.clone() });
        }
        self.pages.push(page);
        Ok(())
    }

    /// Where this file really is, if that is a place whose files are served.
    fn target(&self, file: &Path) -> io::Result<Option<PathBuf>> {
        let target = file.canonicalize()?;
        let is_hidden = |part: &OsStr| part.as_encoded_bytes().starts_with(b".");
        let is_page = target.strip_prefix(self.root).is_ok_and(|below| !below.iter().any(is_hidden));
        Ok((is_page && !target.is_dir()).then_some(target))
    }

    fn read(&self, file: &Path) -> io::Result<Read> {
        // Opening a pipe would wait for somebody to write.
        if !fs::metadata(file)?.is_file() {
            return Ok(Read::Special);
        }
        let left = PAGES_BYTES_MAX - self.bytes;
        let mut bytes = Vec::new();
        File::open(file)?.take(left as u64 + 1).read_to_end(&mut bytes)?;
        Ok(if bytes.len() > left { Read::TooLarge } else { Read::Whole(bytes) })
    }
}

/// What became of reading a file.
enum Read {
    Whole(Vec<u8>),
    TooLarge,
    Special,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;
    use tidegate_core::front::assets::Assets;

    /// A directory with these files.
    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = root.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        root
    }

    fn load(root: &tempfile::TempDir) -> Result<Assets, PagesError> {
        load_pages(root.path(), "/socket.io/").map(Assets::from_iter)
    }

    fn refused(root: &tempfile::TempDir) -> String {
        let complaint = load(root).unwrap_err().to_string();
        let (path, why) = complaint.split_once(": ").unwrap();
        let below = Path::new(path).strip_prefix(root.path().canonicalize().unwrap()).unwrap();
        format!("{}: {why}", below.display())
    }

    #[test]
    fn files_are_served_at_their_names_and_an_index_at_its_directory_too() {
        let root = directory(&[("index.html", "home"), ("app.js", "app"), ("a/b/index.html", "deep")]);
        let pages = load(&root).unwrap();
        for (path, text, content_type) in [
            ("/", "home", "text/html; charset=utf-8"),
            ("/index.html", "home", "text/html; charset=utf-8"),
            ("/app.js?v=1", "app", "text/javascript; charset=utf-8"),
            ("/a/b/", "deep", "text/html; charset=utf-8"),
            ("/a/b/index.html", "deep", "text/html; charset=utf-8"),
        ] {
            let page = pages.find(path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!((&page.identity[..], page.content_type), (text.as_bytes(), content_type), "{path}");
            assert_eq!(page.rules, Rules::Page);
        }
        assert_eq!(pages.len(), 5);
    }

    #[test]
    fn nothing_but_what_was_read_is_found_whatever_the_path() {
        let root = directory(&[("pages/index.html", "home"), ("pages/a/x.txt", "x"), ("secret.txt", "no")]);
        let pages = Assets::from_iter(load_pages(&root.path().join("pages"), "/socket.io/").unwrap());
        for path in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/a/../../secret.txt",
            "/a%2fx.txt",
            "//index.html",
            "/a",
            "/a/",
            "/x.txt/",
            "secret.txt",
            "",
        ] {
            assert!(pages.find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn a_name_with_odd_characters_is_found_the_way_a_browser_asks_for_it() {
        let root = directory(&[("drei Bären.txt", "3"), ("100%.txt", "100"), ("a+b.txt", "+")]);
        let pages = load(&root).unwrap();
        for path in ["/drei%20B%C3%A4ren.txt", "/100%25.txt", "/a+b.txt", "/a%2Bb.txt"] {
            assert!(pages.find(path).is_some(), "{path}");
        }
    }

    #[test]
    fn names_with_a_dot_in_front_are_left_out() {
        let root =
            directory(&[(".env", "secret"), (".git/config", "secret"), ("a/.htaccess", "x"), ("b", "b")]);
        let pages = load(&root).unwrap();
        assert_eq!(pages.len(), 1);
        assert!(pages.find("/b").is_some());
    }

    #[test]
    fn a_link_to_a_page_is_that_page_and_any_other_link_is_refused() {
        for (target, fine) in [
            ("a/page.txt", true),
            ("/etc/hostname", false),
            ("../../../../../../../../etc/hostname", false),
            (".env", false),
            ("a", false),
            (".", false),
        ] {
            let root = directory(&[("a/page.txt", "page"), (".env", "secret")]);
            symlink(target, root.path().join("link.txt")).unwrap();
            if fine {
                assert_eq!(load(&root).unwrap().find("/link.txt").unwrap().identity, "page");
            } else {
                let complaint = "link.txt: among pages, links lead to files that are pages themselves";
                assert_eq!(refused(&root), complaint, "{target}");
            }
        }
    }

    #[test]
    fn the_directory_itself_may_be_a_link() {
        let root = directory(&[("release-3/index.html", "3")]);
        symlink("release-3", root.path().join("current")).unwrap();
        let pages = load_pages(&root.path().join("current"), "/socket.io/").unwrap();
        assert_eq!(pages.len(), 2);
    }

    #[test]
    fn what_cannot_be_served_is_a_reason_not_to_start() {
        let missing = load_pages(Path::new("/nonexistent/pages"), "/socket.io/").unwrap_err();
        assert!(missing.to_string().starts_with("/nonexistent/pages: "), "{missing}");

        let dangling = directory(&[]);
        symlink("gone", dangling.path().join("link")).unwrap();
        assert!(refused(&dangling).starts_with("link: No such file"), "{}", refused(&dangling));

        let hidden = directory(&[("socket.io/x.js", "x")]);
        assert_eq!(
            refused(&hidden),
            "socket.io/x.js: requests for /socket.io/… are Socket.IO's (socket_io.path)"
        );

        let pipe = directory(&[]);
        let _listener = std::os::unix::net::UnixListener::bind(pipe.path().join("s")).unwrap();
        assert_eq!(refused(&pipe), "s: neither a file nor a directory");

        let nameless = directory(&[]);
        fs::write(nameless.path().join(OsStr::from_bytes(b"\xff")), "x").unwrap();
        assert!(matches!(load(&nameless), Err(PagesError::Name(_))));
    }

    #[test]
    fn more_than_fits_into_memory_is_refused_before_it_is_read() {
        let root = directory(&[("small.txt", "x")]);
        let large = File::create(root.path().join("large.bin")).unwrap();
        large.set_len(PAGES_BYTES_MAX as u64).unwrap();
        assert!(refused(&root).starts_with(": more than 32 MiB"), "{}", refused(&root));
        large.set_len(PAGES_BYTES_MAX as u64 - 1).unwrap();
        assert_eq!(load(&root).unwrap().len(), 2);
    }

    #[test]
    fn more_entries_than_a_small_app_has_are_refused() {
        let root = directory(&[]);
        for n in 0..=PAGES_ENTRIES_MAX {
            File::create(root.path().join(format!(".{n}"))).unwrap();
        }
        assert!(refused(&root).starts_with(": more than 10000 files"), "{}", refused(&root));
    }

    #[test]
    fn files_that_would_not_shrink_are_not_compressed_and_others_are() {
        let text = "the same words again and again ".repeat(50);
        let root = directory(&[("a.TXT", &text), ("a.png", &text), ("a.unknown", &text)]);
        let pages = load(&root).unwrap();
        let page = |path| pages.find(path).unwrap();
        assert!(page("/a.TXT").codings.br.is_some());
        assert!(page("/a.png").codings.br.is_none());
        assert_eq!(page("/a.unknown").content_type, "application/octet-stream");
    }
}
