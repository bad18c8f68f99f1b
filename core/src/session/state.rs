//! The life of a session, as a table (protocol.md 1.11, 1.12).

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Its transport is long-polling.
    Polling,
    /// As `Polling`, while a WebSocket tries to take over.
    Probing,
    /// Its transport is WebSocket.
    WebSocket,
    /// Closed by the server; a polling client still has to fetch what was queued and the news.
    Lingering,
    /// Over.
    Closed,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A WebSocket asks to take over.
    CandidateArrived,
    /// That WebSocket failed, or took too long.
    CandidateLost,
    /// That WebSocket has taken over.
    Upgraded,
    /// The server closes, and the client is not there to hear it.
    Deferred,
    /// The end.
    Ended,
}

impl State {
    /// The whole machine. A pair that is not here must not happen.
    pub fn next(self, step: Step) -> Option<Self> {
        use State::{Closed, Lingering, Polling, Probing, WebSocket};
        use Step::{CandidateArrived, CandidateLost, Deferred, Ended, Upgraded};
        Some(match (self, step) {
            (Polling, CandidateArrived) => Probing,
            (Probing, CandidateLost) => Polling,
            (Probing, Upgraded) => WebSocket,
            (Polling | Probing, Deferred) => Lingering,
            // The candidate of a session that was closed meanwhile comes, gets the queue, and ends it.
            (Lingering, CandidateLost) => Lingering,
            (Polling | Probing | WebSocket | Lingering, Ended) => Closed,
            _ => return None,
        })
    }

    /// Whether packets still travel by long-polling.
    pub fn is_polling(self) -> bool {
        matches!(self, Self::Polling | Self::Probing | Self::Lingering)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Closed, Lingering, Polling, Probing, WebSocket};
    use Step::{CandidateArrived, CandidateLost, Deferred, Ended, Upgraded};

    #[test]
    fn the_machine_is_this_table() {
        let mut table = String::new();
        for state in [Polling, Probing, WebSocket, Lingering, Closed] {
            for step in [CandidateArrived, CandidateLost, Upgraded, Deferred, Ended] {
                if let Some(next) = state.next(step) {
                    table.push_str(&format!("{state:?} + {step:?} = {next:?}\n"));
                }
            }
        }
        print!("{table}");
        assert_eq!(
            table,
            "Polling + CandidateArrived = Probing\n\
             Polling + Deferred = Lingering\n\
             Polling + Ended = Closed\n\
             Probing + CandidateLost = Polling\n\
             Probing + Upgraded = WebSocket\n\
             Probing + Deferred = Lingering\n\
             Probing + Ended = Closed\n\
             WebSocket + Ended = Closed\n\
             Lingering + CandidateLost = Lingering\n\
             Lingering + Ended = Closed\n"
        );
    }
}
