//! One connection to the gateway, from WELCOME to its end.
//!
//! A batch of the gateway ends with TICK. Until then nothing is written (unless it is too much for one tick
//! anyway), so that what handlers answer leaves in one write. If the end of a batch does not come soon, that
//! is no reason to keep clients waiting.

use super::Link;
use super::stream::split;
use super::table::{Meaning, Table};
use crate::backend::Want;
use crate::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::backend::wire::{Frames, FromBackend};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// How long the rest of a batch is waited for.
const BATCH_PATIENCE: Duration = Duration::from_millis(5);
/// How long a backend that closes waits for the gateway to take what is queued.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// As this backend wanted.
    Closed,
    /// The gateway went away, or refused us.
    Lost(Error),
}

/// Drives the connection until it ends. `rest` is what was read behind WELCOME.
pub(crate) async fn drive(
    stream: UnixStream,
    mut frames: Frames,
    rest: &[u8],
    table: &mut Table,
    link: &Arc<Link>,
    want: &mut watch::Receiver<Want>,
) -> End {
    let mut intake = Intake { frames: &mut frames, table, within_batch: false };
    if let Some(end) = intake.take_in(rest) {
        return end;
    }
    let (mut reader, mut writer) = match stream.into_std().and_then(split) {
        Ok(ends) => ends,
        Err(error) => return lost(error),
    };
    let mut buffer = vec![0; READ_BYTES].into_boxed_slice();
    let (mut out, mut written) = (Vec::new(), 0);
    let mut closing = None;
    loop {
        if written == out.len() {
            out.clear();
            written = 0;
            link.take(&mut out, intake.within_batch);
        }
        if closing.is_some() && out.is_empty() && !link.is_blocked() {
            return End::Closed;
        }
        let deadline = async {
            match closing {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            count = writer.write(&out[written..]), if written < out.len() => match count {
                Ok(0) => return lost(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) => return lost(error),
            },
            count = reader.read(&mut buffer) => match count {
                Ok(0) => return lost(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => if let Some(end) = intake.take_in(&buffer[..count]) {
                    return end;
                },
                Err(error) => return lost(error),
            },
            () = link.woken() => {}
            () = async { sleep(BATCH_PATIENCE).await }, if intake.within_batch => intake.within_batch = false,
            () = deadline => return End::Closed,
            wanted = next_wish(want), if closing.is_none() => match wanted {
                Want::Serve => {}
                Want::Drain => link.control(&FromBackend::Drain),
                Want::Close => closing = Some(Instant::now() + CLOSE_PATIENCE),
            },
        }
    }
}

/// What the application wants next. Who drops its handle wants no more.
pub(crate) async fn next_wish(want: &mut watch::Receiver<Want>) -> Want {
    match want.changed().await {
        Ok(()) => *want.borrow_and_update(),
        Err(_) => Want::Close,
    }
}

fn lost(error: io::Error) -> End {
    End::Lost(Error::Io(error))
}

/// Cuts what was read into frames, and hands them to the table.
struct Intake<'a> {
    frames: &'a mut Frames,
    table: &'a mut Table,
    within_batch: bool,
}

impl Intake<'_> {
    /// Returns how the connection ends, if it does.
    fn take_in(&mut self, mut input: &[u8]) -> Option<End> {
        let end = loop {
            match self.frames.next(&mut input) {
                Ok(None) => break None,
                Ok(Some(frame)) => match self.table.handle(&frame) {
                    Ok(Meaning::InBatch) => self.within_batch = true,
                    Ok(Meaning::Aside) => {}
                    Ok(Meaning::Tick) => self.within_batch = false,
                    Ok(Meaning::Drained) => break Some(End::Closed),
                    Ok(Meaning::Refused { code, message }) => {
                        break Some(End::Lost(Error::Refused { code: code.code(), message }));
                    }
                    Err(error) => break Some(End::Lost(Error::Protocol(error))),
                },
                Err(error) => break Some(End::Lost(Error::Protocol(error))),
            }
        };
        self.table.settle();
        end
    }
}
