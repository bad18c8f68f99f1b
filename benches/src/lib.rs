//! What Tidegate is measured against, and the runner that does it.
//!
//! `floor` is the least a server can do: epoll, `recv`, a little byte surgery, `send`. `runner` starts servers
//! and the load generator on different cores and compares; `render` makes tables and charts
//! of the results. The peers are binaries of their own.
#![forbid(unsafe_code)]

pub mod floor;
pub mod render;
pub mod runner;
