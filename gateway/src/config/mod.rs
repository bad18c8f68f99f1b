//! What the operator decides: read from the file, the environment and the flags, then checked as a whole.
//!
//! `schema` names every option once; `file`, `environment` and the command line each become a layer of words
//! (`raw`); the layers are laid over each other, and `check` makes typed values of the result or says, one line
//! each, everything that is wrong. Nothing here opens a socket, and nobody else reads the environment.

mod check;
pub mod environment;
mod file;
mod nearest;
mod parse;
mod raw;
pub mod reference;
pub mod schema;
mod units;

pub use raw::{Layer, Origin, Problem, Written};

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tidegate_core::options::{BackendOptions, Options};

/// The checked configuration of one process.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients connect; at least one, no two the same. Port 0 stands for any free one.
    pub listen: Vec<SocketAddr>,
    /// The CPUs to run on, one worker each; at least one. All of them are open to this process.
    pub cores: Vec<usize>,
    /// The application in the process; `None` leaves the clients to backends that dial in.
    pub app: Option<AppKind>,
    /// Where health and metrics are served, if at all.
    pub admin: Option<SocketAddr>,
    /// Where the bundles of the browser client are; it may turn out not to exist.
    pub client_dir: Option<PathBuf>,
    /// Where the pages are that are served beside Socket.IO; it may turn out not to exist.
    pub pages: Option<PathBuf>,
    /// Most connections open at once in the whole process; `None` leaves it to the file descriptors.
    pub max_connections: Option<u32>,
    /// Whether to fail rather than run on epoll.
    pub require_io_uring: bool,
    /// What the shards are told.
    pub options: Options,
    /// Where backends dial in, unless there is an application in the process.
    pub backend_socket: BackendSocket,
    /// What those who serve backends are told.
    pub backend: BackendOptions,
    /// The log filter: a level, or a level and exceptions for some modules.
    pub log_level: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

impl Default for Config {
    /// What a process without file, environment and flags gets, on this machine.
    fn default() -> Self {
        let checked = load(None, [], [], &Machine::this());
        checked.expect("the defaults pass the check").config
    }
}

/// The Unix socket that backends connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendSocket {
    /// Its file: at most [`PATH_BYTES_MAX`](crate::links::PATH_BYTES_MAX) bytes, in a directory that exists.
    pub path: PathBuf,
    /// The permissions of the file, whatever the umask.
    pub mode: u32,
    /// The group of the file, by name or number, whose members may connect as well; `None` leaves it to the gateway's
    /// own user and root.
    pub group: Option<String>,
}

impl BackendSocket {
    /// A socket at this path, with the default permissions (0660), for the gateway's own user and root.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: 0o660, group: None }
    }
}

/// The applications that run inside the process (design.md §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppKind {
    /// The chat of Socket.IO's tutorial, with its page.
    Chat,
    /// What load generators talk to.
    Bench,
    /// What protocol test suites talk to.
    Conformance,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// A configuration that can be run, and what is odd about it.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The configuration.
    pub config: Config,
    /// What is hardly meant, one line each; to be logged at start.
    pub warnings: Vec<String>,
}

/// What a check has to know of the machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The CPUs this process may run on, in ascending order; at least one.
    pub cpus: Vec<usize>,
}

impl Machine {
    /// The machine we are on, as far as this process may use it.
    pub fn this() -> Self {
        use rustix::thread::{CpuSet, sched_getaffinity};
        let cpus = match sched_getaffinity(None) {
            Ok(set) => (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect(),
            // More CPUs than the set can hold: some of them will do.
            Err(_) => (0..std::thread::available_parallelism().map_or(1, usize::from)).collect(),
        };
        Self { cpus }
    }
}

/// Reads and checks one file alone: what `tidegate config check` does.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn check_file(path: &Path, machine: &Machine) -> Result<Checked, Vec<Problem>> {
    load(Some(path), [], [], machine)
}

/// Reads all sources and checks the outcome. The file is overruled by the environment, that by the flags, and
/// earlier flags by later ones.
///
/// # Errors
///
/// Everything that is wrong in all sources, one line each; if all of them can be read at all, everything that is
/// wrong with the values.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    flags: impl IntoIterator<Item = Layer>,
    machine: &Machine,
) -> Result<Checked, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut layers = vec![raw::defaults()];
    for layer in [file.map_or(Ok(Layer::new()), read_file), environment::read(environment)] {
        match layer {
            Ok(layer) => layers.push(layer),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    layers.extend(flags);
    check::check(&raw::merge(layers), machine)
}

/// The layer of flags: which option each belongs to, and the words given with it.
pub fn flags<'a>(given: impl IntoIterator<Item = (&'static str, &'a [String])>) -> Layer {
    let mut layer = Layer::new();
    for (key, words) in given {
        if words.is_empty() {
            continue;
        }
        let setting = schema::setting(key);
        let flag = setting.flag.expect("only options with a flag are given as one");
        let words = words.iter().flat_map(|word| raw::split_words(setting, word)).collect();
        layer.insert(setting.key, Written { words, array: false, origin: Origin::Flag(flag) });
    }
    layer
}

fn read_file(path: &Path) -> Result<Layer, Vec<Problem>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![Problem::new(&name, format!("cannot be read: {error}"))])?;
    file::read(&name, &text)
}
