//! A whole gateway in one thread, from a seed: up to eight shards, clients of every kind, faults, and an oracle.
//!
//! `SIM_SEED=7` runs one seed, `SIM_SEEDS=1000` runs that many. A seed that fails says so, with the last events.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, and its numbers are small"
)]

mod app;
mod client;
mod oracle;
mod random;
mod wire;
mod world;

use client::{Client, Kind};
use oracle::{Oracle, Shared};
use random::Random;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_core::options::{HttpTimeouts, Options};
use tidegate_core::time::Instant;
use world::World;

/// Seeds of an ordinary run.
const SEEDS: u64 = 200;
const STEPS: usize = 4000;
/// Lines of the log that a failing seed prints, unless it runs alone: then it prints them all.
const LOG_LINES: usize = 60;

#[test]
fn order_delivery_and_bounds_hold_for_many_clients_on_many_shards() {
    if let Some(seed) = number_from_environment("SIM_SEED") {
        simulate(seed, usize::MAX);
        return;
    }
    let mut met: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..number_from_environment("SIM_SEEDS").unwrap_or(SEEDS) {
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

/// Small enough that every limit is met.
fn options(random: &mut Random) -> Options {
    let millis = Duration::from_millis;
    Options {
        ping_interval: millis(random.between(60, 300) as u64),
        ping_timeout: millis(400),
        upgrade_timeout: millis(500),
        connect_timeout: millis(1000),
        max_payload: random.between(600, 2000) as u32,
        max_fragments: random.between(1, 6) as u32,
        outbox_bytes_max: [3000, 8000, 60_000][random.below(3)],
        http: HttpTimeouts {
            head: millis(300),
            body: millis(400),
            keep_alive: millis(2000),
            linger: millis(200),
        },
        max_namespaces: 3,
        ..Options::default()
    }
}

/// Runs one seed, and prints the last `log_lines` of what happened if it fails.
fn simulate(seed: u64, log_lines: usize) -> BTreeMap<&'static str, u64> {
    let mut random = Random::new(seed);
    let options = options(&mut random);
    let shards = random.between(1, 8);
    let limit = options.outbox_bytes_max as usize;
    let oracle: Shared = Shared::new(RefCell::new(Oracle::new(random.next(), shards, limit)));
    oracle.borrow_mut().log_lines = log_lines;
    let _guard = Reporter { seed, oracle: Shared::clone(&oracle) };
    let mailbox_capacity = random.between(5, 50);
    let world = World::new(shards, options, mailbox_capacity, &oracle);
    let mut run = Run { world, oracle, clients: Vec::new(), random };
    let clients = run.random.between(3, 14);
    for _ in 0..clients {
        run.add_client();
    }
    run.live(STEPS);
    run.settle();
    run.end();
    run.world.counts()
}

/// Prints what is needed to understand a failure.
struct Reporter {
    seed: u64,
    oracle: Shared,
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The oracle may be in use where it failed.
            if let Ok(oracle) = self.oracle.try_borrow() {
                oracle.log().for_each(|line| eprintln!("{line}"));
            }
            eprintln!("this was SIM_SEED={}", self.seed);
        }
    }
}

struct Run {
    world: World,
    oracle: Shared,
    clients: Vec<Client>,
    random: Random,
}

impl Run {
    fn add_client(&mut self) {
        let kind = [Kind::Polling, Kind::WebSocket, Kind::Upgrading][self.random.below(3)];
        let id = self.oracle.borrow_mut().add_client();
        self.oracle.borrow_mut().note(|| format!("client {id} is new: {kind:?}"));
        self.clients.push(Client::new(id, kind));
    }

    fn live(&mut self, steps: usize) {
        for _ in 0..steps {
            self.oracle.borrow_mut().step += 1;
            let busy = if self.random.chance(50) {
                let shard = self.random.below(self.world.shards());
                self.world.turn(shard, &mut self.random)
            } else {
                let client = self.random.below(self.clients.len());
                self.clients[client].step(&mut self.world, &mut self.random)
            };
            self.pass_time(if busy { 8 } else { 16 });
            if self.random.below(300) == 0 {
                self.replace_client();
            }
        }
    }

    /// A millisecond, in `percent` of the cases.
    fn pass_time(&mut self, percent: usize) {
        if self.random.chance(percent) {
            self.world.now = self.world.now + Duration::from_millis(1);
        }
    }

    /// The dead make room for the living.
    fn replace_client(&mut self) {
        self.clients.retain(|client| !client.is_over);
        self.add_client();
    }

    /// No new work; everybody gets what is under way.
    fn settle(&mut self) {
        self.oracle.borrow_mut().is_quiet = true;
        // Longer than an upgrade, a late verdict or a question takes.
        let until = self.world.now + Duration::from_millis(600);
        while self.world.now < until {
            let busy = self.round();
            if !busy || self.random.chance(5) {
                self.world.now = self.world.now + Duration::from_millis(1);
            }
        }
        self.oracle.borrow().assert_settled();
        for client in &self.clients {
            client.assert_settled(&self.oracle.borrow());
        }
    }

    fn round(&mut self) -> bool {
        self.oracle.borrow_mut().step += 1;
        let busy = self.world.round(&mut self.random);
        self.clients
            .iter_mut()
            .fold(busy, |busy, client| client.step(&mut self.world, &mut self.random) | busy)
    }

    /// Everybody leaves in one of the ways there are, and nothing may be left.
    fn end(&mut self) {
        for client in &self.clients {
            self.oracle.borrow_mut().excuse(client.id, "the end");
        }
        match self.random.below(3) {
            0 => self.drain(),
            1 => self.clients.iter_mut().for_each(Client::freeze),
            _ => {}
        }
        if self.clients.iter().all(|client| client.is_over || client.is_frozen()) {
            // Nobody says goodbye, and still nobody is held for ever.
            self.run_out();
            assert_eq!(self.world.connections(), 0, "connections without an end");
        }
        let end = [tidegate_core::shard::StreamEnd::Eof, tidegate_core::shard::StreamEnd::Error];
        self.world.leave_all(end[self.random.below(2)]);
        self.clients.clear();
        self.run_out();
        self.world.assert_empty();
        self.oracle.borrow().assert_all_gone();
    }

    fn drain(&mut self) {
        self.world.drain();
        let until = self.world.now + Duration::from_millis(1000);
        while self.world.now < until {
            if !self.round() || self.random.chance(5) {
                self.world.now = self.world.now + Duration::from_millis(1);
            }
        }
        assert!(self.world.is_drained(), "a drained gateway is empty in less time than its timeouts");
    }

    /// Goes on until no deadline is left.
    fn run_out(&mut self) {
        let mut last = Instant::ORIGIN;
        loop {
            while self.round() {}
            match self.world.next_deadline() {
                None => break,
                Some(next) if next > self.world.now => self.world.now = next,
                // A turn may be late for its deadline.
                Some(_) => self.world.now = self.world.now + Duration::from_millis(1),
            }
            assert!(self.world.now >= last);
            last = self.world.now;
        }
    }
}
