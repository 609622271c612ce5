//! What every process of the mesh shares: logs, shutdown, owned tasks, readiness, build information.
//!
//! A binary wires these at its start and hands them on; no library of the mesh reaches for a global one, but for the
//! log macros. Nothing here knows what the process does.

pub mod build; // which program this is
#[cfg(feature = "control-plane")]
pub mod cert_time; // whether TLS failed because of a clock
#[cfg(feature = "control-plane")]
pub mod control_plane; // the way to it, for those that need one
pub mod listen; // where it listens
pub mod log; // what it says, and how loud
pub mod metrics; // what it counts
pub mod readiness; // whether it can serve yet, and what is missing
pub mod shutdown; // when it should stop
pub mod tasks; // what it runs, and that nothing outlives it
