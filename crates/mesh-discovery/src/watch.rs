//! Where the objects come from: sources that yield changes, and the typed stores that they end in.

mod delta;
mod stores;

pub use delta::{Delta, Kind, ObjectRef, Stored};
pub use stores::{Stores, Touched};
