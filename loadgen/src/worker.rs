//! One core of the generator: a thread, its monoio runtime, and the clients it drives.
//!
//! A run goes through stages, each a loop of turns: connect, wait for the others, run the plan, wait for what is
//! outstanding, say goodbye.

use crate::client::{Client, Endpoint, Failure, Incoming, Input};
use crate::clock::{self, Nanos, SECOND};
use crate::options::SourceAddresses;
use crate::readiness::{Event, Readiness};
use crate::scenario::{Clients, Link, Plan, Scenario};
use crate::schedule::Schedule;
use crate::stats::{Load, Stats};
use crate::stream::Received;
use rustix::event::epoll::EventFlags;
use std::io;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};

/// A handshake that brings nothing for this long is given up, and with it the others still under way.
const CONNECT_STALL: Nanos = 20 * SECOND;
/// How long answers may take after the last message.
const DRAIN_MAX: Nanos = 5 * SECOND;
/// How long the server may take to say goodbye.
const CLOSE_MAX: Nanos = 3 * SECOND;
/// How often a worker that waits for the others looks for its plan.
const WAIT_TICK: Nanos = SECOND / 200;
/// How often clients are asked whether their heartbeat is overdue.
const HEARTBEAT_TICK: Nanos = SECOND;
/// Streams of a client, as a power of two: the low bit of a token.
const STREAM_BITS: u32 = 1;

/// What one worker has to do.
pub(crate) struct Assignment {
    pub(crate) endpoint: Endpoint,
    /// The number in the run of this worker's first client.
    pub(crate) first: u32,
    pub(crate) clients: u32,
    /// Handshakes under way at once.
    pub(crate) concurrency: u32,
    /// Clients that begin to connect per second.
    pub(crate) ramp: Option<f64>,
    pub(crate) sources: Option<SourceAddresses>,
}

/// What a worker tells the run.
pub(crate) enum Progress {
    /// Every client has joined or failed.
    Connected,
    /// The run is over for this worker.
    Done(Box<Stats>),
}

/// A worker in its thread.
pub(crate) struct Worker<S> {
    assignment: Assignment,
    endpoint: Rc<Endpoint>,
    readiness: Readiness,
    events: Vec<Event>,
    clients: Vec<Option<Client>>,
    scenario: S,
    state: State,
    failed: Vec<(usize, Failure)>,
}

/// What handling an event changes, apart from the client itself.
struct State {
    stats: Stats,
    plan: Option<Plan>,
    /// Handshakes under way.
    connecting: u32,
    /// Clients that are there.
    alive: usize,
    last_progress: Nanos,
    /// What was read.
    input: Vec<u8>,
    /// What will be sent.
    out: Vec<u8>,
}

impl<S: Scenario> Worker<S> {
    /// Call it inside the worker's runtime.
    pub(crate) fn new(assignment: Assignment, scenario: S) -> io::Result<Self> {
        Ok(Self {
            endpoint: Rc::new(assignment.endpoint.clone()),
            readiness: Readiness::new()?,
            events: Vec::new(),
            clients: Vec::new(),
            scenario,
            state: State {
                stats: Stats::new(),
                plan: None,
                connecting: 0,
                alive: 0,
                last_progress: clock::now(),
                input: Vec::new(),
                out: Vec::new(),
            },
            failed: Vec::new(),
            assignment,
        })
    }

    /// Connects, waits for a plan, carries it out. Returns early if the run is given up.
    pub(crate) async fn run(mut self, plans: &Receiver<Plan>, progress: &Sender<Progress>) -> io::Result<()> {
        self.connect().await?;
        if progress.send(Progress::Connected).is_err() {
            return Ok(());
        }
        let plan = loop {
            match plans.try_recv() {
                Ok(plan) => break plan,
                Err(TryRecvError::Empty) => self.turn(clock::now() + WAIT_TICK).await?,
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
        };
        self.carry_out(plan).await?;
        self.drain().await?;
        self.close().await?;
        let _the_run_was_given_up = progress.send(Progress::Done(Box::new(self.state.stats)));
        Ok(())
    }

    async fn connect(&mut self) -> io::Result<()> {
        let (start, cpu) = (clock::now(), clock::thread_cpu());
        let ramp = self.assignment.ramp.map(|rate| Schedule::new(start, rate));
        self.state.last_progress = start;
        loop {
            let now = clock::now();
            let mut next_due = None;
            while self.opened() < self.assignment.clients
                && self.state.connecting < self.assignment.concurrency
            {
                let due = ramp.map_or(now, |ramp| ramp.time_of(u64::from(self.opened())));
                if due > now {
                    next_due = Some(due);
                    break;
                }
                self.open_next(now)?;
            }
            if self.opened() == self.assignment.clients && self.state.connecting == 0 {
                break;
            }
            let stalled = self.state.last_progress + CONNECT_STALL;
            if self.state.connecting > 0 && now >= stalled {
                self.give_up_connecting();
                break;
            }
            // With nothing under way there is a next one, or we would be done.
            let deadline = if self.state.connecting > 0 { stalled } else { Nanos::MAX };
            self.turn(next_due.unwrap_or(Nanos::MAX).min(deadline)).await?;
        }
        let load = Load { cpu: clock::thread_cpu() - cpu, wall: clock::now() - start };
        self.state.stats.connecting.push(load);
        Ok(())
    }

    fn opened(&self) -> u32 {
        u32::try_from(self.clients.len()).expect("as many as the command line said, in a u32")
    }

    /// An error here is ours: out of descriptors, ports or memory.
    fn open_next(&mut self, now: Nanos) -> io::Result<()> {
        let position = self.opened();
        let number = self.assignment.first + position;
        let source = self.assignment.sources.as_ref().map(|sources| sources.pick(number));
        let client = Client::open(number, &self.endpoint, source, now)?;
        for (index, stream) in client.streams().enumerate() {
            self.readiness.watch(stream, token(position, index))?;
        }
        self.clients.push(Some(client));
        self.state.connecting += 1;
        self.state.alive += 1;
        self.state.last_progress = now;
        Ok(())
    }

    fn give_up_connecting(&mut self) {
        for position in 0..self.clients.len() {
            if self.clients[position].as_ref().is_some_and(|client| !client.is_joined()) {
                self.lose(position, &Failure::Packet("the handshake stalled"));
            }
        }
        let never_began = self.assignment.clients - self.opened();
        self.state.stats.errors.failed_to_join += u64::from(never_began);
    }

    async fn carry_out(&mut self, plan: Plan) -> io::Result<()> {
        while clock::now() < plan.start {
            self.turn(plan.start).await?;
        }
        self.state.plan = Some(plan);
        self.with_clients(|scenario, clients| scenario.start(plan, clients));
        let mut measuring = None;
        let mut heartbeat_check = plan.start;
        loop {
            let now = clock::now();
            if measuring.is_none() && now >= plan.measure_from {
                measuring = Some((now, clock::thread_cpu()));
            }
            if now >= plan.end {
                break;
            }
            if now >= heartbeat_check {
                heartbeat_check = now + HEARTBEAT_TICK;
                self.check_heartbeats(now);
            }
            let due = self.with_clients(|scenario, clients| scenario.turn(clients, now));
            let boundary = if measuring.is_none() { plan.measure_from } else { plan.end };
            self.turn(due.unwrap_or(boundary).min(boundary).min(heartbeat_check)).await?;
        }
        let (start, cpu) = measuring.expect("the window begins before it ends");
        let load = Load { cpu: clock::thread_cpu() - cpu, wall: clock::now() - start };
        self.state.stats.measured.push(load);
        Ok(())
    }

    async fn drain(&mut self) -> io::Result<()> {
        let deadline = clock::now() + DRAIN_MAX;
        while self.scenario.outstanding() > 0 && clock::now() < deadline {
            self.turn(deadline).await?;
        }
        self.scenario.finish(&mut self.state.stats);
        Ok(())
    }

    async fn close(&mut self) -> io::Result<()> {
        for position in 0..self.clients.len() {
            let Some(client) = &mut self.clients[position] else { continue };
            if let Err(failure) = client.close(&mut self.state.out) {
                self.lose(position, &failure);
            }
        }
        let deadline = clock::now() + CLOSE_MAX;
        while self.state.alive > 0 && clock::now() < deadline {
            self.turn(deadline).await?;
        }
        Ok(())
    }

    /// Handles what is ready; sleeps until `deadline` at most if nothing is.
    async fn turn(&mut self, deadline: Nanos) -> io::Result<()> {
        self.readiness.arm(deadline)?;
        self.readiness.wait(&mut self.events).await?;
        for event in 0..self.events.len() {
            self.handle_event(self.events[event]);
        }
        while let Some((position, failure)) = self.failed.pop() {
            self.lose(position, &failure);
        }
        Ok(())
    }

    fn handle_event(&mut self, event: Event) {
        let (position, stream) = split_token(event.data.u64());
        // An event of the same batch may have ended the client.
        let Some(client) = &mut self.clients[position] else { return };
        let handled = self.state.service(position, client, stream, event.flags, &mut self.scenario);
        match handled {
            Ok(Serviced::Open) => {}
            Ok(Serviced::Closed) => {
                self.clients[position] = None;
                self.state.alive -= 1;
            }
            Err(failure) => self.lose(position, &failure),
        }
    }

    /// Takes out a client that ended before its time.
    fn lose(&mut self, position: usize, failure: &Failure) {
        self.state.out.clear();
        let Some(client) = self.clients[position].take() else { return };
        let joined = client.is_joined();
        self.state.alive -= 1;
        self.state.stats.client_failed(joined, failure);
        if joined {
            self.scenario.handle_lost(position);
        } else {
            self.state.connecting = self.state.connecting.saturating_sub(1);
        }
    }

    fn check_heartbeats(&mut self, now: Nanos) {
        let overdue = self.clients.iter().flatten().filter(|client| client.is_overdue(now)).count();
        let missed = &mut self.state.stats.errors.heartbeats_missed;
        // The same clients are overdue every second: the most at any moment is how many there were.
        *missed = (*missed).max(overdue as u64);
    }

    fn with_clients<T>(&mut self, call: impl FnOnce(&mut S, &mut Clients<'_>) -> T) -> T {
        let mut clients =
            Clients { slots: &mut self.clients, out: &mut self.state.out, failed: &mut self.failed };
        call(&mut self.scenario, &mut clients)
    }
}

/// Whether a client is still there after an event.
enum Serviced {
    Open,
    Closed,
}

impl State {
    /// Reads what a stream has, hands it to the scenario packet by packet, sends the answers in one write.
    fn service<S: Scenario>(
        &mut self,
        position: usize,
        client: &mut Client,
        stream: usize,
        flags: EventFlags,
        scenario: &mut S,
    ) -> Result<Serviced, Failure> {
        if flags.contains(EventFlags::OUT) {
            client.writable(stream)?;
        }
        let ending = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if !ending && !flags.contains(EventFlags::IN) {
            return Ok(Serviced::Open);
        }
        loop {
            let mut length = 0;
            let received = client.receive(stream, &mut self.input, &mut length)?;
            match received {
                Received::Nothing => return Ok(Serviced::Open),
                Received::End => {
                    client.handle_end()?;
                    return Ok(Serviced::Closed);
                }
                Received::All | Received::Some => {}
            }
            if matches!(self.digest(position, client, stream, length, scenario)?, Serviced::Closed) {
                return Ok(Serviced::Closed);
            }
            if received == Received::All && !ending {
                return Ok(Serviced::Open);
            }
        }
    }

    fn digest<S: Scenario>(
        &mut self,
        position: usize,
        client: &mut Client,
        stream: usize,
        length: usize,
        scenario: &mut S,
    ) -> Result<Serviced, Failure> {
        let now = clock::now();
        let mut input = Input::new(stream, &self.input[..length]);
        while let Some(incoming) = client.decode(&mut input, &mut self.out, now)? {
            match incoming {
                Incoming::Packet(packet) => {
                    let mut link = Link { position, client, out: &mut self.out };
                    scenario.handle_packet(packet, &mut link, now, &mut self.stats);
                }
                Incoming::Joined => {
                    self.connecting -= 1;
                    self.last_progress = now;
                    self.stats.joined += 1;
                    self.stats.handshake.saturating_record(now.saturating_sub(client.started));
                }
                Incoming::Ping => {
                    if let Some(plan) = self.plan.filter(|plan| plan.measures(now)) {
                        let second = (now - plan.measure_from) / SECOND;
                        self.stats.heartbeat(usize::try_from(second).expect("seconds of a run"));
                    }
                }
                Incoming::Closed => return Ok(Serviced::Closed),
            }
        }
        client.keep(stream, input.bytes);
        client.flush(&mut self.out)?;
        Ok(Serviced::Open)
    }
}

fn token(position: u32, stream: usize) -> u64 {
    (u64::from(position) << STREAM_BITS) | stream as u64
}

fn split_token(token: u64) -> (usize, usize) {
    let position = usize::try_from(token >> STREAM_BITS).expect("made from a u32");
    (position, usize::from(token & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_client_and_stream() {
        for (position, stream) in [(0, 0), (0, 1), (u32::MAX, 1)] {
            assert_eq!(split_token(token(position, stream)), (position as usize, stream));
        }
    }
}
