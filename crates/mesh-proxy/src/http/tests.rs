//! Whole requests through the proxy, in process, over loopback.

mod harness;
mod plain;
