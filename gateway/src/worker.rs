//! The workers: one thread, one monoio runtime, one shard per core.
//!
//! ```text
//! main:     Listeners::bind → spawn_workers → (signals, admin) → drain
//! worker N: make_shard → accept tasks + turns → drained → stop
//! ```

use crate::links::{LinkListener, LinkPlaces, Usher};
use crate::net::accept::{accept, take_client};
use crate::net::listener::Listeners;
use crate::runtime::driven::Driven;
use crate::runtime::engine::{Admission, After, Engine};
use crate::runtime::mesh::{Control, Mailbox, Mesh, mesh};
use crate::runtime::park::Waiter;
use crate::runtime::pin::pin_to;
use crate::runtime::stats::WorkerStats;
use crate::runtime::{Clock, DriverChoice, IoDriver, executor};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tidegate_core::id::ShardIndex;
use tidegate_core::shard::Shard;

/// Passes through monoio's park that the accept tasks are given to end.
const FAREWELL_LAPS: usize = 16;

/// What the workers need to start.
pub struct Setup<F> {
    /// What to listen on, and how many workers there are.
    pub listeners: Listeners,
    /// Where backends dial in, if they do; the first worker accepts for all.
    pub links: Option<LinkListener>,
    /// io_uring, epoll, or whichever works.
    pub driver: DriverChoice,
    /// Client streams of the whole process; more are answered with 503.
    pub connections_max: usize,
    /// The CPU of each worker; none at all leaves them to the scheduler.
    pub cpus: Vec<usize>,
    /// The clock that shards are told.
    pub clock: Clock,
    /// Makes the shard of a core, on that core's thread.
    pub make_shard: F,
}

/// The workers could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// io_uring is required and refused.
    #[error("io_uring is required, but the kernel refuses it: {}{}", .0, hint(.0))]
    IoUringRefused(#[source] io::Error),
    /// Something that all workers share could not be made.
    #[error("cannot start the workers: {0}")]
    Shared(#[source] io::Error),
    /// One worker could not start; the others have ended.
    #[error("worker {} cannot start: {source}{}", worker.0, hint(source))]
    Worker {
        /// Which one.
        worker: ShardIndex,
        /// Why.
        source: io::Error,
    },
}

/// Ring memory counts against a limit that few people know.
pub(crate) fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::OutOfMemory => {
            " (RLIMIT_MEMLOCK limits the memory of io_uring rings: raise LimitMEMLOCK)"
        }
        _ => "",
    }
}

/// The running workers. Dropping it leaves them running.
pub struct Workers<S: Driven = Shard> {
    control: WorkerControl<S>,
    threads: Vec<JoinHandle<()>>,
    driver: IoDriver,
    refused: Option<io::Error>,
}

/// What any thread may ask of the workers.
pub struct WorkerControl<S: Driven = Shard> {
    mesh: Mesh<S::Message, S::Moved>,
}

impl<S: Driven> Clone for WorkerControl<S> {
    fn clone(&self) -> Self {
        Self { mesh: self.mesh.clone() }
    }
}

/// Starts the workers and returns when all of them accept connections.
///
/// A worker that fails or panics later ends the process: a gateway that has lost a core would go on losing
/// the connections that the kernel still sends there.
pub fn spawn_workers<S, F>(setup: Setup<F>) -> Result<Workers<S>, StartError>
where
    S: Driven,
    F: Fn(ShardIndex) -> S + Send + Sync + 'static,
{
    let count = setup.listeners.workers();
    let (driver, refused) = setup.driver.decide(count).map_err(StartError::IoUringRefused)?;
    let (mesh, mailboxes) = mesh(count).map_err(StartError::Shared)?;
    let admission = Arc::new(Admission::new(setup.connections_max));
    let link_places = Arc::new(LinkPlaces::new(count));
    let mut links = setup.links;
    let make_shard = Arc::new(setup.make_shard);
    let (started, starts) = unbounded();
    let mut workers = Workers { control: WorkerControl { mesh }, threads: Vec::new(), driver, refused };
    for (index, (mailbox, listeners)) in mailboxes.into_iter().zip(setup.listeners.into_workers()).enumerate()
    {
        let worker = Worker {
            mailbox,
            listeners,
            links: links.take(),
            driver,
            cpu: setup.cpus.get(index).copied(),
            clock: setup.clock,
            admission: Arc::clone(&admission),
            link_places: Arc::clone(&link_places),
            make_shard: Arc::clone(&make_shard),
            started: started.clone(),
        };
        let thread = std::thread::Builder::new().name(format!("tidegate-{index}"));
        match thread.spawn(|| worker.run()) {
            Ok(handle) => workers.threads.push(handle),
            Err(error) => {
                workers.stop();
                return Err(StartError::Shared(error));
            }
        }
    }
    drop(started);
    workers.all_started(&starts)
}

impl<S: Driven> Workers<S> {
    /// How client streams are waited for.
    pub fn driver(&self) -> IoDriver {
        self.driver
    }

    /// Why io_uring is not used, if it was refused.
    pub fn io_uring_refused(&self) -> Option<&io::Error> {
        self.refused.as_ref()
    }

    /// A handle for other threads.
    pub fn control(&self) -> WorkerControl<S> {
        self.control.clone()
    }

    /// Stops accepting, ends every connection, and then the workers. Returns whether all connections ended
    /// in their own time; those that had not by `timeout` are cut.
    pub fn drain(self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let (drained, reports) = unbounded();
        for index in self.control.indices() {
            self.control.mesh.control(index, Control::Drain { drained: drained.clone() });
        }
        drop(drained);
        // Until the last one is done, the others carry its messages, so all stop together.
        let all = self.control.indices().all(|_| reports.recv_deadline(deadline).is_ok());
        self.stop();
        all
    }

    /// Ends the workers at once. Clients see their connections close.
    pub fn stop(self) {
        for index in self.control.indices() {
            self.control.mesh.control(index, Control::Stop);
        }
        for thread in self.threads {
            // A worker that panics ends the process, so there is no panic to hand on.
            let _ = thread.join();
        }
    }

    fn all_started(self, starts: &Receiver<(ShardIndex, io::Result<()>)>) -> Result<Self, StartError> {
        let failure = starts
            .iter()
            .take(self.threads.len())
            .find_map(|(worker, result)| result.err().map(|source| StartError::Worker { worker, source }));
        match failure {
            None => Ok(self),
            Some(error) => {
                self.stop();
                Err(error)
            }
        }
    }
}

impl<S: Driven> WorkerControl<S> {
    /// The counters of all workers that answer within `timeout`, in order.
    pub fn stats(&self, timeout: Duration) -> Vec<WorkerStats> {
        let deadline = Instant::now() + timeout;
        let (reply, replies) = bounded(self.mesh.cores());
        for index in self.indices() {
            self.mesh.control(index, Control::Stats { reply: reply.clone() });
        }
        drop(reply);
        let answers = self.indices().map_while(|_| replies.recv_deadline(deadline).ok());
        let mut stats: Vec<_> = answers.collect();
        stats.sort_by_key(|worker| worker.shard);
        stats
    }

    fn indices(&self) -> impl Iterator<Item = ShardIndex> + use<S> {
        (0..).map(ShardIndex).take(self.mesh.cores())
    }
}

/// What one worker's thread starts with.
struct Worker<S: Driven, F> {
    mailbox: Mailbox<S::Message, S::Moved>,
    listeners: Vec<OwnedFd>,
    links: Option<LinkListener>,
    driver: IoDriver,
    cpu: Option<usize>,
    clock: Clock,
    admission: Arc<Admission>,
    link_places: Arc<LinkPlaces>,
    make_shard: Arc<F>,
    started: Sender<(ShardIndex, io::Result<()>)>,
}

impl<S: Driven, F: Fn(ShardIndex) -> S> Worker<S, F> {
    /// The thread's whole life.
    fn run(self) {
        let (me, started) = (self.mailbox.me(), self.started.clone());
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            if let Some(cpu) = self.cpu
                && let Err(error) = pin_to(cpu)
            {
                tracing::warn!(worker = me.0, cpu, %error, "cannot bind the worker to its CPU");
            }
            executor::run(self.driver, self.live())
        }));
        match outcome {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => die(me, &error.to_string()),
            // monoio could not be set up. Whoever waits for the start is told; nobody waits without a reason.
            Ok(Err(error)) => drop(started.send((me, Err(error)))),
            // The panic hook has printed what and where.
            Err(_) => die(me, "it panicked"),
        }
    }

    /// Starts, says how that went, and turns until the end.
    async fn live(self) -> io::Result<()> {
        let (me, started) = (self.mailbox.me(), self.started.clone());
        let (engine, waiter) = match self.start() {
            Ok(parts) => parts,
            Err(error) => {
                let _ = started.send((me, Err(error)));
                return Ok(());
            }
        };
        let _ = started.send((me, Ok(())));
        drop(started);
        loop {
            let after = engine.borrow_mut().turn()?;
            if after == After::Stop {
                break;
            }
            waiter.ready().await?;
        }
        engine.borrow_mut().close();
        // The accept tasks find their listeners shut and end, before the runtime is taken from under them.
        for _ in 0..FAREWELL_LAPS {
            if Rc::strong_count(&engine) == 1 {
                break;
            }
            waiter.pass().await?;
        }
        Ok(())
    }

    fn start(self) -> io::Result<(Rc<RefCell<Engine<S>>>, Waiter)> {
        let me = self.mailbox.me();
        let links = self.links.map(Usher::new);
        let all = self.listeners.iter().chain(links.iter().map(|(_, listener)| listener));
        let copies = all.map(OwnedFd::try_clone).collect::<io::Result<_>>()?;
        let shard = (self.make_shard)(me);
        let (admission, places) = (self.admission, self.link_places);
        let engine = Engine::new(shard, self.driver, self.clock, self.mailbox, admission, places, copies)?;
        let waiter = Waiter::new(engine.wait_fd()?)?;
        let engine = Rc::new(RefCell::new(engine));
        for listener in self.listeners {
            spawn_accepting(me, accept(Rc::clone(&engine), listener, take_client));
        }
        if let Some((mut usher, listener)) = links {
            let take = move |engine: &mut Engine<S>, stream, _| usher.admit(engine, stream);
            spawn_accepting(me, accept(Rc::clone(&engine), listener, take));
        }
        Ok((engine, waiter))
    }
}

fn spawn_accepting(me: ShardIndex, accepting: impl Future<Output = io::Result<()>> + 'static) {
    monoio::spawn(async move {
        if let Err(error) = accepting.await {
            die(me, &format!("cannot accept: {error}"));
        }
    });
}

/// Ends the process. See [`spawn_workers`].
fn die(worker: ShardIndex, why: &str) -> ! {
    tracing::error!(worker = worker.0, why, "a worker has failed, so the process ends");
    eprintln!("tidegate: worker {} has failed ({why}), so the process ends", worker.0);
    std::process::abort();
}
