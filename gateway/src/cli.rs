//! The command line: commands, flags, and the text of `--help`.
//!
//! Flags are not interpreted here. They become a layer of the configuration, so that a value is checked by the same
//! code, with the same complaint, wherever it was written.

use crate::config::schema::help;
use crate::config::{self, Layer};
use clap::{Args, CommandFactory as _, Parser, Subcommand, error::ErrorKind};
use std::ffi::OsString;
use std::path::PathBuf;

/// What the operator asked for.
#[derive(Debug)]
pub enum Task {
    /// Run the gateway.
    Serve {
        /// The configuration file, if a flag names one.
        config: Option<PathBuf>,
        /// What flags say, the later ones last.
        flags: Vec<Layer>,
    },
    /// Say whether this file could be run.
    ConfigCheck(PathBuf),
    /// Print a file with every option at its default.
    ConfigDefault,
}

/// Reads the command line, the program's name included.
///
/// # Errors
///
/// What clap has to say to the user, `--help` and `--version` included.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Task, clap::Error> {
    let Cli { flags, command } = Cli::try_parse_from(args)?;
    let of_config = match command {
        None => return Ok(serve(&[&flags])),
        Some(Command::Serve(later)) => return Ok(serve(&[&flags, &later])),
        Some(Command::Config(command)) => command,
    };
    if flags != Flags::default() {
        let message = "flags of the gateway have no meaning for `tidegate config`";
        return Err(Cli::command().error(ErrorKind::ArgumentConflict, message));
    }
    Ok(match of_config {
        ConfigCommand::Check { file } => Task::ConfigCheck(file),
        ConfigCommand::Default => Task::ConfigDefault,
    })
}

/// Flags may stand before `serve`, after it, or both.
fn serve(flags: &[&Flags]) -> Task {
    let config = flags.iter().rev().find_map(|flags| flags.config.clone());
    Task::Serve { config, flags: flags.iter().map(|flags| flags.layer()).collect() }
}

const EXAMPLES: &str = "\
Durations are written like 25s, 300ms or 1m30s; sizes in bytes, or like 64kB or 1MiB.

Every option can also be set in a file (--config FILE or TIDEGATE_CONFIG=FILE;
`tidegate config default` prints one with all of them) and in the environment
(TIDEGATE_SERVER_LISTEN, TIDEGATE_SOCKET_IO_PING_INTERVAL and so on).
Flags win over the environment, the environment wins over the file.

Examples:
  tidegate --backend-socket ./backend.sock
      clients on http://127.0.0.1:3000, for the applications that connect to the socket
  tidegate --app chat --client-dir node_modules/socket.io-client/dist
      a chat in the process itself
  tidegate --listen :80 --listen '[::]:80' --cors-origin https://example.com
      every address of the machine, for the pages of one site
  tidegate --app bench --cores 1 --admin 9300
      something to measure, and its metrics at http://127.0.0.1:9300/metrics
  tidegate config check tidegate.toml
      whether a file is fit to run

SIGTERM and SIGINT close all sessions and exit with 0; a second one exits at once.";

/// A front-line Socket.IO gateway: every client connection, on one thread per core over io_uring.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = EXAMPLES, max_term_width = 100, infer_long_args = false)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (this is what happens without a command)
    #[command(after_help = EXAMPLES)]
    Serve(Box<Flags>),
    /// Look at configuration files
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say whether a file could be run: `ok` and exit code 0, or everything that is wrong and exit code 1
    Check {
        /// The TOML file
        file: PathBuf,
    },
    /// Print a file with every option, explained, at its default
    Default,
}

/// One value each, or several: as words, to be understood by the configuration.
#[derive(Args, Debug, Default, PartialEq, Eq)]
struct Flags {
    /// Read options from this TOML file [env: TIDEGATE_CONFIG]
    #[arg(long, value_name = "FILE", help_heading = "Process")]
    config: Option<PathBuf>,
    #[arg(long, value_name = "ADDR", help = several("server.listen"), help_heading = "Process")]
    listen: Vec<String>,
    #[arg(long, value_name = "CORES", help = help("server.cores"), help_heading = "Process")]
    cores: Option<String>,
    #[arg(long, value_name = "APP", help = help("server.app"), help_heading = "Process")]
    app: Option<String>,
    #[arg(long, value_name = "ADDR", help = help("server.admin"), help_heading = "Process")]
    admin: Option<String>,
    #[arg(long, value_name = "DIR", help = help("server.client_dir"), help_heading = "Process")]
    client_dir: Option<String>,
    #[arg(long, value_name = "DIR", help = help("server.pages"), help_heading = "Process")]
    pages: Option<String>,
    #[arg(long, value_name = "BOOL", help = help("server.require_io_uring"), help_heading = "Process",
        num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    require_io_uring: Option<String>,

    #[arg(long, value_name = "PATH", help = help("socket_io.path"), help_heading = "Socket.IO")]
    path: Option<String>,
    #[arg(long, value_name = "LIST", help = help("socket_io.transports"), help_heading = "Socket.IO")]
    transports: Vec<String>,
    #[arg(long, value_name = "TIME", help = help("socket_io.ping_interval"), help_heading = "Socket.IO")]
    ping_interval: Option<String>,
    #[arg(long, value_name = "TIME", help = help("socket_io.ping_timeout"), help_heading = "Socket.IO")]
    ping_timeout: Option<String>,
    #[arg(long, value_name = "TIME", help = help("socket_io.upgrade_timeout"), help_heading = "Socket.IO")]
    upgrade_timeout: Option<String>,
    #[arg(long, value_name = "TIME", help = help("socket_io.connect_timeout"), help_heading = "Socket.IO")]
    connect_timeout: Option<String>,
    #[arg(long, value_name = "SIZE", help = help("socket_io.max_http_buffer_size"), help_heading = "Socket.IO")]
    max_payload: Option<String>,
    #[arg(long, value_name = "ORIGIN", help = several("cors.origin"), help_heading = "Socket.IO")]
    cors_origin: Vec<String>,
    #[arg(long, value_name = "BOOL", help = help("cors.credentials"), help_heading = "Socket.IO",
        num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    cors_credentials: Option<String>,

    #[arg(long, value_name = "COUNT", help = help("limits.max_connections"), help_heading = "Limits")]
    max_connections: Option<String>,
    #[arg(long, value_name = "SIZE", help = help("limits.outbox_bytes"), help_heading = "Limits")]
    outbox_bytes: Option<String>,
    #[arg(long, value_name = "COUNT", help = help("limits.max_fragments"), help_heading = "Limits")]
    max_fragments: Option<String>,

    #[arg(long, value_name = "PATH", help = help("backend.socket"), help_heading = "Backends")]
    backend_socket: Option<String>,
    #[arg(long, value_name = "MODE", help = help("backend.socket_mode"), help_heading = "Backends")]
    backend_socket_mode: Option<String>,

    #[arg(long, value_name = "LEVEL", help = help("log.level"), help_heading = "Log")]
    log_level: Option<String>,
    #[arg(long, value_name = "FORMAT", help = help("log.format"), help_heading = "Log")]
    log_format: Option<String>,
}

fn several(key: &str) -> String {
    format!("{} (may be repeated)", help(key))
}

impl Flags {
    fn layer(&self) -> Layer {
        // Taken apart by name, so that no flag is forgotten.
        let Self {
            config: _,
            listen,
            cores,
            app,
            admin,
            client_dir,
            pages,
            require_io_uring,
            path,
            transports,
            ping_interval,
            ping_timeout,
            upgrade_timeout,
            connect_timeout,
            max_payload,
            cors_origin,
            cors_credentials,
            max_connections,
            outbox_bytes,
            max_fragments,
            backend_socket,
            backend_socket_mode,
            log_level,
            log_format,
        } = self;
        config::flags([
            ("server.listen", listen.as_slice()),
            ("server.cores", cores.as_slice()),
            ("server.app", app.as_slice()),
            ("server.admin", admin.as_slice()),
            ("server.client_dir", client_dir.as_slice()),
            ("server.pages", pages.as_slice()),
            ("server.require_io_uring", require_io_uring.as_slice()),
            ("socket_io.path", path.as_slice()),
            ("socket_io.transports", transports.as_slice()),
            ("socket_io.ping_interval", ping_interval.as_slice()),
            ("socket_io.ping_timeout", ping_timeout.as_slice()),
            ("socket_io.upgrade_timeout", upgrade_timeout.as_slice()),
            ("socket_io.connect_timeout", connect_timeout.as_slice()),
            ("socket_io.max_http_buffer_size", max_payload.as_slice()),
            ("cors.origin", cors_origin.as_slice()),
            ("cors.credentials", cors_credentials.as_slice()),
            ("limits.max_connections", max_connections.as_slice()),
            ("limits.outbox_bytes", outbox_bytes.as_slice()),
            ("limits.max_fragments", max_fragments.as_slice()),
            ("backend.socket", backend_socket.as_slice()),
            ("backend.socket_mode", backend_socket_mode.as_slice()),
            ("log.level", log_level.as_slice()),
            ("log.format", log_format.as_slice()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::SETTINGS;

    #[test]
    fn clap_finds_no_fault_with_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_of_the_table_is_on_the_command_line_and_reaches_its_option() {
        for setting in SETTINGS {
            let Some(flag) = setting.flag else { continue };
            let task = parse(["tidegate", &format!("{flag}=word")].map(OsString::from)).expect(flag);
            let Task::Serve { flags, .. } = task else { panic!("{flag} is a flag of serve") };
            assert_eq!(flags[0][setting.key].words, ["word"], "{flag}");
            assert_eq!(flags[0].len(), 1);
        }
    }
}
