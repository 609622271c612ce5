//! The mesh as objects of a cluster: what they are, and bringing them there and away again.
//!
//! ```text
//! options    what the user sets: --set, -f
//! manifest   the objects, as a pure function of the options
//! check      whether the programs would read them
//! webhook    what decides beside the config maps, once it is installed
//! installed  all of that, asked of a cluster
//! ownership  whose the objects are that are there already
//! apply      server-side apply, one after another; the same twice changes nothing
//! wait       until all is ready, or who is not and why
//! remove     away again: all of it, a revision, or what a newer manifest lacks
//! ```

pub(crate) mod apply;
pub(crate) mod check;
pub(crate) mod installed;
pub(crate) mod manifest;
pub(crate) mod options;
pub(crate) mod ownership;
pub(crate) mod remove;
pub(crate) mod wait;
pub(crate) mod webhook;
