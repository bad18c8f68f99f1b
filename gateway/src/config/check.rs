//! From what was written to what the process runs on: every value gets its type, and values that contradict each
//! other are refused here, before anything has been opened.

use super::parse::{self, Cores};
use super::raw::{Layer, Origin, Problem, Written};
use super::{AppKind, BackendSocket, Checked, Config, Machine, schema, units};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use tidegate_core::hub::interest::SHARDS_MAX;
use tidegate_core::options::{BackendOptions, CorsOptions, HttpTimeouts, Options, Transports};

/// Checks all options together. `layer` has every option, the defaults included.
///
/// # Errors
///
/// Everything that is wrong, not just the first.
pub(super) fn check(layer: &Layer, machine: &Machine) -> Result<Checked, Vec<Problem>> {
    let mut reader = Reader { layer, problems: Vec::new() };
    let config = read_config(&mut reader, machine);
    if reader.problems.is_empty() {
        contradictions(&config, &mut reader);
    }
    if !reader.problems.is_empty() {
        return Err(reader.problems);
    }
    let warnings = warnings(&config);
    Ok(Checked { config, warnings })
}

fn read_config(reader: &mut Reader<'_>, machine: &Machine) -> Config {
    Config {
        listen: reader.each("server.listen", |word| parse::address(word, Ipv4Addr::UNSPECIFIED)),
        cores: reader.whole("server.cores", |written| cores(written, machine)),
        app: reader.one("server.app", parse::app),
        admin: reader.one("server.admin", |word| parse::unless("off", word, admin_address)),
        client_dir: reader.one("server.client_dir", |word| parse::unless("off", word, parse::directory)),
        pages: reader.one("server.pages", |word| parse::unless("off", word, parse::directory)),
        max_connections: reader
            .one("limits.max_connections", |word| parse::unless("unlimited", word, parse::positive)),
        require_io_uring: reader.one("server.require_io_uring", parse::flag),
        options: read_options(reader),
        backend_socket: BackendSocket {
            path: reader.one("backend.socket", parse::socket_path),
            mode: reader.one("backend.socket_mode", parse::mode),
            group: reader.one("backend.group", parse::optional_text),
        },
        backend: read_backend(reader),
        log_level: reader.one("log.level", parse::log_level),
        log_format: reader.one("log.format", parse::log_format),
    }
}

fn read_options(reader: &mut Reader<'_>) -> Options {
    let compress = reader.one("socket_io.http_compression", parse::flag);
    let threshold = reader.one("socket_io.http_compression_threshold", units::bytes);
    Options {
        path: reader.one("socket_io.path", parse::path),
        transports: read_transports(reader),
        allow_upgrades: reader.one("socket_io.allow_upgrades", parse::flag),
        ping_interval: reader.one("socket_io.ping_interval", units::duration),
        ping_timeout: reader.one("socket_io.ping_timeout", units::duration),
        upgrade_timeout: reader.one("socket_io.upgrade_timeout", units::duration),
        connect_timeout: reader.one("socket_io.connect_timeout", units::duration),
        max_payload: reader.one("socket_io.max_http_buffer_size", units::bytes),
        max_fragments: reader.one("limits.max_fragments", parse::number),
        outbox_bytes_max: reader.one("limits.outbox_bytes", units::bytes),
        input_bytes_max: reader.one("limits.input_bytes", units::bytes),
        cors: read_cors(reader),
        initial_packet: reader.one("socket_io.initial_packet", parse::optional_text),
        cookie: reader.one("socket_io.cookie", parse::cookie),
        http_compression_threshold: compress.then_some(threshold),
        http: HttpTimeouts {
            head: reader.one("http.head_timeout", units::duration),
            body: reader.one("http.body_timeout", units::duration),
            keep_alive: reader.one("http.keep_alive_timeout", units::duration),
            linger: reader.one("http.linger_timeout", units::duration),
        },
        max_namespaces: reader.one("limits.max_namespaces", parse::positive),
        max_sessions: reader.one("limits.max_sessions", parse::positive),
    }
}

fn read_backend(reader: &mut Reader<'_>) -> BackendOptions {
    BackendOptions {
        hold: reader.one("backend.hold", units::duration),
        hold_bytes_per_socket: reader.one("backend.hold_bytes_per_socket", units::bytes),
        hold_bytes: reader.one("backend.hold_bytes", units::bytes),
        window: reader.one("backend.window", units::bytes),
        redeliver: reader.each("backend.redeliver", parse::namespace),
        connects_waiting: reader.one("backend.connects_waiting", parse::number),
        frame_bytes_max: reader.one("backend.frame_bytes_max", units::bytes),
        links_max: reader.one("backend.links_max", parse::positive),
    }
}

fn read_transports(reader: &mut Reader<'_>) -> Transports {
    let names: Vec<&str> = reader.each("socket_io.transports", parse::transport);
    Transports { polling: names.contains(&"polling"), websocket: names.contains(&"websocket") }
}

fn read_cors(reader: &mut Reader<'_>) -> Option<CorsOptions> {
    let origins: Vec<String> = reader.each("cors.origin", parse::origin);
    let credentials = reader.one("cors.credentials", parse::flag);
    (credentials || !origins.is_empty()).then_some(CorsOptions { origins, credentials })
}

fn admin_address(word: &str) -> Result<SocketAddr, String> {
    parse::address(word, Ipv4Addr::LOCALHOST)
}

/// The CPUs to run on, each of them one this process may use.
fn cores(written: &Written, machine: &Machine) -> Result<Vec<usize>, String> {
    let available = machine.cpus.len();
    let most = usize::from(SHARDS_MAX);
    match parse::cores(&written.words, written.array)? {
        Cores::All => Ok(machine.cpus[..available.min(most)].to_vec()),
        Cores::Count(count) if count > most => Err(format!("one process runs on at most {most} cores")),
        Cores::These(cpus) if cpus.len() > most => Err(format!("one process runs on at most {most} cores")),
        Cores::Count(count) if count <= available => Ok(machine.cpus[..count].to_vec()),
        Cores::Count(_) => Err(format!("this process may use {available} cores, not more")),
        Cores::These(cpus) => match cpus.iter().find(|cpu| !machine.cpus.contains(cpu)) {
            Some(cpu) => Err(format!("this process may not use CPU {cpu} (it may use {:?})", machine.cpus)),
            None => Ok(cpus),
        },
    }
}

/// Values that are fine alone but not together.
fn contradictions(config: &Config, reader: &mut Reader<'_>) {
    let mut seen = BTreeSet::new();
    // The kernel finds a fresh port for each port 0.
    for address in config.listen.iter().filter(|address| address.port() != 0) {
        if !seen.insert(address) {
            reader.complain("server.listen", format!("{address} is listed twice"));
        } else if let Some(whole) = config.listen.iter().find(|other| is_part(*address, **other)) {
            reader.complain("server.listen", format!("{address} is a part of {whole}, which is listed too"));
        }
    }
    if config.listen.is_empty() {
        reader.complain("server.listen", "at least one address is needed");
    }
    if config.admin.is_some_and(|admin| admin.port() != 0 && overlaps(admin, &config.listen)) {
        reader.complain("server.admin", "the clients' address; it needs one of its own");
    }
    let options = &config.options;
    if !options.transports.polling && !options.transports.websocket {
        reader.complain("socket_io.transports", "at least one transport is needed: polling, websocket");
    }
    if let Some(cors) = &options.cors {
        if cors.origins.is_empty() {
            reader.complain("cors.credentials", "needs an origin to go with it: cors.origin");
        }
        if cors.origins.len() > 1 && cors.origins.iter().any(|origin| origin == "*") {
            reader.complain("cors.origin", "* already allows every origin: list it alone");
        }
    }
    if config.app.is_some() && reader.is_meant("backend.socket") {
        let app = reader.written("server.app");
        let complaint =
            format!("no backend can dial in while {} is {}", app.origin.place("server.app"), app.words[0]);
        reader.complain("backend.socket", complaint);
    }
    if let (Some(app @ (AppKind::Chat | AppKind::Conformance)), Some(_)) = (config.app, &config.pages) {
        let app = if app == AppKind::Chat { "chat" } else { "conformance" };
        reader.complain("server.pages", format!("the {app} app has something of its own at /"));
    }
    if config.app == Some(AppKind::Conformance) {
        let own = ["/engine.io/", "/ws"].into_iter().find(|own| own.starts_with(&options.path));
        if let Some(own) = own.or((options.path == "/ws/").then_some("/ws")) {
            reader.complain("socket_io.path", format!("the conformance app has another endpoint at {own}"));
        }
    }
}

/// Whether `address` is one of `others`, or one of the two is a part of the other.
fn overlaps(address: SocketAddr, others: &[SocketAddr]) -> bool {
    others.iter().any(|other| *other == address || is_part(address, *other) || is_part(*other, address))
}

/// Whether `whole` is every address of the machine on the same port, which `address` is one of.
fn is_part(address: SocketAddr, whole: SocketAddr) -> bool {
    whole.ip().is_unspecified()
        && whole.is_ipv4() == address.is_ipv4()
        && whole.port() == address.port()
        && whole.ip() != address.ip()
}

/// What is allowed but is hardly what the operator means.
fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let options = &config.options;
    if options.cors.as_ref().is_some_and(|cors| cors.credentials && cors.origins == ["*"]) {
        warnings.push(
            "cors.credentials: browsers refuse credentials while cors.origin is *; list the origins".into(),
        );
    }
    if options.outbox_bytes_max < options.max_payload {
        warnings.push(format!(
            "limits.outbox_bytes ({}) is less than socket_io.max_http_buffer_size ({}): a client that is sent a \
             message of the largest size is closed as a slow consumer",
            options.outbox_bytes_max, options.max_payload
        ));
    }
    let backend = &config.backend;
    if backend.hold_bytes < backend.hold_bytes_per_socket {
        warnings.push(format!(
            "backend.hold_bytes ({}) is less than backend.hold_bytes_per_socket ({}), which means nothing then",
            backend.hold_bytes, backend.hold_bytes_per_socket
        ));
    }
    if options.path == "/" {
        warnings.push("socket_io.path: at / Socket.IO hides every page of the app".into());
    }
    if config.admin.is_some_and(|admin| !admin.ip().is_loopback()) {
        warnings.push("server.admin: metrics are open to everyone who can reach this address".into());
    }
    warnings
}

/// Reads typed values, and collects everything that is wrong.
struct Reader<'a> {
    layer: &'a Layer,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// An option of one value. In its place, after a complaint, anything: it will never be used.
    fn one<T: Default>(&mut self, key: &str, read: impl FnOnce(&str) -> Result<T, String>) -> T {
        self.whole(key, |written| match written.words.as_slice() {
            [word] => quoting(word, read),
            _ => Err("this takes one value".to_owned()),
        })
    }

    /// An option of several values.
    fn each<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.whole(key, |written| written.words.iter().map(|word| quoting(word, &read)).collect())
    }

    fn whole<T: Default>(&mut self, key: &str, read: impl FnOnce(&Written) -> Result<T, String>) -> T {
        let read = read(self.written(key));
        read.unwrap_or_else(|complaint| {
            self.complain(key, complaint);
            T::default()
        })
    }

    fn complain(&mut self, key: &str, complaint: impl Into<String>) {
        let place = self.written(key).origin.place(key);
        self.problems.push(Problem::new(&place, complaint));
    }

    /// Whether somebody asked for this option here and now: a file may have it because it has every default.
    fn is_meant(&self, key: &str) -> bool {
        let written = self.written(key);
        match written.origin {
            Origin::Default => false,
            Origin::File { .. } => written.words != schema::setting(key).default.words(),
            Origin::Env(_) | Origin::Flag(_) => true,
        }
    }

    fn written(&self, key: &str) -> &Written {
        self.layer.get(key).expect("the defaults have every option")
    }
}

/// Reads a word, and puts it in front of the complaint.
fn quoting<T>(word: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Result<T, String> {
    read(word).map_err(|complaint| format!("{word:?}: {complaint}"))
}
