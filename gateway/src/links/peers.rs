//! Who may dial in. The file's permissions are the first gate; this is the second, and does not depend on them.
//!
//! Allowed are the gateway's own user, root, and, if a group is configured, those who were in it when they connected:
//! it was their primary (effective) group or a supplementary one. The kernel noted both with the connection, so
//! nothing that the peer does later changes the answer.

use crate::runtime::peer_groups::peer_groups;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

const ROOT: u32 = 0;

/// The rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peers {
    /// The user of this process.
    pub(super) own: u32,
    /// The group, by number.
    pub(super) group: Option<u32>,
}

/// One who may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stranger {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Peers {
    /// The rule for this process.
    pub(super) fn new(group: Option<u32>) -> Self {
        Self { own: rustix::process::geteuid().as_raw(), group }
    }

    /// Lets the peer of a stream in, or says who it is.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell: the stream is not to be trusted then.
    pub(super) fn check(&self, stream: &OwnedFd) -> io::Result<Result<(), Stranger>> {
        // Not rustix's: its process ids are never 0, and a peer in another pid namespace (a container) has that one.
        let peer = getsockopt(stream, PeerCredentials)?;
        let groups = || peer_groups(stream.as_fd());
        let may = self.allow(peer.uid(), peer.gid(), groups)?;
        Ok(if may { Ok(()) } else { Err(Stranger { user: peer.uid(), group: peer.gid() }) })
    }

    fn allow(
        &self,
        user: u32,
        primary: u32,
        groups: impl FnOnce() -> io::Result<Vec<u32>>,
    ) -> io::Result<bool> {
        if user == self.own || user == ROOT {
            return Ok(true);
        }
        let Some(group) = self.group else { return Ok(false) };
        Ok(primary == group || groups()?.contains(&group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_user_root_and_members_of_the_group_may_and_nobody_else() {
        for (group, user, primary, supplementary, may) in [
            (None, 1000, 1000, &[][..], true),
            (None, ROOT, 0, &[], true),
            (None, 1001, 1000, &[1000, 0], false),
            (Some(50), 1001, 50, &[], true),
            (Some(50), 1001, 1001, &[7, 50], true),
            (Some(50), 1001, 1001, &[7, 0], false),
        ] {
            let peers = Peers { own: 1000, group };
            let allowed = peers.allow(user, primary, || Ok(supplementary.to_vec())).unwrap();
            assert_eq!(allowed, may, "{group:?} {user} {primary} {supplementary:?}");
        }
    }

    #[test]
    fn the_peer_of_a_pair_is_this_process() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(Peers::new(None).check(&ours.into()).unwrap(), Ok(()));
    }
}
