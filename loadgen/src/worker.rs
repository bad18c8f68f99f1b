//! One core of the generator: a thread, its monoio runtime, and the clients it drives.
//!
//! A run goes through stages, each a loop of turns: connect, wait for the others, run the plan, wait for what is
//! outstanding, say goodbye.

mod service;

use crate::client::{Client, Endpoint, Failure};
use crate::clock::{self, Nanos, SECOND};
use crate::interval::Interval;
use crate::options::SourceAddresses;
use crate::readiness::{Event, Readiness};
use crate::run::Interrupt;
use crate::run::limits::explain;
use crate::scenario::{Clients, Command, Fault, Plan, Scenario, Share};
use crate::schedule::Schedule;
use crate::stats::{Load, Stats};
use rustix::thread::sched_yield;
use service::{Serviced, State, split_token, token};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};

/// A handshake that brings nothing for this long is given up, and with it the others still under way. The stock
/// client waits as long.
const CONNECT_STALL: Nanos = 20 * SECOND;
/// How long answers may take after the last message.
const DRAIN_MAX: Nanos = 5 * SECOND;
/// How long the server may take to say goodbye.
const CLOSE_MAX: Nanos = 3 * SECOND;
/// How often a worker that waits for the others looks for its plan.
const WAIT_TICK: Nanos = SECOND / 200;
/// How often a worker looks whether it was interrupted, at least.
const INTERRUPT_TICK: Nanos = SECOND / 10;
/// How long it waits for anything when it was.
const INTERRUPTED_MAX: Nanos = SECOND;
/// How often clients are asked whether their heartbeat is overdue.
const HEARTBEAT_TICK: Nanos = SECOND;
/// Between two moments at which others on this core get a turn.
const YIELD_TICK: Nanos = SECOND / 1000;

/// What one worker has to do.
pub(crate) struct Assignment {
    pub(crate) endpoint: Endpoint,
    pub(crate) share: Share,
    /// Handshakes under way at once, while the clients connect.
    pub(crate) concurrency: u32,
    /// Clients that begin to connect per second.
    pub(crate) ramp: Option<f64>,
    pub(crate) sources: Option<SourceAddresses>,
    /// When the run began: seconds count from here.
    pub(crate) origin: Nanos,
    pub(crate) interrupt: Interrupt,
}

/// What a worker tells the run.
pub(crate) enum Progress {
    /// A second is over.
    Second(Box<Interval>),
    /// Every client has joined or failed: how many did, and why others did not.
    Connected { joined: u64, samples: Vec<String> },
    /// The run is over for this worker.
    Done(Box<Stats>),
    /// The worker could not go on.
    Failed(io::Error),
}

/// The way from a worker to the run.
#[derive(Clone)]
pub(crate) struct Teller {
    /// Which part of the run the worker belongs to.
    pub(crate) part: usize,
    pub(crate) run: Sender<(usize, Progress)>,
}

impl Teller {
    /// False if the run was given up.
    pub(crate) fn tell(&self, progress: Progress) -> bool {
        self.run.send((self.part, progress)).is_ok()
    }
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
    run: Teller,
    failed: Vec<(usize, Failure)>,
    /// Clients that may have a stream that is not watched yet.
    opened: Vec<usize>,
    commands: Vec<Command>,
    /// Clients that must have joined, or left, by then; in the order of time. Its number tells a client from one
    /// that had its position before.
    deadlines: VecDeque<(Nanos, usize, u32)>,
    /// When the second under way is over, and what the thread had used when it began.
    second_ends: Nanos,
    second_cpu: Nanos,
    /// When it looks next whether it was interrupted, whatever it waits for.
    look_at: Nanos,
    errors_told: u64,
    yield_at: Nanos,
}

impl<S: Scenario> Worker<S> {
    /// Call it inside the worker's runtime.
    pub(crate) fn new(assignment: Assignment, scenario: S, run: Teller) -> io::Result<Self> {
        Ok(Self {
            endpoint: Rc::new(assignment.endpoint.clone()),
            readiness: Readiness::new()?,
            events: Vec::new(),
            clients: Vec::new(),
            scenario,
            state: State::new(),
            run,
            failed: Vec::new(),
            opened: Vec::new(),
            commands: Vec::new(),
            deadlines: VecDeque::new(),
            second_ends: assignment.origin + SECOND,
            second_cpu: clock::thread_cpu(),
            look_at: 0,
            errors_told: 0,
            yield_at: assignment.origin,
            assignment,
        })
    }

    /// Connects, waits for a plan, carries it out. Returns early if the run is given up.
    pub(crate) async fn run(mut self, plans: &Receiver<Plan>) -> io::Result<()> {
        self.connect().await?;
        self.with_clients(|scenario, clients, _| scenario.prepare(clients));
        self.wait_outstanding(CONNECT_STALL).await?;
        let stats = &self.state.stats;
        let connected = Progress::Connected { joined: stats.joined, samples: stats.samples.clone() };
        if !self.run.tell(connected) {
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
        self.wait_outstanding(DRAIN_MAX).await?;
        // Who is interrupted has not waited for what is outstanding, and does not judge it.
        if !self.is_interrupted() {
            self.scenario.finish(&mut self.state.stats);
        }
        self.close().await?;
        self.tell_second(clock::now());
        let _the_run_was_given_up = self.run.tell(Progress::Done(Box::new(self.state.stats)));
        Ok(())
    }

    async fn connect(&mut self) -> io::Result<()> {
        let began = clock::thread_load();
        let ramp = self.assignment.ramp.map(|rate| Schedule::new(began.wall, rate));
        self.state.last_progress = began.wall;
        loop {
            if self.is_interrupted() {
                self.drop_connecting();
                break;
            }
            let now = clock::now();
            let mut next_due = None;
            while self.opened() < self.assignment.share.clients
                && self.state.connecting < self.assignment.concurrency
            {
                let due = ramp.map_or(now, |ramp| ramp.time_of(u64::from(self.opened())));
                if due > now {
                    next_due = Some(due);
                    break;
                }
                let position = self.clients.len();
                self.open(position, self.assignment.share.first + self.opened(), due)?;
            }
            if self.opened() == self.assignment.share.clients && self.state.connecting == 0 {
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
        self.state.stats.connecting.push(clock::thread_load().since(&began));
        Ok(())
    }

    fn opened(&self) -> u32 {
        u32::try_from(self.clients.len()).expect("as many as the command line said, in a u32")
    }

    /// An error here is ours: out of descriptors, ports or memory.
    fn open(&mut self, position: usize, number: u32, due: Nanos) -> io::Result<()> {
        let now = clock::now();
        let source = self.assignment.sources.as_ref().map(|sources| sources.pick(number));
        let client =
            Client::open(number, &self.endpoint, source, due, now).map_err(|error| explain(error, source))?;
        for (index, stream) in client.streams() {
            self.readiness.watch(stream, token(position, index))?;
        }
        if self.clients.len() <= position {
            self.clients.resize_with(position + 1, || None);
        }
        debug_assert!(self.clients[position].is_none(), "a scenario opens clients at free positions");
        self.clients[position] = Some(client);
        self.state.connecting += 1;
        self.state.alive += 1;
        self.state.last_progress = now;
        if self.state.plan.is_some() {
            self.deadlines.push_back((now + CONNECT_STALL, position, number));
        }
        Ok(())
    }

    fn is_interrupted(&self) -> bool {
        self.assignment.interrupt.came()
    }

    /// Forgets the clients that have not joined: that is nobody's fault.
    fn drop_connecting(&mut self) {
        let is_connecting = |client: &mut Client| !client.is_joined();
        let dropped = self.clients.iter_mut().filter_map(|slot| slot.take_if(is_connecting)).count();
        self.state.alive -= dropped;
        self.state.connecting = 0;
    }

    fn give_up_connecting(&mut self) {
        for position in 0..self.clients.len() {
            if self.clients[position].as_ref().is_some_and(|client| !client.is_joined()) {
                self.lose(position, &Failure::Stalled);
            }
        }
        let never_began = self.assignment.share.clients - self.opened();
        self.state.stats.errors.failed_to_join += u64::from(never_began);
    }

    async fn carry_out(&mut self, plan: Plan) -> io::Result<()> {
        while clock::now() < plan.start {
            self.turn(plan.start).await?;
        }
        self.state.plan = Some(plan);
        self.with_clients(|scenario, clients, _| scenario.start(plan, clients));
        let mut measuring: Option<Load> = None;
        let mut check_at = plan.start;
        self.state.stats.ended_at = plan.end;
        loop {
            let now = clock::now();
            if measuring.is_none() && now >= plan.measure_from {
                measuring = Some(clock::thread_load());
            }
            if now >= plan.end || self.scenario.is_complete() {
                break;
            }
            let all_gone = self.state.alive == 0 && !self.scenario.reopens();
            if all_gone || self.is_interrupted() {
                self.scenario.cut_short(now);
                self.state.stats.ended_at = now;
                break;
            }
            if now >= check_at {
                check_at = now + HEARTBEAT_TICK;
                self.check_heartbeats(now);
                self.check_deadlines(now);
            }
            let due = self.with_clients(|scenario, clients, stats| scenario.turn(clients, now, stats));
            self.carry_out_commands()?;
            let boundary = if measuring.is_none() { plan.measure_from } else { plan.end };
            self.turn(due.unwrap_or(boundary).min(boundary).min(check_at)).await?;
        }
        self.catch_up().await?;
        let measured = clock::thread_load();
        let load = measuring.map_or(Load::default(), |began| measured.since(&began));
        self.state.stats.measured.push(load);
        Ok(())
    }

    /// What was due is sent, however late: the schedule waits for nobody. What is left when as much time is over as
    /// answers have is an error.
    async fn catch_up(&mut self) -> io::Result<()> {
        let give_up = clock::now() + DRAIN_MAX;
        loop {
            let now = clock::now();
            let due = self.with_clients(|scenario, clients, stats| scenario.turn(clients, now, stats));
            self.carry_out_commands()?;
            if due.is_none_or(|due| due > now) || now >= give_up || self.is_interrupted() {
                break;
            }
            self.turn(now).await?;
        }
        if !self.is_interrupted() {
            self.state.stats.errors.unsent += self.scenario.unsent();
        }
        Ok(())
    }

    fn carry_out_commands(&mut self) -> io::Result<()> {
        let mut commands = std::mem::take(&mut self.commands);
        for command in commands.drain(..) {
            match command {
                Command::Open { position, number, due } => self.open(position, number, due)?,
                Command::Leave { position } => self.leave(position)?,
                Command::Cut { position } => {
                    if self.clients[position].take().is_some() {
                        self.state.alive -= 1;
                        self.state.stats.interval.connected -= 1;
                    }
                }
            }
        }
        self.commands = commands;
        self.settle()
    }

    /// Does what is left when packets were sent outside of a client's own event: watches what was opened for them, and
    /// takes out who could not send.
    fn settle(&mut self) -> io::Result<()> {
        while let Some(position) = self.opened.pop() {
            if let Some(client) = &mut self.clients[position] {
                watch_new_streams(&self.readiness, position, client)?;
            }
        }
        while let Some((position, failure)) = self.failed.pop() {
            self.lose(position, &failure);
        }
        Ok(())
    }

    /// Has a client say goodbye. The server may take its time to agree.
    fn leave(&mut self, position: usize) -> io::Result<()> {
        let Some(client) = self.clients[position].as_mut() else { return Ok(()) };
        let number = client.number;
        self.state.stats.interval.connected -= 1;
        match client.close(&mut self.state.out) {
            Ok(()) => {
                watch_new_streams(&self.readiness, position, client)?;
                self.deadlines.push_back((clock::now() + CONNECT_STALL, position, number));
            }
            Err(failure) => self.lose(position, &failure),
        }
        Ok(())
    }

    async fn wait_outstanding(&mut self, longest: Nanos) -> io::Result<()> {
        let began = clock::now();
        while self.scenario.outstanding() > 0 && clock::now() < self.deadline(began, longest) {
            self.turn(self.deadline(began, longest)).await?;
        }
        Ok(())
    }

    /// When something that began at `began` has taken too long.
    fn deadline(&self, began: Nanos, longest: Nanos) -> Nanos {
        began + if self.is_interrupted() { longest.min(INTERRUPTED_MAX) } else { longest }
    }

    async fn close(&mut self) -> io::Result<()> {
        for position in 0..self.clients.len() {
            let Some(client) = &mut self.clients[position] else { continue };
            if !client.is_joined() || !client.reads {
                // Nobody would hear the answer to its goodbye.
                self.clients[position] = None;
                self.state.alive -= 1;
            } else if let Err(failure) = client.close(&mut self.state.out) {
                self.lose(position, &failure);
            } else {
                watch_new_streams(&self.readiness, position, client)?;
            }
        }
        self.state.stats.interval.connected = 0;
        let began = clock::now();
        while self.state.alive > 0 && clock::now() < self.deadline(began, CLOSE_MAX) {
            self.turn(self.deadline(began, CLOSE_MAX)).await?;
        }
        Ok(())
    }

    /// Handles what is ready; sleeps until `deadline` at most if nothing is.
    async fn turn(&mut self, deadline: Nanos) -> io::Result<()> {
        self.readiness.arm(deadline.min(self.second_ends).min(self.look_at))?;
        self.readiness.wait(&mut self.events).await?;
        let now = clock::now();
        if now >= self.look_at {
            self.look_at = now + INTERRUPT_TICK;
        }
        if now >= self.second_ends {
            self.tell_second(now);
        }
        // Who samples the server may have this core only. Under SCHED_FIFO it would not get it from a worker that is always busy,
        // and would see the measured time when that is over.
        if now >= self.yield_at {
            sched_yield();
            self.yield_at = now + YIELD_TICK;
        }
        for event in 0..self.events.len() {
            self.handle_event(self.events[event])?;
        }
        self.settle()
    }

    /// Tells the run what happened in the second that is over, and in those slept through.
    fn tell_second(&mut self, now: Nanos) {
        loop {
            let interval = &mut self.state.stats.interval;
            let cpu = clock::thread_cpu();
            interval.busiest_core = (cpu - self.second_cpu) as f64 / SECOND as f64;
            self.second_cpu = cpu;
            let errors = self.state.stats.errors.total();
            interval.errors = errors.saturating_sub(self.errors_told);
            self.errors_told = errors;
            let next = Interval { connected: interval.connected, ..Interval::new(interval.second + 1) };
            let told = std::mem::replace(interval, next);
            let _the_run_was_given_up = self.run.tell(Progress::Second(Box::new(told)));
            self.second_ends += SECOND;
            if now < self.second_ends {
                return;
            }
        }
    }

    fn handle_event(&mut self, event: Event) -> io::Result<()> {
        let (position, stream) = split_token(event.data.u64());
        // An event of the same batch may have ended the client.
        let Some(client) = &mut self.clients[position] else { return Ok(()) };
        let handled = self.state.service(position, client, stream, event.flags, &mut self.scenario);
        watch_new_streams(&self.readiness, position, client)?;
        match handled {
            Ok(Serviced::Open) => {}
            Ok(Serviced::Closed) => {
                self.clients[position] = None;
                self.state.alive -= 1;
                self.scenario.handle_left(position);
            }
            Err(failure) => self.lose(position, &failure),
        }
        Ok(())
    }

    /// Takes out a client that ended before its time.
    fn lose(&mut self, position: usize, failure: &Failure) {
        self.state.out.clear();
        let Some(client) = self.clients[position].take() else { return };
        let (joined, leaving) = (client.is_joined(), client.is_leaving());
        self.state.alive -= 1;
        let stats = &mut self.state.stats;
        if leaving {
            // It is gone either way, and it has not been polite.
            self.scenario.handle_left(position);
            return;
        }
        if joined {
            stats.interval.connected = stats.interval.connected.saturating_sub(1);
        } else {
            self.state.connecting = self.state.connecting.saturating_sub(1);
        }
        let fault = self.scenario.handle_lost(position, joined, clock::now(), stats);
        if fault == Fault::Error {
            stats.client_failed(joined, failure);
        }
    }

    fn check_heartbeats(&mut self, now: Nanos) {
        let overdue = self.clients.iter().flatten().filter(|client| client.is_overdue(now)).count();
        let missed = &mut self.state.stats.errors.heartbeats_missed;
        // The same clients are overdue every second: the most at any moment is how many there were.
        *missed = (*missed).max(overdue as u64);
    }

    fn check_deadlines(&mut self, now: Nanos) {
        while self.deadlines.front().is_some_and(|(deadline, ..)| *deadline <= now) {
            let Some((_, position, number)) = self.deadlines.pop_front() else { return };
            let waits = |client: &Client| client.number == number && !client.is_joined();
            if self.clients[position].as_ref().is_some_and(waits) {
                self.lose(position, &Failure::Stalled);
            }
        }
    }

    fn with_clients<R>(&mut self, call: impl FnOnce(&mut S, &mut Clients<'_>, &mut Stats) -> R) -> R {
        let mut clients = Clients {
            slots: &mut self.clients,
            out: &mut self.state.out,
            failed: &mut self.failed,
            opened: &mut self.opened,
            commands: &mut self.commands,
        };
        call(&mut self.scenario, &mut clients, &mut self.state.stats)
    }
}

/// Watches what a client has opened since it was last asked.
fn watch_new_streams(readiness: &Readiness, position: usize, client: &mut Client) -> io::Result<()> {
    while let Some((index, stream)) = client.take_new_stream() {
        readiness.watch(stream, token(position, index))?;
    }
    Ok(())
}
