//! The stream of a link, registered with the runtime for what it is waited for, and no more.
//!
//! A stream of tokio is registered for reading and for writing at once: whenever the gateway takes what was written,
//! the kernel says that more can be written, and wakes a thread that has nothing to write. A backend that has little
//! to do would be woken twice for each event, and being woken is most of what an event costs it.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::coop;

/// What comes from the gateway.
#[derive(Debug)]
pub(crate) struct Reader(AsyncFd<UnixStream>);

/// The way to the gateway.
#[derive(Debug)]
pub(crate) struct Writer {
    stream: UnixStream,
    /// A descriptor of its own for the wait until more can be written, while there is one.
    full: Option<AsyncFd<UnixStream>>,
}

/// Both ends of one stream, which must not block.
///
/// # Errors
/// There are no descriptors left, or the runtime does not take one.
pub(crate) fn split(stream: UnixStream) -> io::Result<(Reader, Writer)> {
    let reader = register(stream.try_clone()?, Interest::READABLE)?;
    Ok((Reader(reader), Writer { stream, full: None }))
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, because there are types whose descriptor may change; that of a UnixStream never does"
)]
fn register(stream: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(stream, interest)
}

impl Reader {
    /// Reads what is there, and waits if that is nothing. Returns 0 at the end of the stream. Nothing is lost when it
    /// is cancelled.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A gateway that always has something to say leaves time for other tasks.
        coop::consume_budget().await;
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|stream| stream.get_ref().read(buffer)) {
                Ok(Ok(count)) => {
                    if count < buffer.len() {
                        // That was all: what comes next says so (epoll(7), "edge-triggered"), and need not be looked for.
                        ready.clear_ready();
                    }
                    return Ok(count);
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error),
                // Would block.
                Err(_) => {}
            }
        }
    }
}

impl Writer {
    /// Writes as much as the kernel takes, and waits if that is nothing. Nothing is written when it is cancelled.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            if let Some(full) = &self.full {
                full.writable().await?.clear_ready();
            }
            match self.stream.write(bytes) {
                Ok(count) => {
                    self.full = None;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.full.is_none() {
                        self.full = Some(register(self.stream.try_clone()?, Interest::WRITABLE)?);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn pair() -> (Reader, Writer, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (reader, writer) = split(ours).unwrap();
        (reader, writer, theirs)
    }

    #[tokio::test]
    async fn what_comes_is_read_in_order_up_to_the_end() {
        let (mut reader, _writer, mut theirs) = pair();
        let mut buffer = [0; 4];
        theirs.write_all(b"hello").unwrap();
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 4);
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 1);
        let late = std::thread::spawn(move || {
            theirs.write_all(b"more").unwrap();
            drop(theirs);
        });
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 4);
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 0);
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 0, "the end stays the end");
        late.join().unwrap();
    }

    #[tokio::test]
    async fn a_short_read_and_the_end_that_came_with_it_are_both_seen() {
        let (mut reader, _writer, mut theirs) = pair();
        theirs.write_all(b"bye").unwrap();
        drop(theirs);
        let mut buffer = [0; 16];
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 3);
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_the_kernel_does_not_take_is_written_when_there_is_room() {
        const ALL: usize = 8 << 20;
        let (reader, mut writer, mut theirs) = pair();
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).unwrap();
            all
        });
        let bytes: Vec<u8> = (0..ALL).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let mut written = 0;
        while written < ALL {
            written += writer.write(&bytes[written..]).await.unwrap();
        }
        drop((writer, reader));
        assert_eq!(reading.join().unwrap(), bytes);
    }

    #[tokio::test]
    async fn a_write_that_is_given_up_has_written_nothing() {
        let (_reader, mut writer, mut theirs) = pair();
        let mut total = 0;
        let chunk = [7; 4096];
        while let Ok(count) = tokio::time::timeout(Duration::ZERO, writer.write(&chunk)).await {
            total += count.unwrap();
        }
        assert!(writer.full.is_some());
        let mut room = vec![0; total];
        theirs.read_exact(&mut room).unwrap();
        assert_eq!(writer.write(b"x").await.unwrap(), 1);
        assert!(writer.full.is_none(), "nothing is waited for any more");
        theirs.read_exact(&mut room[..1]).unwrap();
        assert_eq!(room[0], b'x');
    }
}
