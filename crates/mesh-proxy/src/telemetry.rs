//! Beside the path: what is measured and logged.

pub mod record; // what one finished request or connection left behind
