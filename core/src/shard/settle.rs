//! What follows from a step: the application is told, and what that leads to is done, until nothing follows.

use super::app::BroadcastAnswer;
use super::state::Call;
use super::{Io, Shard};

impl Shard {
    /// Does what follows from what has just happened, until nothing follows any more: the tick is over.
    pub(super) fn settle(&mut self) {
        loop {
            self.tell_app();
            if let Some(socket) = self.core.accepted.pop_front() {
                self.core.accept(socket);
            } else if let Some(conn) = self.core.resumable.pop() {
                self.resume_conn(conn);
            } else if let Some(conn) = self.core.slow.pop() {
                self.core.slow_consumer(conn);
            } else if let Some(session) = self.core.doomed.pop() {
                self.core.drop_slow_session(session);
            } else {
                break;
            }
        }
        self.core.forget_left();
        self.core.publish_interest();
    }

    /// Tells the application what has happened so far. Must not be called while the application is.
    pub(super) fn tell_app(&mut self) {
        while let Some(call) = self.core.calls.pop_front() {
            self.call(call);
        }
    }

    /// Has the application give away what it has gathered, if it has asked for that. Again, if that or what
    /// follows from it makes it ask again: nothing may lie here until the next input.
    pub(super) fn flush(&mut self) {
        while std::mem::take(&mut self.core.wants_flush) {
            self.core.begin(self.core.now);
            self.app.flush(&mut Io::new(&mut self.core));
            self.settle();
        }
    }

    fn call(&mut self, call: Call) {
        let Self { core, app } = self;
        match call {
            Call::Connected(socket) => {
                let key = core.socket_key(socket);
                app.connected(&mut Io::new(core), key);
            }
            Call::Disconnected(departed) => app.disconnected(&mut Io::new(core), departed),
            Call::Abandoned(socket) => app.abandoned(&mut Io::new(core), socket),
            Call::Acknowledged(ticket, Ok(args)) => {
                app.acknowledged(&mut Io::new(core), ticket, Ok(args.as_ref()));
            }
            Call::Acknowledged(ticket, Err(error)) => {
                app.acknowledged(&mut Io::new(core), ticket, Err(error));
            }
            Call::BroadcastAcknowledged(ticket, acks) => {
                app.broadcast_acknowledged(&mut Io::new(core), ticket, acks);
            }
            Call::ClientsAsked(ticket, count) => {
                app.broadcast_answered(&mut Io::new(core), ticket, BroadcastAnswer::Asked(count));
            }
            Call::ClientAnswered(ticket, args) => {
                app.broadcast_answered(&mut Io::new(core), ticket, BroadcastAnswer::Answer(args.as_ref()));
            }
            Call::ClientsAnswered(ticket, timed_out) => {
                app.broadcast_answered(&mut Io::new(core), ticket, BroadcastAnswer::Done { timed_out });
            }
            Call::Upgraded(session) => app.upgraded(&mut Io::new(core), session),
            Call::Fetched(ticket, sockets) => app.fetched(&mut Io::new(core), ticket, sockets),
            Call::Woken(ticket) => app.woken(&mut Io::new(core), ticket),
            Call::PortOpened(port) => app.port_opened(&mut Io::new(core), port),
            Call::PortClosed(port) => app.port_closed(&mut Io::new(core), port),
            Call::Told(from, message) => app.told(&mut Io::new(core), from, message),
        }
    }
}
