//! mesh-discovery: the control plane, from Kubernetes objects to xDS.
//!
//! Modules stand in the order of a change's path.

// where the objects come from
pub mod watch;

// the world as of one moment
pub mod snapshot;

// world to xDS, pure
pub mod translate;

pub mod ca;
