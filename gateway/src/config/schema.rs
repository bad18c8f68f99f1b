//! Every option there is: where it is written, what it is when nobody writes it, and what it means.
//!
//! This table is the one place an option is named and described. The file reader, the environment reader, `--help`,
//! `tidegate config default` and the table in `docs/configuration.md` all come from it; `check.rs` gives the
//! values their types.

use std::fmt;

/// One option.
#[derive(Debug)]
pub struct Setting {
    /// Its name in the file, as `section.key`.
    pub key: &'static str,
    /// Its flag, without a value: `--ping-interval`. Some options have none.
    pub flag: Option<&'static str>,
    /// What it is when nobody writes it. Every default could be written by hand.
    pub default: Preset,
    /// What it means, in one or two sentences, with the unit.
    pub help: &'static str,
}

/// A default value, in a shape that TOML can show.
#[derive(Clone, Copy, Debug)]
pub enum Preset {
    /// Quoted in TOML.
    Text(&'static str),
    /// A number or a boolean: not quoted in TOML.
    Bare(&'static str),
    /// Several texts. Only these options take more than one value.
    List(&'static [&'static str]),
}

impl Preset {
    /// The values as bare words.
    pub fn words(&self) -> Vec<&'static str> {
        match self {
            Self::Text(word) | Self::Bare(word) => vec![word],
            Self::List(words) => words.to_vec(),
        }
    }
}

/// As TOML.
impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(word) => write!(f, "{word:?}"),
            Self::Bare(word) => f.write_str(word),
            Self::List(words) => write!(f, "{words:?}"),
        }
    }
}

impl Setting {
    /// The part of the key before the dot.
    pub fn section(&self) -> &'static str {
        self.split().0
    }

    /// The part of the key after the dot.
    pub fn name(&self) -> &'static str {
        self.split().1
    }

    /// Its environment variable: `TIDEGATE_SOCKET_IO_PING_INTERVAL`.
    pub fn env(&self) -> String {
        format!("{ENV_PREFIX}{}", self.key.replace('.', "_").to_ascii_uppercase())
    }

    /// Whether it takes more than one value.
    pub fn is_list(&self) -> bool {
        matches!(self.default, Preset::List(_))
    }

    fn split(&self) -> (&'static str, &'static str) {
        self.key.split_once('.').expect("every key of the table has a section")
    }
}

/// What every environment variable of ours starts with.
pub const ENV_PREFIX: &str = "TIDEGATE_";

/// The option with this key. Panics if there is none: keys in the code are written by us, and all of them are
/// looked up in every run.
pub fn setting(key: &str) -> &'static Setting {
    match SETTINGS.iter().find(|setting| setting.key == key) {
        Some(setting) => setting,
        None => panic!("{key} is not in the table of options"),
    }
}

/// What `--help` says about the option with this key: its meaning and its default.
pub fn help(key: &str) -> String {
    let setting = setting(key);
    let words = setting.default.words().join(",");
    let default = if words.is_empty() { "none" } else { &words };
    format!("{} [default: {default}]", setting.help)
}

/// What `[section]` is about, in the order in which sections are shown.
pub const SECTIONS: &[(&str, &str)] = &[
    ("server", "The process: where it listens, on which cores, and what it runs."),
    ("socket_io", "Socket.IO's own options, under their own names in snake case, with the same meaning."),
    ("cors", "What browsers of other origins may do. CORS headers are sent only if an origin is listed."),
    ("limits", "How much a client may cost."),
    ("backend", "The applications that dial in over a Unix socket, where server.app is none."),
    ("http", "How long a client may take over a request."),
    ("log", "What is logged, to stderr. Nothing is ever logged per message."),
];

/// Shorthand for a row with a flag.
const fn flagged(key: &'static str, flag: &'static str, default: Preset, help: &'static str) -> Setting {
    Setting { key, flag: Some(flag), default, help }
}

/// Shorthand for a row that only the file and the environment have.
const fn unflagged(key: &'static str, default: Preset, help: &'static str) -> Setting {
    Setting { key, flag: None, default, help }
}

use Preset::{Bare, List, Text};

/// Every option, section by section.
pub const SETTINGS: &[Setting] = &[
    flagged(
        "server.listen",
        "--listen",
        List(&["127.0.0.1:3000"]),
        "Addresses for clients: 127.0.0.1:3000, [::1]:3000, or just :3000 or 3000 for every IPv4 address of the \
         machine. Port 0 lets the kernel choose",
    ),
    flagged(
        "server.cores",
        "--cores",
        Text("all"),
        "Cores to run on, one worker each: all, a number of cores (2), or the CPUs themselves (0-3,6; 3-3 is CPU 3 \
         alone)",
    ),
    flagged(
        "server.app",
        "--app",
        Text("none"),
        "The application in the process: chat, bench or conformance; with none, backends that dial in serve the \
         clients ([backend])",
    ),
    flagged(
        "server.admin",
        "--admin",
        Text("off"),
        "Address of /health/live, /health/ready and /metrics, or off. A port alone is on 127.0.0.1",
    ),
    flagged(
        "server.client_dir",
        "--client-dir",
        Text("off"),
        "Directory of the browser client (socket.io-client/dist of npm), served below the path, or off",
    ),
    flagged(
        "server.pages",
        "--pages",
        Text("off"),
        "Directory of pages to serve beside Socket.IO, from / on, or off. Its files are read at start, up to 32 MiB: a \
         change shows after a restart",
    ),
    flagged(
        "server.require_io_uring",
        "--require-io-uring",
        Bare("false"),
        "Fail where io_uring is refused, instead of falling back to epoll with a warning",
    ),
    flagged(
        "socket_io.path",
        "--path",
        Text("/socket.io/"),
        "Where Socket.IO lives: requests whose target starts with it. A slash is added at the end if it is missing",
    ),
    flagged(
        "socket_io.transports",
        "--transports",
        List(&["polling", "websocket"]),
        "Transports on offer: polling, websocket",
    ),
    unflagged("socket_io.allow_upgrades", Bare("true"), "Whether a polling session may move to WebSocket"),
    flagged(
        "socket_io.ping_interval",
        "--ping-interval",
        Text("25s"),
        "From one pong of a client to the next ping",
    ),
    flagged(
        "socket_io.ping_timeout",
        "--ping-timeout",
        Text("20s"),
        "From a ping to the end of a session that stays silent",
    ),
    flagged(
        "socket_io.upgrade_timeout",
        "--upgrade-timeout",
        Text("10s"),
        "For an upgrade to WebSocket, from its request to its last step",
    ),
    flagged(
        "socket_io.connect_timeout",
        "--connect-timeout",
        Text("45s"),
        "From the handshake to the first namespace joined",
    ),
    flagged(
        "socket_io.max_http_buffer_size",
        "--max-payload",
        Bare("1000000"),
        "Largest message from a client, on any transport, in bytes or as 1MB, 1MiB",
    ),
    unflagged(
        "socket_io.http_compression",
        Bare("true"),
        "Whether poll responses are compressed for clients that accept it",
    ),
    unflagged(
        "socket_io.http_compression_threshold",
        Bare("1024"),
        "Smallest poll response that is compressed, in bytes or as 1kB, 1KiB",
    ),
    unflagged(
        "socket_io.initial_packet",
        Text(""),
        "An Engine.IO message that every new session gets right after the open packet; none if empty",
    ),
    unflagged(
        "socket_io.cookie",
        Bare("false"),
        "Cookie with the session id on the polling handshake, for load balancers: false, true (its name is io), or \
         a name",
    ),
    flagged(
        "cors.origin",
        "--cors-origin",
        List(&[]),
        "Allowed origins: * for any; one, always sent; or several, reflected if they match",
    ),
    flagged(
        "cors.credentials",
        "--cors-credentials",
        Bare("false"),
        "Whether browsers may send cookies and credentials",
    ),
    flagged(
        "limits.max_connections",
        "--max-connections",
        Text("unlimited"),
        "Most connections open at once, all cores together, or unlimited (as many as there are file descriptors)",
    ),
    flagged(
        "limits.outbox_bytes",
        "--outbox-bytes",
        Text("1MiB"),
        "Most bytes that wait for one client; beyond it the client is closed as a slow consumer",
    ),
    unflagged(
        "limits.input_bytes",
        Text("512MiB"),
        "Most bytes of unfinished requests and messages, in the whole process; who exceeds it is sent away",
    ),
    flagged(
        "limits.max_fragments",
        "--max-fragments",
        Bare("16384"),
        "Most fragments of one WebSocket message; 0 lifts the limit",
    ),
    unflagged(
        "limits.max_namespaces",
        Bare("1024"),
        "Most namespaces one client may be in, or be waiting for",
    ),
    unflagged(
        "limits.max_sessions",
        Bare("1000000"),
        "Most sessions open at once, in the whole process; more handshakes are answered with 503",
    ),
    flagged(
        "backend.socket",
        "--backend-socket",
        Text("/run/tidegate/backend.sock"),
        "Where backends dial in: the path of a Unix socket, which is made at start and removed at the end. Its \
         directory must be there",
    ),
    flagged(
        "backend.socket_mode",
        "--backend-socket-mode",
        Text("0660"),
        "Permissions of the socket's file, in octal",
    ),
    unflagged(
        "backend.group",
        Text(""),
        "Group, by name or number, whose members may dial in, besides the gateway's own user and root; the file is \
         given to it. None if empty",
    ),
    unflagged(
        "backend.hold",
        Text("30s"),
        "How long clients wait for a backend: a new one, or the next after a loss",
    ),
    unflagged(
        "backend.hold_bytes_per_socket",
        Text("64KiB"),
        "Most bytes of events that are held for one socket without a backend; beyond it its client is not read",
    ),
    unflagged(
        "backend.hold_bytes",
        Text("64MiB"),
        "Most bytes of events that are held for all of them, in the whole process",
    ),
    unflagged(
        "backend.window",
        Text("1MiB"),
        "Most bytes of events that one backend may be behind; beyond it its clients are not read",
    ),
    unflagged(
        "backend.redeliver",
        List(&[]),
        "Namespaces whose events are delivered at least once instead of at most once when a backend is lost; * for all",
    ),
    unflagged(
        "backend.connects_waiting",
        Bare("10000"),
        "Most CONNECTs that wait for a backend, in the whole process; more are refused",
    ),
    unflagged(
        "backend.frame_bytes_max",
        Text("16MiB"),
        "Largest frame a backend may send; a larger one ends its link",
    ),
    unflagged("backend.links_max", Bare("1024"), "Most links of backends open at once, in the whole process"),
    unflagged("http.head_timeout", Text("15s"), "For the whole head of a request"),
    unflagged("http.body_timeout", Text("1m"), "For the whole body of a request, after its head"),
    unflagged("http.keep_alive_timeout", Text("1m15s"), "Between two requests of one connection"),
    unflagged("http.linger_timeout", Text("5s"), "For the client to close, after our last word"),
    flagged(
        "log.level",
        "--log-level",
        Text("info"),
        "Least severe level that is logged: error, warn, info, debug, trace; also per module, as in \
         info,tidegate::admin=debug",
    ),
    flagged(
        "log.format",
        "--log-format",
        Text("auto"),
        "text, json, or auto: text on a terminal, JSON otherwise",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_options_share_a_key_a_variable_or_a_flag() {
        let all = SETTINGS.len();
        assert_eq!(SETTINGS.iter().map(|s| s.key).collect::<BTreeSet<_>>().len(), all);
        assert_eq!(SETTINGS.iter().map(Setting::env).collect::<BTreeSet<_>>().len(), all);
        let flags: Vec<_> = SETTINGS.iter().filter_map(|s| s.flag).collect();
        assert_eq!(flags.iter().collect::<BTreeSet<_>>().len(), flags.len());
    }

    #[test]
    fn options_stand_together_by_section_in_the_order_of_the_sections() {
        let mut seen: Vec<_> = SETTINGS.iter().map(Setting::section).collect();
        seen.dedup();
        assert_eq!(seen, SECTIONS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }

    #[test]
    fn the_variable_of_an_option_is_its_key_in_capitals() {
        assert_eq!(setting("socket_io.ping_interval").env(), "TIDEGATE_SOCKET_IO_PING_INTERVAL");
    }
}
