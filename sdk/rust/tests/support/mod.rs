//! A gateway of a few lines: it listens, and says and hears what a test wants.

#![allow(dead_code, reason = "each test file uses a part of it")]

use bytes::Bytes;
use std::collections::VecDeque;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tidegate_core::backend::wire::{
    Adopted, Connect, Frames, FromBackend, Packet, RefuseCode, ToBackend, Welcome,
};
use tidegate_core::id::Id;
use tidegate_core::shard::app::{SessionKey, SocketKey};
use tidegate_core::socket_io::ArgsRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

/// Bytes a backend may send without credit, unless a test wants it otherwise.
pub(crate) const WINDOW: u32 = 1 << 20;
/// The longest frame that the gateway takes.
pub(crate) const FRAME_BYTES_MAX: u32 = 1 << 16;

/// What a client sent to open its session.
pub(crate) const HANDSHAKE: &str =
    r#"{"headers":{"host":"x"},"address":"::1","query":{"EIO":"4"},"auth":{"token":"t"}}"#;

/// Fails a test that waits for what does not come.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it comes soon")
}

pub(crate) struct Gateway {
    dir: TempDir,
    listener: UnixListener,
}

impl Gateway {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("backend.sock")).unwrap();
        Self { dir, listener }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("backend.sock")
    }

    /// Takes the next connection, and hears HELLO and SERVE.
    pub(crate) async fn meet(&self) -> Peer {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        let frames = Frames::new(u32::MAX);
        let mut peer = Peer {
            stream,
            frames,
            heard: VecDeque::new(),
            said: Vec::new(),
            credit: 0,
            greeting: Vec::new(),
        };
        for _ in 0..2 {
            let frame = peer.hear().await.expect("HELLO and SERVE");
            peer.greeting.push(frame);
        }
        peer
    }

    /// Takes the next connection, and welcomes it.
    pub(crate) async fn welcome(&self) -> Peer {
        self.welcome_with(WINDOW).await
    }

    pub(crate) async fn welcome_with(&self, window: u32) -> Peer {
        let mut peer = self.meet().await;
        let FromBackend::Hello(hello) = decoded(&peer.greeting[0]) else { panic!("not a HELLO") };
        let portion = (hello.window / 64).max(1);
        peer.say(&ToBackend::Welcome(Welcome {
            version: 1,
            window,
            portion,
            frame_bytes_max: FRAME_BYTES_MAX,
            software: "test",
            options: r#"{"pingInterval":25000}"#,
        }));
        peer.send().await;
        peer
    }
}

/// One connection of a backend.
pub(crate) struct Peer {
    stream: UnixStream,
    frames: Frames,
    /// Frames that were read and not looked at: type, then body.
    heard: VecDeque<Vec<u8>>,
    /// What is sent next.
    said: Vec<u8>,
    /// The credit the backend has given.
    pub(crate) credit: u64,
    /// HELLO and SERVE: type, then body.
    pub(crate) greeting: Vec<Vec<u8>>,
}

/// A frame as [`Peer::hear`] returns it.
pub(crate) fn decoded(frame: &[u8]) -> FromBackend<'_> {
    FromBackend::decode(frame[0], &frame[1..]).expect("a backend keeps to the protocol")
}

impl Peer {
    /// The next frame but CREDIT, or `None` if the backend has closed the link.
    pub(crate) async fn hear(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(frame) = self.heard.pop_front() {
                match decoded(&frame) {
                    FromBackend::Credit(bytes) => self.credit += u64::from(bytes),
                    _ => return Some(frame),
                }
            } else if !self.read().await {
                return None;
            }
        }
    }

    /// Reads once. Returns whether there was something.
    pub(crate) async fn read(&mut self) -> bool {
        let mut buffer = vec![0; 1 << 16];
        let count = soon(self.stream.read(&mut buffer)).await.unwrap_or(0);
        let mut input = &buffer[..count];
        while let Some(frame) = self.frames.next(&mut input).unwrap() {
            let mut copy = vec![frame.kind()];
            copy.extend_from_slice(frame.body());
            self.heard.push_back(copy);
        }
        count > 0
    }

    /// The next frame but CREDIT is this one.
    pub(crate) async fn expect(&mut self, frame: FromBackend<'_>) {
        let heard = self.hear().await.unwrap_or_else(|| panic!("the end, instead of {frame:?}"));
        assert_eq!(decoded(&heard), frame);
    }

    /// The link ends, with nothing said before.
    pub(crate) async fn expect_end(&mut self) {
        let heard = self.hear().await;
        assert_eq!(heard.as_deref().map(decoded), None);
    }

    /// Reads CREDIT until there was so much of it.
    pub(crate) async fn expect_credit(&mut self, bytes: u64) {
        while self.credit < bytes {
            match self.heard.pop_front() {
                Some(frame) => match decoded(&frame) {
                    FromBackend::Credit(more) => self.credit += u64::from(more),
                    other => panic!("{other:?} instead of CREDIT"),
                },
                None => assert!(self.read().await, "the end, instead of CREDIT"),
            }
        }
    }

    /// Adds a frame to the batch.
    pub(crate) fn say(&mut self, frame: &ToBackend<'_>) -> &mut Self {
        frame.encode(&mut self.said).unwrap();
        self
    }

    /// Adds bytes to the batch.
    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.said.extend_from_slice(bytes);
        self
    }

    /// Sends what was added, without an end of the batch.
    pub(crate) async fn send(&mut self) {
        let said = std::mem::take(&mut self.said);
        soon(self.stream.write_all(&said)).await.unwrap();
    }

    /// Ends the batch, and sends it.
    pub(crate) async fn tick(&mut self) {
        self.say(&ToBackend::Tick).send().await;
    }

    pub(crate) async fn refuse(&mut self, code: RefuseCode) {
        self.say(&ToBackend::Refuse { code, message: "no" }).send().await;
    }

    /// A client comes to `/`, and is let in.
    pub(crate) async fn join(&mut self, n: u32) -> SocketKey {
        self.say(&connect(n, "/")).tick().await;
        self.expect(FromBackend::Accept(socket(n))).await;
        socket(n)
    }

    /// A client sends an event without attachments.
    pub(crate) fn event(&mut self, n: u32, ack: Option<u64>, array: &str) -> &mut Self {
        with_packet(array, |packet| {
            self.say(&ToBackend::Event { socket: socket(n), ack, redelivered: false, packet });
        });
        self
    }
}

/// Lends the packet of an array of a name and arguments.
pub(crate) fn with_packet<R>(array: &str, use_it: impl FnOnce(Packet<'_>) -> R) -> R {
    let list = array.strip_prefix('[').unwrap().strip_suffix(']').unwrap();
    use_it(Packet::from_arguments(ArgsRef::trusted(list, &[])))
}

/// A packet that can be compared with what was heard.
pub(crate) fn event<'a>(name: &'a str, args: &'a str) -> Packet<'a> {
    Packet::from_event(name, ArgsRef::trusted(args, &[]))
}

/// The arguments of an acknowledgement, to be compared.
pub(crate) fn arguments<'a>(args: &'a str, attachments: &'a [Bytes]) -> Packet<'a> {
    Packet::from_arguments(ArgsRef::trusted(args, attachments))
}

pub(crate) fn socket(n: u32) -> SocketKey {
    SocketKey::from_bytes(key(n, 7))
}

/// The session of socket `n`; two sockets have the same.
pub(crate) fn session(n: u32) -> SessionKey {
    SessionKey::from_bytes(key(n / 2, 9))
}

fn key(n: u32, generation: u8) -> [u8; 10] {
    let [a, b, c, d] = n.to_le_bytes();
    [a, b, c, d, generation, 0, 0, 0, 1, 0]
}

pub(crate) fn id(n: u32) -> Id {
    Id::decode(&id_text(n)).unwrap()
}

pub(crate) fn id_text(n: u32) -> String {
    format!("{n:0>20}")
}

/// A CONNECT of a client that was never here.
pub(crate) fn connect(n: u32, namespace: &str) -> ToBackend<'_> {
    connect_adopted(n, namespace, None)
}

pub(crate) fn connect_adopted<'a>(n: u32, namespace: &'a str, adopted: Option<Adopted<'a>>) -> ToBackend<'a> {
    ToBackend::Connect(Connect {
        socket: socket(n),
        session: session(n),
        id: id(n),
        revision: 4,
        transport: "polling",
        namespace,
        handshake: HANDSHAKE,
        adopted,
    })
}
