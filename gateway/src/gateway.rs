//! A running gateway: what `tidegate serve` starts, and what a Rust program embeds.
//!
//! ```no_run
//! use tidegate::Gateway;
//! # fn serve(my_app: fn() -> Box<dyn tidegate::app::App>) -> Result<(), Box<dyn std::error::Error>> {
//! Gateway::builder().listen("127.0.0.1:3000".parse()?).app(move |_shard| my_app()).run()?;
//! # Ok(())
//! # }
//! ```

use crate::admin::{Admin, MetricsSource, Readiness, ShardReport};
use crate::config::{BackendSocket, Config};
use crate::links::{LinkListener, ListenError, SocketFile};
use crate::net::listener::{BindError, Listeners};
use crate::pages::PagesError;
use crate::runtime::limits::raise_open_files;
use crate::runtime::{Clock, DriverChoice, IoDriver};
use crate::signals::StopSignals;
use crate::worker::{Setup, StartError, WorkerControl, Workers, hint, spawn_workers};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tidegate_core::front::assets::{Asset, Assets};
use tidegate_core::id::{RouteKey, ShardIndex};
use tidegate_core::shard::app::App;
use tidegate_core::shard::routes::Routes;
use tidegate_core::shard::{Shard, ShardSetup};

/// How long clients have to close their connections when the gateway stops. The process is gone in 10 s.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);
/// How long a scrape of the metrics waits for a core.
const STATS_TIMEOUT: Duration = Duration::from_secs(1);

/// A gateway could not start, or failed.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// An address for clients.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The socket for backends.
    #[error(transparent)]
    Links(#[from] ListenError),
    /// The directory of pages.
    #[error("cannot serve the pages: {0}")]
    Pages(#[from] PagesError),
    /// The workers.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The address of the admin endpoint.
    #[error("cannot serve the admin endpoint on {address}: {source}")]
    Admin {
        /// The address as it was asked for.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// The operating system gives no randomness, or does not let us catch signals.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// Collects what a gateway needs to start.
pub struct Builder {
    config: Config,
    backend_socket: Option<BackendSocket>,
    make_app: Arc<MakeApp>,
    assets: Vec<Asset>,
    bare_endpoints: bool,
}

/// Makes the application's part of one shard, on that shard's thread.
type MakeApp = dyn Fn(ShardIndex) -> Box<dyn App> + Send + Sync;

/// A gateway that serves clients, until it is stopped or dropped.
pub struct Gateway {
    addresses: Vec<SocketAddr>,
    /// Removed when the gateway stops, or is dropped.
    backend_file: Option<SocketFile>,
    workers: Workers,
    state: Arc<State>,
    admin: Option<Admin>,
}

/// What the admin endpoint asks.
struct State {
    control: WorkerControl,
    /// Clients are served by backends, so it takes one to be ready.
    needs_backend: bool,
    is_draining: AtomicBool,
}

impl Gateway {
    /// A builder with the default configuration and no application.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where clients connect, with the real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where backends connect, if they do.
    pub fn backend_socket(&self) -> Option<&Path> {
        self.backend_file.as_ref().map(SocketFile::path)
    }

    /// Where health and metrics are served, if they are.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|admin| admin.address().ok())
    }

    /// How clients are waited for: io_uring, or epoll where that is refused.
    pub fn driver(&self) -> IoDriver {
        self.workers.driver()
    }

    /// Says no more to new clients, closes all sessions the Socket.IO way, and returns when all have gone or
    /// eight seconds have passed. Returns whether all have gone in time.
    pub fn stop(self) -> bool {
        self.state.is_draining.store(true, Ordering::Release);
        // From here on a successor may serve at this path, as it may at our addresses.
        drop(self.backend_file);
        self.workers.drain(DRAIN_TIMEOUT)
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            config: Config::default(),
            backend_socket: None,
            make_app: Arc::new(|_| Box::new(crate::apps::Nobody)),
            assets: Vec::new(),
            bare_endpoints: false,
        }
    }
}

impl Builder {
    /// Starts from a checked configuration instead of the default one.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Listens here instead of on the configured addresses. Port 0 takes any free one.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.config.listen = vec![address];
        self
    }

    /// Opens a Unix socket for backends. Each that connects becomes a port of the application, on some shard.
    #[must_use]
    pub fn backend_socket(mut self, socket: BackendSocket) -> Self {
        self.backend_socket = Some(socket);
        self
    }

    /// The application: called once per shard, on the shard's thread.
    #[must_use]
    pub fn app(mut self, make: impl Fn(ShardIndex) -> Box<dyn App> + Send + Sync + 'static) -> Self {
        self.make_app = Arc::new(make);
        self
    }

    /// Serves files from memory, beside the engine.
    #[must_use]
    pub fn assets(mut self, assets: impl IntoIterator<Item = Asset>) -> Self {
        self.assets.extend(assets);
        self
    }

    /// Opens the bare endpoints of the conformance app (design: `/engine.io/`, `/ws`, `/`).
    #[must_use]
    pub fn bare_endpoints(mut self) -> Self {
        self.bare_endpoints = true;
        self
    }

    /// Starts to serve clients, and returns when every core accepts them.
    ///
    /// # Errors
    ///
    /// If an address is taken, or the kernel refuses what the workers need.
    pub fn start(self) -> Result<Gateway, GatewayError> {
        let Self { config, backend_socket, make_app, assets, bare_endpoints } = self;
        let open_files = raise_open_files()?;
        tracing::debug!(open_files, "limit of file descriptors");
        let shards = u16::try_from(config.cores.len()).expect("the configuration limits the cores");
        let listeners = Listeners::bind(&config.listen, shards)?;
        let addresses = listeners.addresses().to_vec();
        let links = backend_socket.map(|socket| LinkListener::open(&socket, config.backend.links_max));
        let (links, backend_file) = links.transpose()?.unzip();
        let clock = Clock::start();
        let setup = ShardSetup {
            index: ShardIndex(0),
            shards,
            options: Arc::new(config.options.clone()),
            routes: Arc::new(Routes { assets: Assets::from_iter(assets), bare_endpoints }),
            route_key: RouteKey::new(random()?),
            seed: [0; 32],
            now: clock.now(),
            unix_origin: clock.unix_millis(tidegate_core::time::Instant::ORIGIN),
        };
        let seeds = (0..shards).map(|_| random()).collect::<io::Result<Vec<[u8; 32]>>>()?;
        let make_shard = move |index: ShardIndex| {
            let setup = ShardSetup { index, seed: seeds[index.as_usize()], ..setup.clone() };
            Shard::new(setup, make_app(index))
        };
        let driver = if config.require_io_uring { DriverChoice::RequireIoUring } else { DriverChoice::Auto };
        let connections_max = config.max_connections.map_or(usize::MAX, |most| most as usize);
        let cpus = config.cores.clone();
        let workers =
            spawn_workers(Setup { listeners, links, driver, connections_max, cpus, clock, make_shard })?;
        if let Some(error) = workers.io_uring_refused() {
            let error = format!("{error}{}", hint(error));
            tracing::warn!(error, "the kernel refuses io_uring: running on epoll, a little slower");
        }
        let state = Arc::new(State {
            control: workers.control(),
            needs_backend: backend_file.is_some(),
            is_draining: AtomicBool::new(false),
        });
        let admin = start_admin(config.admin, &state)?;
        Ok(Gateway { addresses, backend_file, workers, state, admin })
    }

    /// Starts, says so on standard output, and serves until SIGTERM or SIGINT; then stops in good order.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn run(self) -> Result<(), GatewayError> {
        let mut signals = StopSignals::catch()?;
        let gateway = self.start()?;
        announce(&gateway);
        let signal = signals.wait();
        tracing::info!(signal = signal.name(), "stopping");
        signals.end_the_process_at_the_next(signal)?;
        let in_time = gateway.stop();
        tracing::info!(in_time, "stopped");
        Ok(())
    }
}

/// The lines that tell scripts (and people) where to go. A closed standard output is nobody's problem.
fn announce(gateway: &Gateway) {
    let mut out = io::stdout().lock();
    for address in gateway.addresses() {
        let _closed = writeln!(out, "listening on http://{address}");
    }
    if let Some(path) = gateway.backend_socket() {
        let _closed = writeln!(out, "backends connect to {}", path.display());
    }
    let _closed = out.flush();
    let addresses: Vec<String> = gateway.addresses().iter().map(ToString::to_string).collect();
    let admin = gateway.admin_address().map(tracing::field::display);
    let backends = gateway.backend_socket().map(|path| tracing::field::display(path.display()));
    tracing::info!(listen = addresses.join(", "), backends, admin, driver = ?gateway.driver(), "started");
}

fn start_admin(address: Option<SocketAddr>, state: &Arc<State>) -> Result<Option<Admin>, GatewayError> {
    let Some(address) = address else { return Ok(None) };
    let source: Arc<dyn MetricsSource> = Arc::<State>::clone(state);
    Admin::start(address, source).map(Some).map_err(|source| GatewayError::Admin { address, source })
}

/// Secret bytes of the operating system.
fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

impl MetricsSource for State {
    fn readiness(&self) -> Readiness {
        if self.is_draining.load(Ordering::Acquire) {
            return Readiness::Draining;
        }
        if !self.needs_backend {
            return Readiness::Ready;
        }
        let workers = self.control.stats(STATS_TIMEOUT);
        let is_served = workers.iter().any(|worker| worker.core.backend.links_serving > 0);
        if is_served { Readiness::Ready } else { Readiness::Starting }
    }

    fn reports(&self) -> Vec<ShardReport> {
        let workers = self.control.stats(STATS_TIMEOUT);
        workers
            .into_iter()
            .map(|worker| ShardReport {
                shard: worker.shard.0,
                stats: worker.core,
                turn_times: worker.driver.turn_times,
                mailbox_depth: worker.driver.mailbox_depth,
                accept_pauses: worker.driver.accept_pauses,
                refused_over_limit: worker.driver.refused_over_limit,
                links_refused: worker.driver.links_refused,
                links_over_limit: worker.driver.links_over_limit,
            })
            .collect()
    }
}
