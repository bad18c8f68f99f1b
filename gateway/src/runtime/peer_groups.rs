//! The supplementary groups of whoever is at the other end of a Unix stream (`SO_PEERGROUPS` of unix(7)).
//!
//! The kernel noted them when the peer connected. What `/proc` says of a process may be about another one by now.

use nix::libc;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Groups that are asked for at first; few processes have more.
const GROUPS: usize = 64;
/// The kernel's own limit (`NGROUPS_MAX`).
const GROUPS_MAX: usize = 65_536;

/// The groups, the primary one not necessarily among them.
///
/// # Errors
///
/// If the stream is no connected Unix stream.
pub(crate) fn peer_groups(stream: BorrowedFd<'_>) -> io::Result<Vec<libc::gid_t>> {
    let mut groups = vec![0; GROUPS];
    loop {
        let mut bytes =
            libc::socklen_t::try_from(size_of_val(groups.as_slice())).expect("at most GROUPS_MAX groups");
        // SAFETY: the descriptor is borrowed, so it is open; the kernel writes at most `bytes` bytes, which is the
        // size of the buffer, all of it initialised and of a type that any bits are valid for.
        let result = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        let count = bytes as usize / size_of::<libc::gid_t>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // With this error the kernel says how much it takes.
        let is_too_small = error.raw_os_error() == Some(libc::ERANGE);
        if !is_too_small || count <= groups.len() || count > GROUPS_MAX {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    #[test]
    fn both_ends_of_a_pair_have_the_groups_of_this_process() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut groups = peer_groups(ours.as_fd()).unwrap();
        let mut own: Vec<u32> =
            rustix::process::getgroups().unwrap().into_iter().map(rustix::process::Gid::as_raw).collect();
        groups.sort_unstable();
        own.sort_unstable();
        assert_eq!(groups, own);
    }

    #[test]
    fn a_file_that_is_no_socket_has_no_peer() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(peer_groups(file.as_fd()).is_err());
    }
}
