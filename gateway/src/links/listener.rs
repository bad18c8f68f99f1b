//! The backend socket's file: made at start, guarded while we run, removed at the end.
//!
//! A Unix socket's file outlives its process, and a second process can bind the path as soon as somebody has removed
//! the file of the first, which goes on listening where nobody finds it. So whoever serves at `PATH` holds a lock on
//! `PATH.lock` (`flock`, which the kernel releases with the process, however it ends); only the holder looks at what is
//! at `PATH`, replaces it and removes it. A listener of another program has no such lock: a file is stale only if it is
//! a socket and nobody answers there.
//!
//! The file's permissions are never wider than configured: the kernel gives it those of the socket (0600, set before
//! it is bound, so the umask does not matter and stays as it is), they are widened after the group is right, and nobody
//! can connect before `listen`, which comes last.

use super::peers::Peers;
use crate::config::BackendSocket;
use nix::unistd::Group;
use rustix::fs::{FlockOperation, Mode, OFlags, fchmod, flock, open};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longest path of a Unix socket: `sun_path` of unix(7), less the zero at its end.
pub const PATH_BYTES_MAX: usize = 107;

/// Backends the kernel keeps for us until we accept them.
const BACKLOG: i32 = 1024;
/// How long somebody else may be there. The kernel takes the ring of a process that was killed apart when the process
/// is gone already, and until then the ring holds the listener (see `net::listener`).
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

/// The backend socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else has it.
    #[error("another process is listening on {}", .0.display())]
    Taken(PathBuf),
    /// Something else is there, and was left as it is.
    #[error("{} is not a socket: remove it, or choose another backend.socket", .0.display())]
    NotASocket(PathBuf),
    /// The kernel has no room for such a path.
    #[error(
        "the path of the backend socket is {bytes} bytes long, and {PATH_BYTES_MAX} is the most: {}",
        path.display()
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// There is nowhere to put it.
    #[error(
        "the backend socket cannot be made, because there is no directory {}: make it (RuntimeDirectory= of a systemd \
         unit does), or choose another path with --backend-socket",
        .0.display()
    )]
    NoDirectory(PathBuf),
    /// The configured group does not exist.
    #[error("backend.group: there is no group {0:?}")]
    NoGroup(String),
    /// The system refuses something.
    #[error("cannot open the backend socket {}: {doing}: {source}", path.display())]
    System {
        /// The path.
        path: PathBuf,
        /// What we were doing.
        doing: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
}

/// Where backends knock, for the worker that answers.
#[derive(Debug)]
pub struct LinkListener {
    pub(super) fd: OwnedFd,
    pub(super) peers: Peers,
    pub(super) links_max: u32,
}

/// The file of the socket. Dropping it removes the file, unless it is somebody else's by then.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    /// Released after the file is gone.
    _lock: Lock,
}

impl LinkListener {
    /// Opens the socket and listens. At most `links_max` links will be open at once.
    ///
    /// Waits up to a second for a process that is about to end.
    ///
    /// # Errors
    ///
    /// If the path is taken or cannot be had. What was there before is there still, unless it was a socket on which
    /// nobody listened.
    pub fn open(socket: &BackendSocket, links_max: u32) -> Result<(Self, SocketFile), ListenError> {
        let path = socket.path.as_path();
        let address = address(path)?;
        let group = socket.group.as_deref().map(|group| find_group(path, group)).transpose()?;
        let until = Instant::now() + PATIENCE;
        let lock = Lock::take(path, until)?;
        remove_stale(path, &address, until)?;
        let fd = stream_socket().during(path, "making a socket")?;
        fchmod(&fd, Mode::RUSR | Mode::WUSR).during(path, "setting its mode")?;
        bind(&fd, &address).during(path, "binding")?;
        let file = SocketFile::new(path, lock)?;
        if group.is_some() {
            chown(path, None, group)
                .during(path, "giving it to backend.group, of which the gateway must be a member")?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(socket.mode))
            .during(path, "setting its mode")?;
        listen(&fd, BACKLOG).during(path, "listening")?;
        Ok((Self { fd, peers: Peers::new(group), links_max }, file))
    }
}

impl SocketFile {
    /// Takes charge of a file that was just bound.
    fn new(path: &Path, lock: Lock) -> Result<Self, ListenError> {
        let identity = identity(path).during(path, "looking at it")?;
        Ok(Self { path: path.to_owned(), identity, _lock: lock })
    }

    /// Where it is, as it was configured.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|there| there == self.identity) {
            // A directory that was made read-only meanwhile keeps the file. The next start finds it stale.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The right to serve at a path, among all gateways.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _file: OwnedFd,
}

impl Lock {
    /// Takes the lock of the socket at `socket`; its holder has until then to let go.
    fn take(socket: &Path, until: Instant) -> Result<Self, ListenError> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        loop {
            match Self::try_take(&path) {
                Ok(Some(lock)) => return Ok(lock),
                Ok(None) if Instant::now() < until => sleep(PAUSE),
                Ok(None) => return Err(ListenError::Taken(socket.to_owned())),
                Err(error) => return Err(error).during(socket, "locking it (its name with .lock after it)"),
            }
        }
    }

    /// `None` if somebody else has it.
    fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = open(path, flags, Mode::RUSR | Mode::WUSR)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK | Errno::INTR) => return Ok(None),
            result => result?,
        }
        // Whoever had it before removed the file with it, maybe between our two steps: then this is the lock of nothing.
        let opened = rustix::fs::fstat(&file)?;
        let is_there = identity(path).is_ok_and(|there| there == (opened.st_dev, opened.st_ino));
        Ok(is_there.then(|| Self { path: path.to_owned(), _file: file }))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is ours. A file that stays is found unlocked by the next.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes what a process that was killed left behind. Called with the lock held.
fn remove_stale(path: &Path, address: &SocketAddrUnix, until: Instant) -> Result<(), ListenError> {
    loop {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).during(path, "looking at what is there"),
            Ok(there) if !there.file_type().is_socket() => {
                return Err(ListenError::NotASocket(path.to_owned()));
            }
            Ok(_) => {}
        }
        let probe = stream_socket().during(path, "making a socket")?;
        match connect(&probe, address) {
            Err(Errno::CONNREFUSED) => return fs::remove_file(path).during(path, "removing a stale one"),
            Err(Errno::NOENT) => return Ok(()),
            Err(error @ (Errno::ACCESS | Errno::PERM)) => {
                return Err(error).during(path, "asking who listens there");
            }
            // It has a connection for us, a full queue, or is a socket of another kind.
            _ if Instant::now() < until => sleep(PAUSE),
            _ => return Err(ListenError::Taken(path.to_owned())),
        }
    }
}

fn address(path: &Path) -> Result<SocketAddrUnix, ListenError> {
    let bytes = path.as_os_str().as_bytes().len();
    if bytes > PATH_BYTES_MAX {
        return Err(ListenError::TooLong { path: path.to_owned(), bytes });
    }
    let directory = match path.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        return Err(ListenError::NoDirectory(directory.to_owned()));
    }
    SocketAddrUnix::new(path).during(path, "naming it")
}

/// The number of a group, given that or its name.
fn find_group(path: &Path, group: &str) -> Result<u32, ListenError> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let found = Group::from_name(group).during(path, "looking for backend.group")?;
    found.map(|group| group.gid.as_raw()).ok_or_else(|| ListenError::NoGroup(group.to_owned()))
}

fn stream_socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Device and inode of what is at this path itself.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let there = fs::symlink_metadata(path)?;
    Ok((there.dev(), there.ino()))
}

/// Says what was being done when something failed.
trait During<T> {
    fn during(self, path: &Path, doing: &'static str) -> Result<T, ListenError>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, path: &Path, doing: &'static str) -> Result<T, ListenError> {
        self.map_err(|error| ListenError::System { path: path.to_owned(), doing, source: error.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
    use std::sync::Barrier;

    fn open_at(path: &Path) -> Result<(LinkListener, SocketFile), ListenError> {
        LinkListener::open(&BackendSocket::at(path), 10)
    }

    /// A directory that is gone with the first of the pair, and a path in it.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.sock");
        (dir, path)
    }

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn the_file_has_the_mode_and_the_group_that_were_asked_for() {
        let (_dir, path) = place();
        for (mode, group) in [(0o600, None), (0o660, Some("4242")), (0o666, Some("daemon"))] {
            let socket = BackendSocket { mode, group: group.map(str::to_owned), ..BackendSocket::at(&path) };
            let (_listener, _file) = LinkListener::open(&socket, 10).unwrap();
            let there = fs::metadata(&path).unwrap();
            assert_eq!(there.mode() & 0o7777, mode);
            let group = match group {
                Some("4242") => 4242,
                Some(name) => Group::from_name(name).unwrap().unwrap().gid.as_raw(),
                None => rustix::process::getegid().as_raw(),
            };
            assert_eq!(there.gid(), group);
        }
    }

    #[test]
    fn nothing_is_left_behind() {
        let (dir, path) = place();
        let (listener, file) = open_at(&path).unwrap();
        drop(UnixStream::connect(&path).unwrap());
        drop((listener, file));
        assert_eq!(names(dir.path()), [""; 0]);
    }

    #[test]
    fn the_file_of_a_successor_stays() {
        let (_dir, path) = place();
        let (_listener, file) = open_at(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let successor = UnixListener::bind(&path).unwrap();
        drop(file);
        UnixStream::connect(&path).unwrap();
        drop(successor);
    }

    #[test]
    fn a_file_on_which_nobody_listens_is_replaced() {
        let (_dir, path) = place();
        drop(UnixListener::bind(&path).unwrap());
        let (_listener, _file) = open_at(&path).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_listener_of_any_kind_keeps_its_path() {
        let (_dir, path) = place();
        let theirs = UnixListener::bind(&path).unwrap();
        let error = open_at(&path).unwrap_err().to_string();
        assert_eq!(error, format!("another process is listening on {}", path.display()));
        UnixStream::connect(&path).unwrap();
        drop(theirs);
        fs::remove_file(&path).unwrap();
        let _theirs = UnixDatagram::bind(&path).unwrap();
        assert!(matches!(open_at(&path), Err(ListenError::Taken(_))));
    }

    #[test]
    fn what_is_no_socket_is_left_as_it_is() {
        let (dir, path) = place();
        fs::write(&path, "precious").unwrap();
        assert!(matches!(open_at(&path), Err(ListenError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(open_at(&link), Err(ListenError::NotASocket(_))));
        assert_eq!(fs::read_link(&link).unwrap(), path);
    }

    #[test]
    fn a_path_that_cannot_be_had_is_refused_with_advice() {
        let (dir, _) = place();
        let long = dir.path().join("x".repeat(PATH_BYTES_MAX));
        let error = open_at(&long).unwrap_err().to_string();
        assert!(error.contains("107 is the most"), "{error}");
        let error = open_at(&dir.path().join("no/b.sock")).unwrap_err().to_string();
        assert!(error.contains("no directory") && error.contains("--backend-socket"), "{error}");
        let group = BackendSocket {
            group: Some("no such group".to_owned()),
            ..BackendSocket::at(dir.path().join("b.sock"))
        };
        let error = LinkListener::open(&group, 10).unwrap_err().to_string();
        assert_eq!(error, r#"backend.group: there is no group "no such group""#);
    }

    #[test]
    fn the_longest_path_works() {
        let (dir, _) = place();
        let room = PATH_BYTES_MAX - dir.path().as_os_str().len() - 1;
        let path = dir.path().join("x".repeat(room));
        let (_listener, _file) = open_at(&path).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn of_many_that_start_at_once_over_a_stale_file_exactly_one_gets_the_path() {
        const STARTERS: usize = 8;
        let (_dir, path) = place();
        drop(UnixListener::bind(&path).unwrap());
        let start = Barrier::new(STARTERS);
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let starters: Vec<_> = (0..STARTERS)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        open_at(&path)
                    })
                })
                .collect();
            starters.into_iter().map(|starter| starter.join().unwrap()).collect()
        });
        let (winners, losers): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(winners.len(), 1);
        assert!(losers.iter().all(|loser| matches!(loser, Err(ListenError::Taken(_)))), "{losers:?}");
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_path_that_changes_hands_again_and_again_has_one_owner_at_a_time() {
        let (dir, path) = place();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let (listener, file) = match open_at(&path) {
                            Ok(opened) => opened,
                            Err(ListenError::Taken(_)) => continue,
                            Err(error) => panic!("{error}"),
                        };
                        // Nobody else listens there, or has replaced the file.
                        assert_eq!(identity(&path).unwrap(), file.identity);
                        drop((listener, file));
                    }
                });
            }
        });
        assert_eq!(names(dir.path()), [""; 0]);
    }
}
