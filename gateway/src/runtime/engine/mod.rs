//! One core: a shard, its streams, and the turn that moves bytes between them.
//!
//! A turn takes everything in, then sends everything out, until nothing is left or its budget is used up:
//!
//! ```text
//! readiness → mailbox → reads → deadlines → messages → writes → actions
//! ```
//!
//! The order is a promise. What another core sent is handled before bytes that a client may have sent because
//! of it (the mailbox is emptied between a `recv` and its `handle_bytes`), and what a shard tells the others
//! leaves before what it tells its clients. So when a mailbox elsewhere is full, this core neither reads nor
//! writes clients until its messages have left; it goes on emptying its own mailbox, so that all get through.

mod input;
mod output;

use super::clock::{Clock, to_instant};
use super::driven::Driven;
use super::mesh::{Control, Mailbox, Parcel};
use super::poller::{Event, IoDriver, Poller, StreamId};
use super::send::SCRATCH_BYTES;
use super::stats::{DriverStats, WorkerStats};
use super::streams::{Far, Input, Streams};
use super::timer::Timer;
use crate::links::LinkPlaces;
use crossbeam_channel::Sender;
use rustix::net::{Shutdown, shutdown};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;
use tidegate_core::id::ShardIndex;
use tidegate_core::shard::{ConnKey, Peer, StreamEnd};
use tidegate_core::time::Instant;

/// Bytes read at once of a stream that has much to say; a shorter read means that the kernel has no more.
const READ_BYTES: usize = 64 * 1024;
/// After this long, monoio's other tasks (accept, links, timers) get their turn.
const TURN_NANOS: u64 = 2_000_000;
/// The same, in events, messages and streams read.
const TURN_STEPS: usize = 4096;

/// Counts the client streams of the whole process against their limit.
#[derive(Debug)]
pub(crate) struct Admission {
    open: AtomicUsize,
    max: usize,
}

impl Admission {
    pub(crate) fn new(max: usize) -> Self {
        Self { open: AtomicUsize::new(0), max }
    }

    /// Takes a place, if there is one.
    pub(crate) fn enter(&self) -> bool {
        let entered = self.open.fetch_add(1, Ordering::Relaxed) < self.max;
        if !entered {
            self.leave();
        }
        entered
    }

    /// Gives a place back.
    pub(crate) fn leave(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a worker does after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Wait for the poller's file.
    Sleep,
    /// There is more to do, after everything else on this thread.
    Again,
    /// The worker ends.
    Stop,
}

/// One core's driver, around what it drives.
pub(crate) struct Engine<S: Driven> {
    shard: S,
    clock: Clock,
    mailbox: Mailbox<S::Message, S::Moved>,
    poller: Poller,
    timer: Timer,
    streams: Streams,
    /// Streams that may have bytes for us, in the order of their turn.
    readable: VecDeque<StreamId>,
    /// Streams that had more to say than their first read took: they come after those.
    unread: VecDeque<StreamId>,
    /// Connections whose write went on too long, to be continued.
    unfinished: Vec<ConnKey>,
    /// Connections whose write has failed; the shard has to be told.
    broken: Vec<ConnKey>,
    /// The shard has more to write than one pass does.
    writes_left: bool,
    /// Parcels to be handled before clients are read again: those that lay there when they were last counted.
    parcels_due: usize,
    /// Reads of all streams go through this one buffer.
    buffer: Box<[u8]>,
    scratch: Box<[u8]>,
    events: Vec<Event>,
    admission: Arc<Admission>,
    link_places: Arc<LinkPlaces>,
    listeners: Vec<OwnedFd>,
    /// Accept tasks that wait for a stream to close.
    room_wakers: Vec<Waker>,
    draining: Draining,
    stopping: bool,
    stats: DriverStats,
}

/// How far this core is on its way out.
enum Draining {
    No,
    /// Say so when nothing is left.
    Until(Sender<ShardIndex>),
    Done,
}

impl<S: Driven> Engine<S> {
    /// Must be called on the thread that will use it. `listeners` are closed by a drain.
    pub(crate) fn new(
        shard: S,
        driver: IoDriver,
        clock: Clock,
        mailbox: Mailbox<S::Message, S::Moved>,
        admission: Arc<Admission>,
        link_places: Arc<LinkPlaces>,
        listeners: Vec<OwnedFd>,
    ) -> io::Result<Self> {
        let mut poller = Poller::new(driver, mailbox.bell())?;
        let timer = Timer::new(clock)?;
        poller.watch_timer(timer.as_fd())?;
        Ok(Self {
            shard,
            clock,
            mailbox,
            poller,
            timer,
            streams: Streams::default(),
            readable: VecDeque::new(),
            unread: VecDeque::new(),
            unfinished: Vec::new(),
            broken: Vec::new(),
            writes_left: false,
            parcels_due: 0,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            events: Vec::new(),
            admission,
            link_places,
            listeners,
            room_wakers: Vec::new(),
            draining: Draining::No,
            stopping: false,
            stats: DriverStats::new(),
        })
    }

    /// The file to wait for between turns.
    pub(crate) fn wait_fd(&self) -> io::Result<OwnedFd> {
        self.poller.wait_fd()
    }

    /// Does what there is to do, for a bounded time.
    pub(crate) fn turn(&mut self) -> io::Result<After> {
        self.mailbox.awake();
        let start = self.clock.nanos();
        let mut nanos = start;
        let mut steps = 0;
        let after = loop {
            let (taken, sent) = self.pass(to_instant(nanos))?;
            steps += taken + sent;
            nanos = self.clock.nanos();
            if self.stopping {
                break After::Stop;
            }
            if sent == 0 && !self.has_work() && self.fall_asleep()? {
                break After::Sleep;
            }
            if steps >= TURN_STEPS || nanos - start >= TURN_NANOS {
                self.mailbox.wake_self();
                break After::Again;
            }
        };
        self.stats.turn_times.record(Duration::from_nanos(nanos - start));
        Ok(after)
    }

    /// Everything in, then everything out, once. Returns how much was taken in and sent out.
    fn pass(&mut self, now: Instant) -> io::Result<(usize, usize)> {
        let mut events = std::mem::take(&mut self.events);
        self.poller.collect(&mut events)?;
        let mut taken = events.len() + self.take_parcels(now)?;
        for event in events.drain(..) {
            self.handle_event(now, event)?;
        }
        self.events = events;
        taken += self.read_streams(now)?;
        for conn in std::mem::take(&mut self.broken) {
            self.shard.handle_end(now, conn, StreamEnd::Error);
            taken += 1;
        }
        if self.shard.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.shard.handle_timeout(now);
            taken += 1;
        }
        let sent = self.send_out(now)?;
        self.report_drained();
        Ok((taken, sent))
    }

    /// Whether another pass would get anywhere.
    fn has_work(&mut self) -> bool {
        // Clients wait until our messages have left.
        let clients = if self.mailbox.waiting() > 0 {
            self.mailbox.could_send()
        } else {
            !self.readable.is_empty() || !self.unread.is_empty() || !self.unfinished.is_empty()
        };
        clients || !self.broken.is_empty() || !self.mailbox.is_empty() || !self.poller.is_idle()
    }

    /// Gets ready to sleep; `false` if something has come up. The order of steps loses no wake-up: see
    /// [`Mailbox::fall_asleep`] and [`Poller::clear_wake`].
    fn fall_asleep(&mut self) -> io::Result<bool> {
        self.timer.arm(self.shard.next_deadline())?;
        let mut asleep = self.mailbox.fall_asleep();
        if asleep {
            self.poller.clear_wake();
            asleep = !self.has_work();
        }
        if !asleep {
            self.mailbox.awake();
        }
        Ok(asleep)
    }

    /// Takes over an accepted stream, which has a place in the [`Admission`] already.
    pub(crate) fn accept(&mut self, fd: OwnedFd, address: SocketAddr) -> io::Result<()> {
        let now = self.clock.now();
        let shard = &mut self.shard;
        let id = self
            .streams
            .insert(fd, Far::Client, |handle| shard.handle_accepted(now, handle, Peer { address }));
        self.stats.accepted += 1;
        self.watch(now, id)
    }

    /// Takes over the stream of a backend, which has its place on `core` already, or sends it there.
    pub(crate) fn accept_link(&mut self, core: ShardIndex, fd: OwnedFd) -> io::Result<()> {
        if core == self.mailbox.me() {
            return self.open_link(self.clock.now(), fd);
        }
        self.mailbox.post(core, Parcel::Link { stream: fd });
        // If the mailbox there is full, a turn has to see to it.
        self.mailbox.wake_self();
        Ok(())
    }

    /// Begins to serve a backend, unless everything is about to end.
    fn open_link(&mut self, now: Instant, fd: OwnedFd) -> io::Result<()> {
        if self.is_closing() {
            self.link_places.leave(self.mailbox.me());
            return Ok(());
        }
        let shard = &mut self.shard;
        let id = self.streams.insert(fd, Far::Backend, |handle| shard.handle_port(now, handle));
        // A watch reports what is there already, so bytes that came on the way are not missed.
        self.watch(now, id)
    }

    /// To be called after a batch of [`Self::accept`] and [`Self::accept_link`], outside of a turn: starts the new watches and sends what
    /// the shard has to say to them. What that leaves to do wakes the next turn.
    pub(crate) fn accepted(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        let sent = self.send_out(now)?;
        self.timer.arm(self.shard.next_deadline())?;
        self.poller.submit()?;
        if sent > 0 || self.has_work() {
            self.mailbox.wake_self();
        }
        Ok(())
    }

    /// Whether no more streams are to be accepted.
    pub(crate) fn is_closing(&self) -> bool {
        self.stopping || !matches!(self.draining, Draining::No)
    }

    pub(crate) fn link_places(&self) -> &LinkPlaces {
        &self.link_places
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    pub(crate) fn stats_mut(&mut self) -> &mut DriverStats {
        &mut self.stats
    }

    /// Wakes `waker` when a stream of this core closes, or accepting is over.
    pub(crate) fn wake_on_room(&mut self, waker: &Waker) {
        if !self.room_wakers.iter().any(|known| known.will_wake(waker)) {
            self.room_wakers.push(waker.clone());
        }
    }

    /// Ends every stream in an orderly way. The last thing that is called.
    pub(crate) fn close(&mut self) {
        for stream in self.streams.iter() {
            // An armed poll holds the file until the ring is gone, so closing alone sends no FIN yet.
            let _ = shutdown(&stream.fd, Shutdown::Both);
        }
    }

    /// Begins to watch a stream; if that cannot be done, the stream has failed.
    fn watch(&mut self, now: Instant, id: StreamId) -> io::Result<()> {
        let Some(stream) = self.streams.get(id) else { return Ok(()) };
        match self.poller.watch(stream.fd.as_fd(), id) {
            Ok(()) => Ok(()),
            // epoll's limits: this stream is lost, the core is not.
            Err(error) if matches!(self.poller, Poller::Epoll(_)) => {
                tracing::warn!(%error, "a stream cannot be watched");
                stream.input = Input::Dead;
                let conn = stream.conn;
                self.shard.handle_end(now, conn, StreamEnd::Error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn handle_control(&mut self, now: Instant, control: Control) {
        match control {
            Control::Stats { reply } => {
                // Whoever asked may have stopped waiting.
                let _ = reply.send(self.stats());
            }
            Control::Drain { drained } => {
                self.stop_accepting();
                self.shard.drain(now);
                self.draining = Draining::Until(drained);
            }
            Control::Stop => {
                self.stop_accepting();
                self.stopping = true;
            }
        }
    }

    fn stats(&self) -> WorkerStats {
        let mut core = self.shard.stats();
        core.mailbox_backlog = self.mailbox.waiting() as u64;
        let mut driver = self.stats.clone();
        driver.streams = (self.streams.len() - self.streams.links()) as u64;
        driver.mailbox_depth = self.mailbox.len() as u64;
        WorkerStats { shard: self.mailbox.me(), core, driver }
    }

    /// Refuses new connections from now on, and lets the accept tasks find out.
    fn stop_accepting(&mut self) {
        for listener in self.listeners.drain(..) {
            let _ = shutdown(&listener, Shutdown::Both);
        }
        self.wake_acceptors();
    }

    fn wake_acceptors(&mut self) {
        for waker in self.room_wakers.drain(..) {
            waker.wake();
        }
    }

    fn report_drained(&mut self) {
        if let Draining::Until(drained) = &self.draining
            && self.streams.len() == 0
            && self.shard.is_drained()
        {
            let _ = drained.send(self.mailbox.me());
            self.draining = Draining::Done;
        }
    }
}
