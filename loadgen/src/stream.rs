//! One non-blocking TCP stream: bytes in, bytes out, and what the kernel would not take yet.
//!
//! An idle stream holds no buffer: reads go into the worker's, and only an incomplete message is kept here.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, bind, connect, recv, send,
    shutdown, socket_with, sockopt,
};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Bytes the kernel refused that one stream holds before the server counts as not reading.
const UNSENT_BYTES_MAX: usize = 16 << 20;
/// Room there must be for a read.
const READ_BYTES_MIN: usize = 64 << 10;

/// A TCP stream to the server.
pub(crate) struct Stream {
    fd: OwnedFd,
    unsent: Vec<u8>,
    /// The beginning of a message whose end has not come.
    partial: Vec<u8>,
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Bytes, and nothing more in the kernel for now.
    All,
    /// Bytes, and perhaps more to read.
    Some,
    /// Nothing for now.
    Nothing,
    /// The server closed its half.
    End,
}

impl Stream {
    /// Starts connecting, from `source` if given. Writable when it is done, well or badly.
    pub(crate) fn connect(target: SocketAddr, source: Option<IpAddr>) -> io::Result<Self> {
        let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = socket_with(family, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_nodelay(&fd, true)?;
        if let Some(source) = source {
            bind(&fd, &SocketAddr::new(source, 0))?;
        }
        match connect(&fd, &target) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(Self { fd, unsent: Vec::new(), partial: Vec::new() }),
            Err(error) => Err(error.into()),
        }
    }

    /// How connecting ended. Ask when the stream first becomes writable.
    pub(crate) fn connect_result(&self) -> io::Result<()> {
        Ok(sockopt::socket_error(&self.fd)??)
    }

    /// Reads once. `buffer` then starts with what was kept of the last read; `length` says where it ends.
    pub(crate) fn receive(&mut self, buffer: &mut Vec<u8>, length: &mut usize) -> io::Result<Received> {
        let kept = self.partial.len();
        if buffer.len() < kept + READ_BYTES_MIN {
            buffer.resize(kept + 2 * READ_BYTES_MIN, 0);
        }
        buffer[..kept].copy_from_slice(&self.partial);
        let room = buffer.len() - kept;
        *length = kept;
        match recv(&self.fd, &mut buffer[kept..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => Ok(Received::End),
            Ok((count, _)) => {
                *length += count;
                Ok(if count < room { Received::All } else { Received::Some })
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Received::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps the incomplete end of what was read for the next `receive`.
    pub(crate) fn keep(&mut self, rest: &[u8]) {
        self.partial.clear();
        self.partial.extend_from_slice(rest);
    }

    /// True if the beginning of a message has come whose end has not.
    pub(crate) fn has_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Sends, or keeps what the kernel does not take until the stream is writable.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = if self.unsent.is_empty() { self.try_send(bytes)? } else { 0 };
        if sent < bytes.len() {
            self.unsent.extend_from_slice(&bytes[sent..]);
            if self.unsent.len() > UNSENT_BYTES_MAX {
                return Err(io::Error::other("the server does not read"));
            }
        }
        Ok(())
    }

    /// Sends what was kept. Call it when the stream is writable.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let sent = self.try_send(&self.unsent)?;
        self.unsent.drain(..sent);
        Ok(())
    }

    /// Says that nothing more will be sent. A stream that is gone already is fine.
    pub(crate) fn finish(&self) {
        let _gone_already = shutdown(&self.fd, Shutdown::Write);
    }

    fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        match send(&self.fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) => Ok(sent),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
