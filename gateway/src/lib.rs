//! The part of Tidegate that acts.

pub mod admin;
pub mod assets;
pub mod cli;
pub mod config;
pub mod log;
pub mod signals;

/// Stands in for the real thing until the runtime is merged: admin endpoint, bundles and signals, no clients.
///
/// # Errors
///
/// If the admin address is taken, or signals cannot be caught.
pub fn run(config: &config::Config) -> std::io::Result<()> {
    struct Nothing;
    impl admin::MetricsSource for Nothing {
        fn readiness(&self) -> admin::Readiness {
            admin::Readiness::Starting
        }
        fn reports(&self) -> Vec<admin::ShardReport> {
            Vec::new()
        }
    }
    let mut signals = signals::StopSignals::catch()?;
    let admin =
        config.admin.map(|address| admin::Admin::start(address, std::sync::Arc::new(Nothing))).transpose()?;
    if let Some(address) = admin.as_ref().map(admin::Admin::address).transpose()? {
        tracing::info!(%address, "admin endpoint");
    }
    if let Some(dir) = &config.client_dir {
        match assets::load_bundles(dir, &config.options.path) {
            Ok(bundles) => tracing::info!(files = bundles.len(), "client bundles"),
            Err(error) => tracing::warn!("no client bundles: {error}"),
        }
    }
    tracing::info!(signal = signals.wait().name(), "stopping");
    signals.end_the_process_at_the_next()
}
