//! What an application gathers leaves in the pass in which it was gathered.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tidegate_core::id::{RouteKey, ShardIndex};
use tidegate_core::options::Options;
use tidegate_core::shard::app::{App, AppMessage, Connect, Event, PortKey, SocketKey, Verdict};
use tidegate_core::shard::routes::Routes;
use tidegate_core::shard::{Io, Shard, ShardSetup, StreamHandle};
use tidegate_core::time::Instant;

const NOW: Instant = Instant::from_millis(7);

/// What happened to [`Gatherer`].
type Log = Rc<RefCell<Vec<&'static str>>>;

/// Gathers bytes of its port, and gives them away when it is flushed: an echo, and a message to the other shard.
struct Gatherer {
    log: Log,
    gathered: Vec<u8>,
    port: Option<PortKey>,
}

impl App for Gatherer {
    fn connect(&mut self, _: &mut Io<'_>, _: SocketKey, _: &Connect<'_>) -> Verdict {
        Verdict::InvalidNamespace
    }

    fn event(&mut self, _: &mut Io<'_>, _: SocketKey, _: Event<'_>) {}

    fn port_opened(&mut self, _: &mut Io<'_>, port: PortKey) {
        self.port = Some(port);
    }

    fn port_bytes(&mut self, io: &mut Io<'_>, _: PortKey, bytes: &mut [u8]) {
        self.log.borrow_mut().push("bytes");
        self.gathered.extend_from_slice(bytes);
        io.flush_soon();
        io.flush_soon();
    }

    fn flush(&mut self, io: &mut Io<'_>) {
        self.log.borrow_mut().push("flush");
        if self.gathered == b"again" {
            // What comes of this asks for another.
            io.tell(io.shard(), Box::new(()));
        }
        io.tell(ShardIndex(1), Box::new(()));
        io.port_send(self.port.unwrap(), std::mem::take(&mut self.gathered).into());
    }

    fn told(&mut self, io: &mut Io<'_>, _: ShardIndex, _: AppMessage) {
        self.log.borrow_mut().push("told");
        self.gathered.extend_from_slice(b"!");
        io.flush_soon();
    }
}

/// A shard that has a port, one of two.
fn shard() -> (Shard, tidegate_core::shard::ConnKey, Log) {
    let log = Log::default();
    let setup = ShardSetup {
        index: ShardIndex(0),
        shards: 2,
        options: Arc::new(Options::default()),
        routes: Arc::new(Routes::default()),
        route_key: RouteKey::new([1, 2, 3, 4]),
        seed: [1; 32],
        now: NOW,
        unix_origin: 0,
    };
    let app = Gatherer { log: Rc::clone(&log), gathered: Vec::new(), port: None };
    let mut shard = Shard::new(setup, Box::new(app));
    let port = shard.handle_port(NOW, StreamHandle(0));
    (shard, port, log)
}

/// How many messages leave, and then which bytes.
fn send_out(shard: &mut Shard) -> (usize, Vec<u8>) {
    let messages = std::iter::from_fn(|| shard.poll_message()).count();
    let mut bytes = Vec::new();
    while let Some((port, _, queue)) = shard.poll_write() {
        bytes.extend(queue.iter().flatten());
        let count = queue.bytes();
        shard.handle_written(NOW, port, count);
    }
    (messages, bytes)
}

#[test]
fn a_flush_is_called_once_a_pass_and_what_it_does_leaves_in_that_pass() {
    let (mut shard, port, log) = shard();
    assert_eq!(send_out(&mut shard), (0, Vec::new()));
    for _ in 0..2 {
        shard.handle_bytes(NOW, port, &mut b"one".to_vec());
        shard.handle_bytes(NOW, port, &mut b"two".to_vec());
        assert_eq!(shard.next_deadline(), Some(NOW), "a driver that sleeps now is woken");
        assert_eq!(send_out(&mut shard), (1, b"onetwo".to_vec()));
        assert_eq!(log.take(), ["bytes", "bytes", "flush"]);
        assert_eq!(shard.next_deadline(), None);
    }
}

#[test]
fn a_flush_that_leads_to_another_gets_it_in_the_same_pass() {
    let (mut shard, port, log) = shard();
    shard.handle_bytes(NOW, port, &mut b"again".to_vec());
    assert_eq!(send_out(&mut shard), (2, b"again!".to_vec()));
    assert_eq!(log.take(), ["bytes", "flush", "told", "flush"]);
    assert_eq!((send_out(&mut shard), shard.next_deadline()), ((0, Vec::new()), None));
}
