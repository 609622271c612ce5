//! Faults that are put into requests on purpose (Envoy `HTTPFault`).

use crate::matcher::{Fraction, HeaderMatch};
use std::time::Duration;

/// What is done to a share of requests. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Requests are held up.
    pub delay: Option<Delay>,
    /// Requests are answered instead of being sent on, after their delay.
    pub abort: Option<Abort>,
    /// Only requests that match all of these are touched.
    pub headers: Vec<HeaderMatch>,
}

/// A delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// How long.
    pub duration: Duration,
    /// Of how many requests.
    pub fraction: Fraction,
}

/// An answer of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abort {
    /// What is answered.
    pub status: AbortStatus,
    /// To how many requests.
    pub fraction: Fraction,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortStatus {
    /// An HTTP status, 200 to 599.
    Http(u16),
    /// A gRPC status; who does not speak gRPC gets the HTTP status for it.
    Grpc(u32),
}
