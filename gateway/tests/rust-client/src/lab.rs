//! Clients whose events can be waited for.

use rust_socketio::client::Client;
use rust_socketio::{ClientBuilder, Event, Payload, TransportType};
use serde_json::{Value, json};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

const WATCHDOG: Duration = Duration::from_secs(20);
pub const BEHAVIOURS: &str = "/behaviours";

/// Where clients connect, and how.
#[derive(Clone)]
pub struct Lab {
    pub url: String,
    pub transport: TransportType,
}

/// One client, and what it was told. Dropping it disconnects it.
pub struct Member {
    client: Client,
    heard: Receiver<(String, Payload)>,
}

impl Lab {
    /// A client that has joined a namespace.
    pub fn join(&self, namespace: &str, auth: Value) -> Member {
        let member = self.attempt(namespace, auth);
        member.hear("open");
        member
    }

    /// A client that has asked to join.
    pub fn attempt(&self, namespace: &str, auth: Value) -> Member {
        let (tell, heard) = channel();
        let told = |name: &'static str, tell: &Sender<(String, Payload)>| {
            let tell = tell.clone();
            move |payload: Payload, _| {
                let _gone = tell.send((name.to_owned(), payload));
            }
        };
        let client = ClientBuilder::new(self.url.as_str())
            .namespace(namespace)
            .auth(auth)
            .transport_type(self.transport.clone())
            .reconnect(false)
            .on(Event::Connect, told("open", &tell))
            .on(Event::Close, told("close", &tell))
            .on(Event::Error, told("error", &tell))
            .on_any(move |event, payload, _| {
                let _gone = tell.send((event.as_str().to_owned(), payload));
            })
            .connect()
            .expect("the server takes an Engine.IO client");
        Member { client, heard }
    }

    /// A client in the namespace where there are commands.
    pub fn behaving(&self) -> Member {
        self.join(BEHAVIOURS, json!({}))
    }
}

impl Member {
    /// Waits for the next event of this name; others before it are passed over.
    pub fn hear(&self, name: &str) -> Payload {
        self.hear_first(&[name])
    }

    /// Waits for the next event that has one of these names.
    pub fn hear_first(&self, names: &[&str]) -> Payload {
        loop {
            match self.heard.recv_timeout(WATCHDOG) {
                Ok((heard, payload)) if names.contains(&heard.as_str()) => return payload,
                Ok(_) => {}
                Err(_) => panic!("watchdog: none of {names:?}"),
            }
        }
    }

    pub fn emit(&self, event: &str, args: impl Into<Payload>) {
        self.client.emit(event, args).expect("the connection lives");
    }

    /// Emits with ack, and waits for the answer. (This client takes its arguments as one list.)
    pub fn ask(&self, event: &str, args: impl Into<Payload>) -> Value {
        let (tell, told) = channel();
        let answered = move |payload: Payload, _| {
            let _gone = tell.send(payload);
        };
        self.client.emit_with_ack(event, args, WATCHDOG, answered).expect("the connection lives");
        let payload = told.recv_timeout(WATCHDOG).unwrap_or_else(|_| panic!("watchdog: no ack of {event}"));
        let Payload::Text(mut args) = payload else { panic!("not text: {payload:?}") };
        assert_eq!(args.len(), 1, "one ack is one list");
        args.remove(0)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may be disconnected already.
        let _gone = self.client.disconnect();
    }
}

/// The arguments of an event.
pub fn args(payload: Payload) -> Vec<Value> {
    match payload {
        Payload::Text(args) => args,
        other => panic!("not text: {other:?}"),
    }
}
