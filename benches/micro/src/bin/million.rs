//! `million CLIENTS`: one shard and so many clients, without a kernel around them. Prints what was measured as JSON.

use std::env;
use std::process::ExitCode;
use tidegate_micro::million::Crowd;

/// The allocator of the gateway.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let clients = env::args().nth(1).and_then(|clients| clients.parse::<u32>().ok());
    let Some(clients) = clients.filter(|clients| *clients > 0) else {
        eprintln!("million: how many clients?");
        return ExitCode::from(2);
    };
    let crowd = serde_json::to_string(&Crowd::measure(clients)).expect("numbers are JSON");
    println!("{crowd}");
    ExitCode::SUCCESS
}
