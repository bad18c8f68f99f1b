//! The behaviours of `../clients/BEHAVIOURS.md` that the client of the crate rust_socketio can express.
//!
//! ```text
//! rust-client URL --transport polling|websocket|upgrade [--only NAME]
//! ```
//!
//! Prints a line for each behaviour and `N passed, N failed`; the exit code is 1 if one failed. Every wait is for an
//! event, and ends with a watchdog. What this client cannot do is left out: it answers no acks, asks for none with
//! binary, reads no binary on WebSocket (0.6.0 takes it for a packet of type 0x04), and loses why it was disconnected.

mod behaviours;
mod lab;

use lab::Lab;
use rust_socketio::TransportType;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [url, "--transport", transport] => run_all(url, transport),
        [url, "--transport", transport, "--only", name] => run_one(url, transport, name),
        _ => {
            eprintln!("usage: rust-client URL --transport polling|websocket|upgrade [--only NAME]");
            ExitCode::from(2)
        }
    }
}

/// Runs each behaviour in a process of its own: a client that is closed keeps a thread busy for as long as there is one.
fn run_all(url: &str, transport: &str) -> ExitCode {
    let this = std::env::current_exe().expect("the system knows which program this is");
    let over_polling = if transport == "polling" { behaviours::OVER_POLLING } else { &[] };
    let (mut passed, mut failed) = (0, 0);
    for (name, _) in behaviours::ALL.iter().chain(over_polling) {
        let status = Command::new(&this).args([url, "--transport", transport, "--only", name]).status();
        if status.is_ok_and(|status| status.success()) {
            passed += 1;
            println!("ok   {name}");
        } else {
            failed += 1;
            println!("FAIL {name}");
        }
    }
    println!("rust_socketio: {passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one behaviour, which panics if it does not hold.
fn run_one(url: &str, transport: &str, name: &str) -> ExitCode {
    let transport = match transport {
        "polling" => TransportType::Polling,
        "websocket" => TransportType::Websocket,
        "upgrade" => TransportType::WebsocketUpgrade,
        other => panic!("no such transport: {other}"),
    };
    let mut all = behaviours::ALL.iter().chain(behaviours::OVER_POLLING);
    let (_, behaviour) = all.find(|(known, _)| *known == name).expect("the behaviour is in the list");
    behaviour(&Lab { url: url.to_owned(), transport });
    ExitCode::SUCCESS
}
