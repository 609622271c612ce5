//! From changes to what each proxy is sent: when to push, what there is, who needs what.
//!
//! [`debounce`] decides when; [`pipeline`] applies changes to the world and publishes it; [`published`] is what every
//! stream reads; [`cache`] encodes each resource once for all; [`plan`] says what a change means to one proxy. Knows
//! streams only as readers.

pub mod cache; // encoded once
pub mod debounce; // when
pub mod fixed_mesh; // settings of the mesh from a file
pub mod pipeline; // changes → world → published
pub mod plan; // who needs what
pub mod published; // what streams read

pub use published::Published;
