//! Frames of every type with contents from a seed.

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tidegate_core::backend::wire::{
    Adopted, Connect, EmitFlags, FetchedSocket, FromBackend, Hello, Packet, RefuseCode, Selector, ToBackend,
    Welcome,
};
use tidegate_core::close::{CloseReason, DisconnectReason};
use tidegate_core::id::{Id, IdSource, RouteKey, ShardIndex};
use tidegate_core::name::Name;
use tidegate_core::shard::app::{SessionKey, SocketKey};
use tidegate_core::socket_io::{Args, ArgsRef, quote};

pub(crate) struct Random {
    random: ChaCha8Rng,
    ids: IdSource,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let ids = IdSource::new([1; 32], RouteKey::new([2; 4]), ShardIndex(3));
        Self { random: ChaCha8Rng::seed_from_u64(seed), ids }
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.random.next_u32() as usize % end
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 0
    }

    fn u32(&mut self) -> u32 {
        self.random.next_u32() >> (8 * self.below(4))
    }

    fn u64(&mut self) -> u64 {
        self.random.next_u64() >> (8 * self.below(8))
    }

    fn u16(&mut self) -> u16 {
        u16::try_from(self.below(1 << 16)).expect("below")
    }

    fn socket(&mut self) -> SocketKey {
        SocketKey::from_bytes(self.bytes())
    }

    fn session(&mut self) -> SessionKey {
        SessionKey::from_bytes(self.bytes())
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill_bytes(&mut bytes);
        bytes
    }

    fn text(&mut self) -> String {
        let length = [0, 1, 5, 40, 300][self.below(5)];
        (0..length).map(|_| ['a', '/', '"', '\\', '\n', 'é', '€', '😀'][self.below(8)]).collect()
    }

    fn texts(&mut self) -> Vec<String> {
        (0..self.below(4)).map(|_| self.text()).collect()
    }

    fn args(&mut self) -> Args {
        let mut args = Args::new();
        for _ in 0..self.below(4) {
            let text = self.text();
            match self.below(3) {
                0 => args.push_binary(text.into_bytes()),
                1 => args.push(&[text]),
                _ => args.push_raw("{\"a\" : [1, 2.5e3]}"),
            }
            .expect("few and valid");
        }
        args
    }
}

/// What frames borrow from.
pub(crate) struct Pool {
    pub(crate) text: String,
    texts: Vec<String>,
    names: Vec<Name>,
    json: String,
    event: String,
    args: Args,
    id: Id,
}

impl Pool {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            text: random.text(),
            texts: random.texts(),
            names: random.texts().into_iter().map(Name::from).collect(),
            json: quote(&random.text()),
            event: quote(&format!("event {}", random.text())),
            args: random.args(),
            id: random.ids.next_id(),
        }
    }

    pub(crate) fn event(&self) -> (&str, ArgsRef<'_>) {
        (&self.event, self.args.as_ref())
    }

    fn selector(&self) -> Selector<'_> {
        Selector { namespace: &self.text, rooms: self.names[..].into(), except: self.texts[..].into() }
    }

    fn flags(random: &mut Random) -> EmitFlags {
        let [volatile, compress, local, ack] = [(); 4].map(|()| random.yes());
        EmitFlags { volatile, compress, local, ack }
    }

    /// One frame of each type.
    pub(crate) fn said_by_backend(&self, r: &mut Random) -> Vec<FromBackend<'_>> {
        let (text, json) = (&*self.text, &*self.json);
        let (texts, names) = (self.texts[..].into(), self.names[..].into());
        let selector = self.selector();
        let event = Packet::from_event(&self.event, self.args.as_ref());
        let arguments = Packet::from_arguments(self.args.as_ref());
        vec![
            FromBackend::Hello(Hello {
                version_min: r.u16(),
                version_max: r.u16(),
                window: r.u32(),
                software: text,
                process: text,
            }),
            FromBackend::Credit(r.u32()),
            FromBackend::Serve { dynamic: r.yes(), namespaces: texts },
            FromBackend::Withdraw(names),
            FromBackend::Drain,
            FromBackend::Accept(r.socket()),
            FromBackend::Reject { socket: r.socket(), message: text, data: r.yes().then_some(json) },
            FromBackend::Decline(r.socket()),
            FromBackend::Emit {
                socket: r.socket(),
                flags: Self::flags(r),
                ack: r.u64(),
                timeout_ms: r.u32(),
                packet: event,
            },
            FromBackend::Ack { socket: r.socket(), ack: r.u64(), packet: arguments },
            FromBackend::Broadcast {
                flags: Self::flags(r),
                selector,
                request: r.u64(),
                timeout_ms: r.u32(),
                packet: event,
            },
            FromBackend::Join { socket: r.socket(), rooms: names },
            FromBackend::Leave { socket: r.socket(), rooms: texts },
            FromBackend::Disconnect(r.socket()),
            FromBackend::Close(r.session()),
            FromBackend::Data { socket: r.socket(), json },
            FromBackend::SocketsJoin { selector, rooms: names },
            FromBackend::SocketsLeave { selector, rooms: texts },
            FromBackend::DisconnectSockets { selector, close: r.yes() },
            FromBackend::Fetch { request: r.u64(), selector },
            FromBackend::ServerEmit {
                namespace: text,
                request: r.u64(),
                timeout_ms: r.u32(),
                json: r#"["a", 1]"#,
            },
            FromBackend::ServerAck { token: r.u64(), json },
            FromBackend::Released(r.socket()),
        ]
    }

    /// Sockets for FETCHED.
    pub(crate) fn sockets(&self, r: &mut Random) -> Vec<FetchedSocket<'_>> {
        let socket = |_| FetchedSocket {
            socket: r.socket(),
            id: self.id,
            rooms: self.texts[..].into(),
            data: r.yes().then_some(&*self.json),
            handshake: "{}",
        };
        (0..3).map(socket).collect()
    }

    /// One frame of each type.
    pub(crate) fn said_by_gateway<'a>(
        &'a self,
        sockets: &'a [FetchedSocket<'a>],
        r: &mut Random,
    ) -> Vec<ToBackend<'a>> {
        let (text, json) = (&*self.text, &*self.json);
        let arguments = Packet::from_arguments(self.args.as_ref());
        let adopted = Adopted { rooms: self.names[..].into(), data: r.yes().then_some(json) };
        let reasons = CloseReason::ALL.map(DisconnectReason::Session);
        vec![
            ToBackend::Welcome(Welcome {
                version: r.u16(),
                window: r.u32(),
                portion: r.u32(),
                frame_bytes_max: r.u32(),
                software: text,
                options: json,
            }),
            ToBackend::Refuse { code: RefuseCode::from_code(r.u16() % 8), message: text },
            ToBackend::Credit(r.u32()),
            ToBackend::Tick,
            ToBackend::Fetched { request: r.u64(), last: r.yes(), sockets: sockets.into() },
            ToBackend::Asked { request: r.u64(), clients: r.u32() },
            ToBackend::Answer { request: r.u64(), packet: arguments },
            ToBackend::Answered { request: r.u64(), timed_out: r.yes() },
            ToBackend::Peers(r.u32()),
            ToBackend::ServerResponses { request: r.u64(), asked: r.u32(), responses: self.texts[..].into() },
            ToBackend::Drained,
            ToBackend::Connect(Connect {
                socket: r.socket(),
                session: r.session(),
                id: self.id,
                revision: 4,
                transport: "polling",
                namespace: text,
                handshake: json,
                adopted: r.yes().then_some(adopted),
            }),
            ToBackend::Event {
                socket: r.socket(),
                ack: r.yes().then(|| r.u64()),
                redelivered: r.yes(),
                packet: Packet::from_event(&self.event, self.args.as_ref()),
            },
            ToBackend::Ack { socket: r.socket(), ack: r.u64(), packet: arguments },
            // All but the last, a slow consumer: it comes back as a transport error.
            ToBackend::Disconnected { socket: r.socket(), reason: reasons[r.below(7)] },
            ToBackend::Handover(r.socket()),
            ToBackend::ServerEvent { token: r.u64(), namespace: text, json: "[]" },
            ToBackend::Transport { session: r.session(), transport: text },
            ToBackend::ConnectionError { code: 3, message: text, handshake: "{}" },
        ]
    }
}

/// Attachments of which there are too many.
pub(crate) fn eleven() -> Vec<Bytes> {
    vec![Bytes::new(); 11]
}
