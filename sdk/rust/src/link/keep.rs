//! Keeps a link up: connects, says hello, and connects again when the link is lost.

use super::backoff::Backoff;
use super::drive::{End, drive, next_wish};
use super::table::Table;
use super::{Limits, Link};
use crate::backend::Want;
use crate::error::Error;
use crate::shared::Shared;
use crate::welcome::Options;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::backend::wire::{
    Frames, FromBackend, Hello, RefuseCode, Texts, ToBackend, VERSION, WireError,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};

/// How long the gateway may take to answer HELLO.
const WELCOME_PATIENCE: Duration = Duration::from_secs(10);
/// A link that lived so long was a good one: the next attempt follows soon.
const GOOD_LINK: Duration = Duration::from_secs(5);
/// Frames of the gateway stay below this (§2, "Limits").
const FRAME_BYTES_MAX: u32 = 1 << 31;

/// Longest name of a process; it is for people.
const PROCESS_BYTES_MAX: usize = 255;

/// Serves until the application wants no more, or it is of no use. `started` is told of the first WELCOME.
pub(crate) async fn keep(
    shared: Arc<Shared>,
    started: oneshot::Sender<()>,
    mut want: watch::Receiver<Want>,
) -> Result<(), Error> {
    let (mut backoff, mut started) = (Backoff::default(), Some(started));
    loop {
        let begun = Instant::now();
        let error = match serve(&shared, &mut started, &mut want).await {
            End::Closed => return Ok(()),
            End::Lost(error) => error,
        };
        if !shared.settings.reconnect || is_final(&error) {
            return Err(error);
        }
        if *want.borrow() != Want::Serve {
            // The gateway, or the link, went away while we were about to do so.
            return Ok(());
        }
        if begun.elapsed() >= GOOD_LINK {
            backoff.reset();
        }
        let pause = backoff.pause();
        tracing::warn!(
            "no link to the gateway at {}: {error}; next attempt in {pause:?}",
            shared.settings.path.display()
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = next_wish(&mut want) => return Ok(()),
        }
    }
}

/// Whether it would be no better the next time.
fn is_final(error: &Error) -> bool {
    match error {
        Error::Refused { code, .. } => {
            matches!(RefuseCode::from_code(*code), RefuseCode::NotHello | RefuseCode::NoCommonVersion)
        }
        _ => false,
    }
}

/// One connection, from its beginning to its end.
async fn serve(
    shared: &Arc<Shared>,
    started: &mut Option<oneshot::Sender<()>>,
    want: &mut watch::Receiver<Want>,
) -> End {
    let welcomed = tokio::select! {
        welcomed = timeout(WELCOME_PATIENCE, connect(shared)) => welcomed.unwrap_or(Err(Error::Silent)),
        _ = next_wish(want) => return End::Closed,
    };
    let (stream, welcomed) = match welcomed {
        Ok(welcomed) => welcomed,
        Err(error) => return End::Lost(error),
    };
    let limits = Limits {
        queue_bytes: shared.settings.queue_bytes,
        portion: welcomed.portion,
        frame_bytes: welcomed.frame_bytes_max,
    };
    let link = Arc::new(Link::new(limits, welcomed.window));
    let mut table = Table::new(Arc::clone(shared), Arc::clone(&link));
    shared.set_options(welcomed.options);
    shared.set_link(Some(Arc::clone(&link)));
    if let Some(started) = started.take() {
        // Who no longer waits has dropped the handle, and we shall hear of that.
        let _ = started.send(());
    }
    let end = drive(stream, welcomed.frames, &welcomed.rest, &mut table, &link, want).await;
    shared.set_link(None);
    table.lost();
    end
}

/// What came of HELLO.
struct Welcomed {
    window: u32,
    portion: u32,
    frame_bytes_max: u32,
    options: Options,
    frames: Frames,
    /// What was read behind WELCOME.
    rest: Vec<u8>,
}

/// Connects, and says HELLO and SERVE.
async fn connect(shared: &Shared) -> Result<(UnixStream, Welcomed), Error> {
    let mut stream = UnixStream::connect(&shared.settings.path).await?;
    stream.write_all(&greeting(shared)).await?;
    let mut frames = Frames::new(FRAME_BYTES_MAX);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let mut input = &buffer[..count];
        let Some(frame) = frames.next(&mut input)? else { continue };
        let (window, portion, frame_bytes_max, options) = match ToBackend::decode(frame.kind(), frame.body())?
        {
            ToBackend::Welcome(welcome) if welcome.version == VERSION => {
                // What applications may want to know is not needed to serve.
                let options = serde_json::from_str(welcome.options).unwrap_or_default();
                (welcome.window, welcome.portion, welcome.frame_bytes_max, options)
            }
            ToBackend::Refuse { code, message } => {
                return Err(Error::Refused { code: code.code(), message: message.to_owned() });
            }
            other => return Err(WireError::Kind(other.kind()).into()),
        };
        let rest = input.to_vec();
        return Ok((stream, Welcomed { window, portion, frame_bytes_max, options, frames, rest }));
    }
}

/// HELLO and SERVE. The latter needs no credit, and makes the link ready.
fn greeting(shared: &Shared) -> Vec<u8> {
    let process = &shared.settings.process;
    let hello = FromBackend::Hello(Hello {
        version_min: VERSION,
        version_max: VERSION,
        window: shared.settings.window,
        software: concat!("tidegate-backend/", env!("CARGO_PKG_VERSION")),
        process: &process[..process.floor_char_boundary(PROCESS_BYTES_MAX)],
    });
    let names: Vec<&str> = shared.namespaces.names().collect();
    let serve =
        FromBackend::Serve { dynamic: shared.namespaces.has_dynamic(), namespaces: Texts::from(&*names) };
    let mut greeting = Vec::new();
    for frame in [hello, serve] {
        frame.encode(&mut greeting).expect("names were checked when the backend was built");
    }
    greeting
}
