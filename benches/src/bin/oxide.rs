//! `oxide`: a peer. socketioxide with the events of Tidegate's `--app bench`, set up as its users would for one
//! core: tokio on the current thread, axum, mimalloc, no Nagle.

use axum::Router;
use axum::serve::ListenerExt as _;
use clap::Parser;
use mimalloc::MiMalloc;
use rustix::process::{Resource, getrlimit, setrlimit};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What is measured. The versions are those of Cargo.lock; the build script reads them.
const VERSIONS: &str = concat!(
    "version socketioxide ",
    env!("VERSION_SOCKETIOXIDE"),
    ", axum ",
    env!("VERSION_AXUM"),
    ", tokio ",
    env!("VERSION_TOKIO"),
    ", mimalloc ",
    env!("VERSION_MIMALLOC")
);

/// As Tidegate's default.
const MAX_PAYLOAD: u64 = 1_000_000;

/// socketioxide with the events of `--app bench`.
#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 lets the kernel choose.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(options.listen))
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let (layer, io) = SocketIo::builder().max_payload(MAX_PAYLOAD).build_layer();
    io.ns("/", on_connect);
    let listener = listen(address)?;
    println!("{VERSIONS}");
    println!("listening on http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream: &mut TcpStream| {
        let _gone_already = stream.set_nodelay(true);
    });
    axum::serve(listener, Router::new().layer(layer)).await
}

/// With as much room for clients that have not been accepted as the other peers have; `bind` gives them 1024 places.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}

/// The arguments are typed as the load generator sends them, which is the fast way here.
async fn on_connect(socket: SocketRef) {
    socket.on("echo", async |Data::<String>(text), ack: AckSender| {
        let _gone_already = ack.send(&text);
    });
    socket.on("broadcast", async |io: SocketIo, Data::<(u64, u64, u64, String)>(arguments)| {
        let _nobody_there = io.emit("news", &arguments).await;
    });
    socket.on("join", async |socket: SocketRef, Data::<String>(room), ack: AckSender| {
        socket.join(room);
        let _gone_already = ack.send(&());
    });
    socket.on("leave", async |socket: SocketRef, Data::<String>(room)| socket.leave(room));
    socket.on("room", async |io: SocketIo, Data::<(String, u64, u64, u64, String)>(arguments)| {
        let (room, stream, number, due, padding) = arguments;
        let _nobody_there = io.to(room).emit("msg", &(stream, number, due, padding)).await;
    });
}
