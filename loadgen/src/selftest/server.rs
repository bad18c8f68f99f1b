//! A Socket.IO server that does wrong on purpose, and knows how often. One blocking thread per client.

use crate::clock::{self, Nanos};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

const UPGRADE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const OPEN: &str =
    r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
const CONNECTED: &str = r#"40{"sid":"x"}"#;
/// Payload lengths with a one-byte length field (RFC 6455 §5.2).
const SHORT_MAX: usize = 125;

/// What it does wrong. A number says which message to a client: every so-many-th; zero is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) drop: u64,
    pub(super) double: u64,
    pub(super) damage: u64,
    /// Sent after the one that follows.
    pub(super) delay: u64,
    /// Messages until a client's stream is closed.
    pub(super) hang_up_after: u64,
    /// When it handles nothing, from the first message on, and for how long.
    pub(super) stalls: &'static [Duration],
    pub(super) stall: Duration,
}

/// What it has done wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) dropped: u64,
    pub(super) doubled: u64,
    pub(super) delayed: u64,
    pub(super) damaged: u64,
}

/// The server. Its threads end with their clients; that which accepts ends with the process.
pub(super) struct Server {
    url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    faults: Faults,
    first_message: OnceLock<Nanos>,
    /// One lock for everything: what a broadcast does to all clients happens at once.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    clients: Vec<Receiver>,
    made: Made,
}

/// One client, as a receiver.
struct Receiver {
    stream: TcpStream,
    messages: u64,
    held: Option<Vec<u8>>,
}

impl Server {
    pub(super) fn start(faults: Faults) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared { faults, ..Shared::default() });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), shared) = (stream, serving.clone()) else { return };
                // A client that breaks off is the test's business.
                thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Ok(Self { url, shared })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn made(&self) -> Made {
        self.shared.state().made
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with it")
    }

    /// Sleeps if this is one of the moments.
    fn stall(&self) {
        let first = *self.first_message.get_or_init(clock::now);
        let (since, stall) = (clock::now() - first, clock::from_duration(self.faults.stall));
        let mut began = self.faults.stalls.iter().map(|at| clock::from_duration(*at));
        if let Some(began) = began.find(|began| (*began..*began + stall).contains(&since)) {
            thread::sleep(Duration::from_nanos(began + stall - since));
        }
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    read_head(&mut stream)?;
    stream.write_all(UPGRADE.as_bytes())?;
    stream.write_all(&frame(OPEN.as_bytes()))?;
    read_message(&mut stream)?;
    stream.write_all(&frame(CONNECTED.as_bytes()))?;
    let place = {
        let clients = &mut shared.state().clients;
        clients.push(Receiver { stream: stream.try_clone()?, messages: 0, held: None });
        clients.len() - 1
    };
    let mut handled = 0;
    while let Some(message) = read_message(&mut stream)? {
        shared.stall();
        handled += 1;
        if shared.faults.hang_up_after > 0 && handled > shared.faults.hang_up_after {
            return stream.shutdown(Shutdown::Both);
        }
        let mut state = shared.state();
        let State { clients, made } = &mut *state;
        if let Some(answer) = answer(&message) {
            clients[place].deliver(&answer, shared.faults, made)?;
        } else if let Some(news) = news(&message) {
            clients.iter_mut().try_for_each(|client| client.deliver(&news, shared.faults, made))?;
        }
    }
    let mut state = shared.state();
    // What waited for a message that never came has been lost after all.
    state.made.dropped += u64::from(state.clients[place].held.take().is_some());
    // A close frame without a code.
    stream.write_all(&[0x88, 0])
}

impl Receiver {
    fn deliver(&mut self, packet: &[u8], faults: Faults, made: &mut Made) -> io::Result<()> {
        self.messages += 1;
        let is = |every: u64| every > 0 && self.messages.is_multiple_of(every);
        if is(faults.drop) {
            made.dropped += 1;
            return Ok(());
        }
        if is(faults.delay) && self.held.is_none() {
            self.held = Some(frame(packet));
            return Ok(());
        }
        let mut bytes = frame(packet);
        if is(faults.double) {
            made.doubled += 1;
            bytes.extend_from_within(..);
        } else if is(faults.damage) {
            made.damaged += 1;
            // The last character of the payload, before `"]`.
            let at = bytes.len() - 3;
            bytes[at] ^= 1;
        }
        if let Some(held) = self.held.take() {
            made.delayed += 1;
            bytes.extend_from_slice(&held);
        }
        self.stream.write_all(&bytes)
    }
}

/// The ack of an `echo`.
fn answer(message: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(message).ok()?;
    let (id, arguments) = text.strip_prefix("42")?.split_once(r#"["echo","#)?;
    Some(format!("43{id}[{arguments}").into_bytes())
}

/// What `broadcast` sends to everyone.
fn news(message: &[u8]) -> Option<Vec<u8>> {
    let arguments = std::str::from_utf8(message).ok()?.strip_prefix(r#"42["broadcast","#)?;
    Some(format!(r#"42["news",{arguments}"#).into_bytes())
}

fn read_head(stream: &mut TcpStream) -> io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(())
}

/// The next text message; `None` when the client closes.
fn read_message(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let length = match usize::from(head[1] & 0x7f) {
        126 => {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            usize::from(u16::from_be_bytes(length))
        }
        127 => return Err(io::Error::other("longer than a self-test sends")),
        length => length,
    };
    let (mut mask, mut payload) = ([0; 4], vec![0; length]);
    stream.read_exact(&mut mask)?;
    stream.read_exact(&mut payload)?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok((head[0] == 0x81).then_some(payload))
}

fn frame(packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u8::try_from(packet.len()) {
        Ok(length) if usize::from(length) <= SHORT_MAX => frame.push(length),
        _ => {
            let length = u16::try_from(packet.len()).expect("a self-test sends short messages");
            frame.push(126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(packet);
    frame
}
