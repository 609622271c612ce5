//! What the objects of a cluster mean for one pod. Pure: nothing is asked here.

pub(crate) mod destination; // what its proxy does for its services
pub(crate) mod hooks; // which webhooks there are, and whose pods they meet
pub(crate) mod injection; // which webhook would inject it
pub(crate) mod labels; // selectors, with the label that decided
pub(crate) mod peers; // who may call it, and how
pub(crate) mod pod; // what it says itself
pub(crate) mod service; // what leads to it
