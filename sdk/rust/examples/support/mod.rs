//! What the examples have in common: serving until a signal comes.

use std::time::Duration;
use tidegate_backend::{Builder, Error};
use tokio::signal::unix::{SignalKind, signal};

/// How long sockets may take to be handed over.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or SIGINT, and then drains. `welcome` is called when the gateway has welcomed this
/// backend.
pub(crate) async fn serve(builder: Builder, welcome: impl FnOnce()) -> Result<(), Error> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut stopped = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let mut backend = tokio::select! {
        backend = builder.connect() => backend?,
        () = stopped() => return Ok(()),
    };
    welcome();
    tokio::select! {
        ended = backend.closed() => return ended,
        () = stopped() => {}
    }
    backend.drain(DRAIN_PATIENCE).await.map(drop)
}
