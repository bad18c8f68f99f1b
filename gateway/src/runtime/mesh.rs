//! Mailboxes between cores, and the bells that wake their owners.
//!
//! Every core has one bounded mailbox. What one core sends to another arrives in order. A full mailbox never
//! blocks its sender: what does not fit waits at the sender, in order, and the sender stops reading and writing
//! its clients until it has left (see `engine`). As every core goes on emptying its own mailbox meanwhile,
//! there is no deadlock, and as messages leave before the sockets are written, no client can see, and answer,
//! what another core does not know yet.
//!
//! Sleeping: a core says that it is asleep, then looks at its mailbox again; a sender puts in its message, then
//! looks whether the core is asleep. Each does so across a sequentially consistent fence, so at least one of
//! them notices the other. Room in a full mailbox is announced in the same way with `wanted`.

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use rustix::event::{EventfdFlags, eventfd};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use tidegate_core::id::ShardIndex;

use super::stats::WorkerStats;

/// Parcels a mailbox holds. Beyond that, they wait at their sender.
pub const MAILBOX_PARCELS: usize = 4096;

/// What crosses cores. The mesh does not look inside messages and connections.
#[derive(Debug)]
pub(crate) enum Parcel<M, C> {
    /// From shard to shard. Never dropped while the receiver lives.
    Message(M),
    /// A connection moves, with what its shard knew of it. Never dropped while the receiver lives.
    Connection { stream: OwnedFd, moved: Box<C> },
    /// A backend has connected, and this core has the fewest. Never dropped while the receiver lives.
    Link { stream: OwnedFd },
    /// From another thread of the process, which waits for room.
    Control(Control),
}

/// What any thread may ask of a core.
#[derive(Debug)]
pub(crate) enum Control {
    /// Send a copy of the counters.
    Stats { reply: Sender<WorkerStats> },
    /// Stop accepting, end every connection, and say when that is done. Messages are still handled after.
    Drain { drained: Sender<ShardIndex> },
    /// End the worker.
    Stop,
}

/// The front of a mailbox: what others need to put something in.
struct Door<M, C> {
    sender: Sender<Parcel<M, C>>,
    /// The owner sleeps, or is about to.
    asleep: AtomicBool,
    /// Somebody waits for room.
    wanted: AtomicBool,
    /// Makes the owner's poller ready.
    bell: OwnedFd,
}

impl<M, C> Door<M, C> {
    /// To be called after something was put in, or changed, that the owner must see.
    fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::SeqCst) {
            self.ring();
        }
    }

    fn ring(&self) {
        // The only error is a counter at its end, and then the file is readable as it should be.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }
}

/// All mailboxes as seen from a thread that is not a core.
pub(crate) struct Mesh<M, C> {
    doors: Arc<[Door<M, C>]>,
}

impl<M, C> Clone for Mesh<M, C> {
    fn clone(&self) -> Self {
        Self { doors: Arc::clone(&self.doors) }
    }
}

/// One core's mailbox, and its way to the others.
pub(crate) struct Mailbox<M, C> {
    me: ShardIndex,
    parcels: Receiver<Parcel<M, C>>,
    doors: Arc<[Door<M, C>]>,
    /// Per core, what did not fit into its mailbox.
    waiting: Vec<VecDeque<Parcel<M, C>>>,
    waiting_count: usize,
    /// Cores that have got something since they were last woken.
    to_wake: Vec<ShardIndex>,
}

/// All mailboxes: from outside, and one by one for their owners.
type Mailboxes<M, C> = (Mesh<M, C>, Vec<Mailbox<M, C>>);

/// Makes the mailboxes of `cores` cores.
pub(crate) fn mesh<M, C>(cores: u16) -> io::Result<Mailboxes<M, C>> {
    mesh_with_capacity(cores, MAILBOX_PARCELS)
}

fn mesh_with_capacity<M, C>(cores: u16, capacity: usize) -> io::Result<Mailboxes<M, C>> {
    let mut doors = Vec::new();
    let mut receivers = Vec::new();
    for _ in 0..cores {
        let (sender, receiver) = bounded(capacity);
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        doors.push(Door { sender, asleep: AtomicBool::new(false), wanted: AtomicBool::new(false), bell });
        receivers.push(receiver);
    }
    let doors: Arc<[_]> = doors.into();
    let mailboxes = receivers.into_iter().zip(0..).map(|(parcels, me)| Mailbox {
        me: ShardIndex(me),
        parcels,
        doors: Arc::clone(&doors),
        waiting: (0..cores).map(|_| VecDeque::new()).collect(),
        waiting_count: 0,
        to_wake: Vec::new(),
    });
    let mailboxes = mailboxes.collect();
    Ok((Mesh { doors }, mailboxes))
}

impl<M, C> Mesh<M, C> {
    /// Number of cores.
    pub(crate) fn cores(&self) -> usize {
        self.doors.len()
    }

    /// Asks something of a core; waits while its mailbox is full. `false` if the core has ended.
    pub(crate) fn control(&self, to: ShardIndex, control: Control) -> bool {
        let door = &self.doors[to.as_usize()];
        let sent = door.sender.send(Parcel::Control(control)).is_ok();
        door.wake();
        sent
    }
}

impl<M, C> Mailbox<M, C> {
    /// Whose mailbox this is.
    pub(crate) fn me(&self) -> ShardIndex {
        self.me
    }

    /// The file that is written to wake this core.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.door(self.me).bell.as_fd()
    }

    /// Parcels in the mailbox.
    pub(crate) fn len(&self) -> usize {
        self.parcels.len()
    }

    /// Two atomic loads.
    pub(crate) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// The oldest parcel.
    pub(crate) fn take(&mut self) -> Option<Parcel<M, C>> {
        match self.parcels.try_recv() {
            Ok(parcel) => Some(parcel),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => unreachable!("we hold a sender ourselves"),
        }
    }

    /// To be called after a batch of [`Self::take`]: tells the cores that wait for room.
    pub(crate) fn announce_room(&self) {
        fence(Ordering::SeqCst);
        let door = self.door(self.me);
        if door.wanted.load(Ordering::Relaxed) && door.wanted.swap(false, Ordering::SeqCst) {
            for other in self.doors.iter() {
                other.wake();
            }
        }
    }

    /// Sends a parcel, now or, if the mailbox is full, with a later [`Self::flush`]. Wakes nobody yet.
    pub(crate) fn post(&mut self, to: ShardIndex, parcel: Parcel<M, C>) {
        let waiting = &mut self.waiting[to.as_usize()];
        if waiting.is_empty() {
            match self.doors[to.as_usize()].sender.try_send(parcel) {
                Ok(()) => {
                    if !self.to_wake.contains(&to) {
                        self.to_wake.push(to);
                    }
                }
                Err(TrySendError::Full(parcel)) => {
                    waiting.push_back(parcel);
                    self.waiting_count += 1;
                }
                // The process is ending, and nobody is left there who could miss it.
                Err(TrySendError::Disconnected(_)) => {}
            }
        } else {
            waiting.push_back(parcel);
            self.waiting_count += 1;
        }
    }

    /// Sends what waits, as far as there is room, and wakes everyone who got something.
    pub(crate) fn flush(&mut self) {
        if self.waiting_count > 0 {
            for to in 0..self.waiting.len() {
                self.send_waiting(to);
            }
        }
        for to in self.to_wake.drain(..) {
            self.doors[to.as_usize()].wake();
        }
    }

    /// Parcels that wait here for room elsewhere.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting_count
    }

    /// Says that this core is about to sleep. `false` if there is a reason not to.
    ///
    /// The caller clears its bell after, looks at its other sources, and calls [`Self::awake`] if it stays up.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.door(self.me).asleep.store(true, Ordering::SeqCst);
        for (door, waiting) in self.doors.iter().zip(&self.waiting) {
            if !waiting.is_empty() {
                door.wanted.store(true, Ordering::SeqCst);
            }
        }
        fence(Ordering::SeqCst);
        self.is_empty() && !self.could_send()
    }

    /// Says that this core is up: no bell is needed.
    pub(crate) fn awake(&self) {
        self.door(self.me).asleep.store(false, Ordering::Relaxed);
    }

    /// Makes this core's own poller ready.
    pub(crate) fn wake_self(&self) {
        self.door(self.me).ring();
    }

    /// Whether [`Self::flush`] would get rid of something.
    pub(crate) fn could_send(&self) -> bool {
        self.waiting_count > 0
            && self
                .doors
                .iter()
                .zip(&self.waiting)
                .any(|(door, waiting)| !waiting.is_empty() && !door.sender.is_full())
    }

    fn door(&self, core: ShardIndex) -> &Door<M, C> {
        &self.doors[core.as_usize()]
    }

    fn send_waiting(&mut self, to: usize) {
        let (door, waiting) = (&self.doors[to], &mut self.waiting[to]);
        let before = waiting.len();
        while let Some(parcel) = waiting.pop_front() {
            match door.sender.try_send(parcel) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => {}
                Err(TrySendError::Full(parcel)) => {
                    waiting.push_front(parcel);
                    break;
                }
            }
        }
        if waiting.len() < before {
            self.waiting_count -= before - waiting.len();
            door.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    type TestMailbox = Mailbox<u64, ()>;

    fn message(parcel: Parcel<u64, ()>) -> u64 {
        match parcel {
            Parcel::Message(number) => number,
            other => panic!("only messages were sent, not {other:?}"),
        }
    }

    /// Sleeps as a worker does.
    fn sleep(mailbox: &TestMailbox) {
        if mailbox.fall_asleep() {
            let _ = rustix::io::read(mailbox.bell(), &mut [0u8; 8]);
            if mailbox.is_empty() && !mailbox.could_send() {
                poll(&mut [PollFd::from_borrowed_fd(mailbox.bell(), PollFlags::IN)], None).unwrap();
            }
        }
        mailbox.awake();
    }

    #[test]
    fn what_does_not_fit_arrives_later_and_in_order() {
        let (_mesh, mut mailboxes) = mesh_with_capacity::<u64, ()>(2, 4).unwrap();
        let [mut from, mut to] = <[_; 2]>::try_from(mailboxes.split_off(0)).ok().unwrap();
        for number in 0..10 {
            from.post(to.me(), Parcel::Message(number));
        }
        from.flush();
        assert_eq!((to.len(), from.waiting()), (4, 6));
        let mut got = Vec::new();
        while let Some(parcel) = to.take() {
            got.push(message(parcel));
            from.flush();
        }
        assert_eq!(got, (0..10).collect::<Vec<_>>());
        assert_eq!(from.waiting(), 0);
    }

    #[test]
    fn a_core_that_waits_for_room_does_not_sleep_through_it() {
        let (_mesh, mut mailboxes) = mesh_with_capacity::<u64, ()>(2, 1).unwrap();
        let [mut from, mut to] = <[_; 2]>::try_from(mailboxes.split_off(0)).ok().unwrap();
        from.post(to.me(), Parcel::Message(1));
        from.post(to.me(), Parcel::Message(2));
        assert!(from.fall_asleep(), "nothing to do until there is room");
        assert_eq!(to.take().map(message), Some(1));
        to.announce_room();
        let mut bell = [PollFd::from_borrowed_fd(from.bell(), PollFlags::IN)];
        assert_eq!(poll(&mut bell, Some(&rustix::event::Timespec::default())).unwrap(), 1);
        assert!(from.could_send());
    }

    #[test]
    fn no_wake_up_is_lost_between_two_cores_that_sleep_whenever_they_can() {
        const MESSAGES: u64 = 200_000;
        let (_mesh, mut mailboxes) = mesh_with_capacity::<u64, ()>(2, 8).unwrap();
        let (b, a) = (mailboxes.pop().unwrap(), mailboxes.pop().unwrap());
        // Each sends to the other as fast as it can and must receive all, in order, through tiny mailboxes.
        let run = |mut mailbox: TestMailbox| {
            let peer = ShardIndex(1 - mailbox.me().0);
            let (mut sent, mut received) = (0, 0);
            while sent < MESSAGES || received < MESSAGES || mailbox.waiting() > 0 {
                while sent < MESSAGES && mailbox.waiting() == 0 {
                    mailbox.post(peer, Parcel::Message(sent));
                    sent += 1;
                }
                mailbox.flush();
                while let Some(parcel) = mailbox.take() {
                    assert_eq!(message(parcel), received);
                    received += 1;
                }
                mailbox.announce_room();
                let blocked = mailbox.waiting() > 0 || (sent == MESSAGES && received < MESSAGES);
                if blocked {
                    sleep(&mailbox);
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| run(a));
            scope.spawn(|| run(b));
        });
    }
}
