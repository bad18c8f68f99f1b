//! An application on a thread of its own: it lets everybody in, and gives every number back.

use super::fake::{Backend, Handle, Told, acknowledge, emit, number};
use std::path::Path;
use std::thread::JoinHandle;
use tidegate_core::backend::wire::FromBackend;

/// One that runs.
pub(crate) struct App {
    handle: Handle,
    thread: JoinHandle<bool>,
}

impl App {
    /// Starts one, and returns when it serves.
    pub(crate) fn start(path: &Path, namespaces: &[&str]) -> Self {
        let backend = Backend::serve(path, namespaces).patient();
        let handle = backend.handle();
        Self { handle, thread: std::thread::spawn(move || run(backend)) }
    }

    /// Kills it.
    pub(crate) fn kill(self) {
        self.handle.cut();
        assert!(!end(self.thread), "nobody asked it to leave");
    }

    /// Has it leave, and waits until it has.
    pub(crate) fn leave(self) {
        self.handle.say(&FromBackend::Drain);
        assert!(end(self.thread), "the link ended before DRAINED");
    }
}

fn end(thread: JoinHandle<bool>) -> bool {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Does its work until the link ends, or all its sockets have been handed over: whether that is why.
fn run(mut backend: Backend) -> bool {
    let mut batch = Vec::new();
    let add = |batch: &mut Vec<u8>, frame: FromBackend<'_>| frame.encode(batch).unwrap();
    while let Some(told) = backend.next_frame() {
        match told {
            Told::Tick => {
                backend.write(&batch);
                batch.clear();
            }
            Told::Connect(connect) => add(&mut batch, FromBackend::Accept(connect.socket)),
            Told::Event { socket, ack, json, .. } => {
                let args = number(&json).to_string();
                match ack {
                    Some(ack) => add(&mut batch, acknowledge(socket, ack, &args)),
                    None => add(&mut batch, emit(socket, &args)),
                }
            }
            Told::Handover(socket) => add(&mut batch, FromBackend::Released(socket)),
            Told::Drained => return true,
            Told::Refuse(code, message) => panic!("REFUSE {code}: {message}"),
            _ => {}
        }
    }
    false
}
