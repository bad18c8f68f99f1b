//! Which core a new link goes to: the one with the fewest.

use std::sync::atomic::{AtomicUsize, Ordering};
use tidegate_core::id::ShardIndex;

/// How many links each core has, those on their way to it included.
#[derive(Debug)]
pub(crate) struct LinkPlaces {
    by_core: Box<[AtomicUsize]>,
}

impl LinkPlaces {
    /// No links yet, on `cores` cores.
    pub(crate) fn new(cores: u16) -> Self {
        Self { by_core: (0..cores).map(|_| AtomicUsize::new(0)).collect() }
    }

    /// Takes a place on the core that has the fewest links, unless `most` are taken. Only one thread may do that.
    pub(crate) fn enter(&self, most: usize) -> Option<ShardIndex> {
        let taken = || self.by_core.iter().map(|links| links.load(Ordering::Relaxed));
        if taken().sum::<usize>() >= most {
            return None;
        }
        let (_, core) = taken().zip(0..).min()?;
        self.by_core[usize::from(core)].fetch_add(1, Ordering::Relaxed);
        Some(ShardIndex(core))
    }

    /// Gives a place on this core back. Each core does so for its own.
    pub(crate) fn leave(&self, core: ShardIndex) {
        self.by_core[core.as_usize()].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_go_where_the_fewest_are_and_no_more_than_allowed() {
        let places = LinkPlaces::new(3);
        let enter = || places.enter(5).map(|core| core.0);
        assert_eq!([(); 6].map(|()| enter()), [Some(0), Some(1), Some(2), Some(0), Some(1), None]);
        places.leave(ShardIndex(1));
        places.leave(ShardIndex(1));
        assert_eq!([(); 3].map(|()| enter()), [Some(1), Some(1), None]);
    }
}
