//! A whole gateway with its backends and clients in one thread, from a seed: faults of every kind, and a model.
//!
//! `SEED=7` runs one seed and prints all that happens, `SEEDS=5000` runs that many. A seed that fails says so.

mod backend;
mod client;
mod model;
mod world;

use crate::random::Random;
use backend::{Backend, Life};
use client::Client;
use model::{Model, NAMESPACES};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tidegate_core::options::{BackendOptions, Options};
use tidegate_core::shard::StreamEnd;
use world::World;

/// Seeds of an ordinary run.
const SEEDS: u64 = 200;
const STEPS: usize = 2500;
const CLIENTS_MAX: usize = 10;
const BACKENDS_MAX: usize = 4;
/// Lines of the log that a failing seed prints, unless it runs alone: then it prints them all.
const LOG_LINES: usize = 60;

#[test]
fn clients_do_not_notice_what_becomes_of_their_backends() {
    if let Some(seed) = number_from_environment("SEED") {
        simulate(seed, usize::MAX);
        return;
    }
    let mut met: BTreeMap<&str, u64> = BTreeMap::new();
    let first = number_from_environment("FIRST_SEED").unwrap_or(0);
    for seed in first..first + number_from_environment("SEEDS").unwrap_or(SEEDS) {
        match std::panic::catch_unwind(|| simulate(seed, 0)) {
            Ok(counts) => counts.into_iter().for_each(|(what, count)| *met.entry(what).or_default() += count),
            // Once more, with the log.
            Err(_) => drop(simulate(seed, LOG_LINES)),
        }
    }
    println!("{met:#?}");
    let missed: Vec<_> = met.iter().filter(|(_, count)| **count == 0).collect();
    assert!(missed.is_empty(), "a simulation in which these never happen is no test of them: {missed:?}");
}

#[expect(clippy::disallowed_methods, reason = "a test, not the library, may ask which seed to run")]
fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

fn millis(random: &mut Random, start: usize, end: usize) -> Duration {
    Duration::from_millis(random.between(start, end) as u64)
}

fn options(random: &mut Random) -> Options {
    Options {
        ping_interval: millis(random, 60, 300),
        ping_timeout: Duration::from_millis(500),
        connect_timeout: millis(random, 200, 1_000),
        ..Options::default()
    }
}

/// Small enough that every limit is met.
fn backend_options(random: &mut Random, shards: u32) -> BackendOptions {
    BackendOptions {
        hold: millis(random, 100, 1_500),
        hold_bytes_per_socket: [200, 2_000, 65_536][random.below(3)],
        hold_bytes: [500, 8_000, 1 << 20][random.below(3)] * shards,
        window: [256, 2_000, 1 << 20][random.below(3)] * shards,
        redeliver: vec!["/again".to_owned()],
        ..BackendOptions::default()
    }
}

/// Runs one seed, and prints the last `log_lines` of what happened if it fails.
fn simulate(seed: u64, log_lines: usize) -> BTreeMap<&'static str, u64> {
    let mut random = Random::new(seed);
    let options = options(&mut random);
    let shards = [1, 2, 4][random.below(3)];
    let backend_options = backend_options(&mut random, shards as u32);
    let model = Model::new(random.clone(), shards, &options, &backend_options, log_lines);
    let model = Rc::new(RefCell::new(model));
    let reporter = Reporter { seed, model: Rc::clone(&model) };
    let mailbox_capacity = random.between(5, 50);
    let world = World::new(shards, options, &backend_options, mailbox_capacity);
    let mut run = Run {
        world,
        model,
        clients: Vec::new(),
        next_client: 0,
        backends: Vec::new(),
        random,
        fault_rate: 0,
    };
    run.fault_rate = run.random.between(10, 200);
    run.live();
    run.settle();
    run.end();
    drop(reporter);
    let mut met = std::mem::take(&mut run.model.borrow_mut().met);
    met.insert("reads that were put off", run.world.pauses);
    met
}

/// Prints what is needed to understand a failure.
struct Reporter {
    seed: u64,
    model: Rc<RefCell<Model>>,
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The model may be in use where it failed: read it all the same.
            if let Ok(model) = self.model.try_borrow() {
                let skipped = model.log.len().saturating_sub(model.log_lines);
                model.log[skipped..].iter().for_each(|line| eprintln!("{line}"));
            }
            eprintln!("this was SEED={}", self.seed);
        }
    }
}

struct Run {
    world: World,
    model: Rc<RefCell<Model>>,
    clients: Vec<Client>,
    next_client: usize,
    backends: Vec<Backend>,
    random: Random,
    /// Faults in ten thousand steps of a backend.
    fault_rate: usize,
}

impl Run {
    fn live(&mut self) {
        for _ in 0..STEPS {
            self.model.borrow_mut().step += 1;
            let busy = match self.random.below(100) {
                0..45 => {
                    let (shard, step) = (self.random.below(self.world.shards()), self.model.borrow().step);
                    self.world.turn(shard, step, &mut self.random)
                }
                45..75 if !self.clients.is_empty() => {
                    let client = self.random.below(self.clients.len());
                    self.step_client(client)
                }
                75.. if !self.backends.is_empty() => {
                    let backend = self.random.below(self.backends.len());
                    self.have_fault(backend);
                    self.step_backend(backend)
                }
                _ => false,
            };
            self.pass_time(if busy { 8 } else { 16 });
            self.replace();
        }
    }

    /// New clients and backends come.
    fn replace(&mut self) {
        if self.random.below(100) == 0 {
            self.clients.retain(|client| !client.is_over);
            if self.clients.len() < CLIENTS_MAX {
                let client = Client::new(self.next_client, self.world.now, &mut self.random);
                self.next_client += 1;
                self.clients.push(client);
            }
        }
        if self.random.below(150) == 0 {
            self.backends.retain(|backend| backend.life != Life::Gone);
            if self.backends.len() < BACKENDS_MAX {
                self.dial();
            }
        }
    }

    fn dial(&mut self) {
        let backend = Backend::dial(&mut self.world, &mut self.model.borrow_mut(), &mut self.random);
        self.backends.push(backend);
    }

    fn have_fault(&mut self, backend: usize) {
        let (world, model, random) = (&mut self.world, &mut *self.model.borrow_mut(), &mut self.random);
        let backend = &mut self.backends[backend];
        backend.leave_politely(world, model);
        if random.below(10_000) >= self.fault_rate {
            return;
        }
        match random.below(10) {
            0..4 => backend.crash(world, model, random),
            4..6 => backend.drain(world, model),
            6 => backend.go_mad(world, model, random),
            _ => backend.slow_down(model, random),
        }
    }

    fn step_client(&mut self, client: usize) -> bool {
        self.clients[client].step(&mut self.world, &mut self.model.borrow_mut(), &mut self.random)
    }

    fn step_backend(&mut self, backend: usize) -> bool {
        self.backends[backend].step(&mut self.world, &mut self.model.borrow_mut(), &mut self.random)
    }

    /// A millisecond, in `percent` of the cases.
    fn pass_time(&mut self, percent: usize) {
        if self.random.chance(percent) {
            self.world.now = self.world.now + Duration::from_millis(1);
            self.model.borrow_mut().now = self.world.now;
        }
    }

    /// Everybody does something once. Says whether anything happened.
    fn round(&mut self) -> bool {
        let step = {
            let mut model = self.model.borrow_mut();
            model.step += 1;
            model.step
        };
        let mut busy = self.world.round(step, &mut self.random);
        for client in 0..self.clients.len() {
            busy |= self.step_client(client);
        }
        for backend in 0..self.backends.len() {
            busy |= self.step_backend(backend);
            self.backends[backend].leave_politely(&mut self.world, &mut self.model.borrow_mut());
        }
        busy
    }

    /// Lets time pass, and all that happens in it.
    fn wait(&mut self, millis: u64) {
        let until = self.world.now + Duration::from_millis(millis);
        while self.world.now < until {
            let busy = self.round();
            self.pass_time(if busy { 5 } else { 100 });
        }
    }

    /// No new work, and no faults: everybody gets what is under way.
    fn settle(&mut self) {
        self.model.borrow_mut().is_quiet = true;
        self.dial();
        for backend in &mut self.backends {
            backend.calm_down(&mut self.world, &mut self.model.borrow_mut());
        }
        // Longer than any question waits for its answers, and anybody is missed: whose input was held is pinged twice.
        self.wait(1_500);
        for _ in 0..1_000 {
            if self.clients.iter().all(Client::is_settled) {
                break;
            }
            self.wait(1);
        }
        self.assert_settled();
        self.broadcast_to_all();
    }

    fn assert_settled(&mut self) {
        for (shard, stats) in self.world.stats().iter().enumerate() {
            let backend = &stats.backend;
            let waiting = (backend.sockets_waiting, backend.sockets_orphaned, backend.held_bytes);
            assert_eq!(waiting, (0, 0, 0), "CONNECTs, orphans and bytes that wait on shard {shard}");
        }
        let model = &mut *self.model.borrow_mut();
        for client in &self.clients {
            assert!(client.is_settled(), "client {} waits", client.no);
        }
        for no in model.living() {
            model.assert_served(&self.world, no);
        }
        let ready = self.backends.iter().filter(|backend| backend.is_ready()).count();
        for backend in &self.backends {
            backend.assert_settled(model);
            if backend.is_ready() {
                assert_eq!(backend.peers as usize, ready, "link {} knows its peers", backend.no);
            }
        }
    }

    /// What is said in peace reaches everybody, from every backend.
    fn broadcast_to_all(&mut self) {
        let mut said = Vec::new();
        for backend in self.backends.iter_mut().filter(|backend| backend.is_ready()) {
            for namespace in NAMESPACES {
                let model = &mut *self.model.borrow_mut();
                let serial = backend.broadcast_to(&mut self.world, model, namespace, None);
                said.push((namespace, backend.no, serial));
            }
        }
        self.wait(200);
        while self.round() {}
        let model = self.model.borrow();
        for no in model.living() {
            for (namespace, link, serial) in &said {
                if model.sockets[no].namespace == *namespace {
                    assert!(model.sockets[no].has_received(*link, *serial), "socket {no} hears link {link}");
                }
            }
        }
    }

    /// Everybody leaves, in one order or the other, and nothing may be left.
    fn end(&mut self) {
        let are_backends_first = self.random.chance(30);
        if are_backends_first {
            self.crash_all();
        }
        for client in &mut self.clients {
            let end = if self.random.chance(50) { StreamEnd::Eof } else { StreamEnd::Error };
            client.leave(&mut self.world, &mut self.model.borrow_mut(), end);
        }
        self.wait(900);
        while self.round() {}
        self.backends.iter().for_each(|backend| backend.assert_settled(&self.model.borrow()));
        if !are_backends_first {
            self.crash_all();
        }
        self.run_out();
        self.assert_empty();
    }

    fn crash_all(&mut self) {
        for backend in &mut self.backends {
            backend.crash(&mut self.world, &mut self.model.borrow_mut(), &mut self.random);
        }
    }

    /// Goes on until no deadline is left.
    fn run_out(&mut self) {
        loop {
            while self.round() {}
            match self.world.next_deadline() {
                None => break,
                Some(next) if next > self.world.now => self.world.now = next,
                // A turn may be late for its deadline.
                Some(_) => self.pass_time(100),
            }
        }
    }

    fn assert_empty(&self) {
        for (shard, stats) in self.world.stats().iter().enumerate() {
            let left = [
                ("connections", stats.connections),
                ("ports", stats.ports),
                ("sessions on polling", stats.sessions_polling),
                ("sessions on WebSocket", stats.sessions_websocket),
                ("sockets", stats.sockets),
                ("sockets that are connecting", stats.sockets_connecting),
                ("rooms", stats.rooms),
                ("interests", stats.interests),
                ("acknowledgements", stats.acks_pending),
                ("collections", stats.collections),
                ("timers", stats.timers),
                ("links", stats.backend.links),
                ("sockets that wait", stats.backend.sockets_waiting),
                ("sockets without a backend", stats.backend.sockets_orphaned),
                ("bytes that are held", stats.backend.held_bytes),
                ("questions", stats.backend.questions),
            ];
            for (what, count) in left {
                assert_eq!(count, 0, "{what} are left on shard {shard}");
            }
        }
    }
}
