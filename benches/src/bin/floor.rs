//! `floor`: the floor as a process. Prints `version floor X`, and `listening on http://ADDRESS` when it is ready; ends by a
//! signal.

use clap::{Parser, ValueEnum};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io;
use std::net::{SocketAddr, TcpListener};
use tidegate_benches::floor::{Floor, Mode};

/// The least a WebSocket server can do, as a yardstick for the others.
#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 lets the kernel choose.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What to do with messages.
    #[arg(long, value_enum, default_value_t = ModeOption::Socketio)]
    mode: ModeOption,
}

#[derive(Clone, Copy, ValueEnum)]
enum ModeOption {
    /// Send every WebSocket message back.
    Raw,
    /// Acknowledge `echo`, send `broadcast` to everyone and `room` to a room.
    Socketio,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    let listener = TcpListener::bind(options.listen)?;
    println!("version floor {}", env!("CARGO_PKG_VERSION"));
    println!("listening on http://{}", listener.local_addr()?);
    let mode = match options.mode {
        ModeOption::Raw => Mode::Raw,
        ModeOption::Socketio => Mode::SocketIo,
    };
    Floor::new(listener, mode)?.serve()
}
