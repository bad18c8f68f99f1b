//! The link to backends as both ends meet it: the real gateway between raw clients and raw backends.
//!
//! The backends speak the frames of docs/backend-protocol.md, and nothing else: no SDK is in the way. Every test has a
//! gateway of its own. What concerns the socket's file is in `backend_socket.rs`.
#![allow(clippy::unwrap_used, reason = "a test, its helpers included, may panic")]

#[path = "support"]
mod support {
    pub(crate) mod child;
    pub(crate) mod gateway;
}

#[path = "backends"]
mod backends {
    mod app;
    mod churn;
    mod client;
    mod fake;
    mod handover;
    mod holding;
    mod hostile;
    mod operating;
    mod order;
    mod rig;
    mod seeded;
    mod slow;
}
