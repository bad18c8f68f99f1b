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
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

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
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream: &mut TcpStream| {
        let _gone_already = stream.set_nodelay(true);
    });
    axum::serve(listener, Router::new().layer(layer)).await
}

/// The arguments are typed as the load generator sends them, which is the fast way here.
async fn on_connect(socket: SocketRef) {
    socket.on("echo", async |Data::<String>(text), ack: AckSender| {
        let _gone_already = ack.send(&text);
    });
    socket.on("broadcast", async |io: SocketIo, Data::<(u64, u64, String)>(arguments)| {
        let _nobody_there = io.emit("news", &arguments).await;
    });
}
