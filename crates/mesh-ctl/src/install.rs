//! The mesh as objects of a cluster: what they are, and bringing them there and away again.
//!
//! ```text
//! options    what the user sets: --set, -f
//! manifest   the objects, as a pure function of the options
//! apply      server-side apply, one after another; the same twice changes nothing
//! wait       until all is ready, or who is not and why
//! remove     away again
//! ```

pub(crate) mod apply;
pub(crate) mod manifest;
pub(crate) mod options;
pub(crate) mod remove;
pub(crate) mod wait;
