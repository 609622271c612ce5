//! How an endpoint of a cluster is picked.

/// How an endpoint is picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LbPolicy {
    /// In turn.
    #[default]
    RoundRobin,
    /// The one with fewer active requests of two picked at random.
    LeastRequest,
    /// At random.
    Random,
    /// By the discovery itself (original destination).
    ClusterProvided,
}

/// A whole percentage, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(pub(super) u8);

impl Percent {
    /// 0 %.
    pub const ZERO: Self = Self(0);
    /// 100 %.
    pub const HUNDRED: Self = Self(100);

    /// `value` percent; `None` above 100.
    pub fn new(value: u8) -> Option<Self> {
        (value <= 100).then_some(Self(value))
    }

    /// The number, 0 to 100.
    pub fn get(self) -> u8 {
        self.0
    }
}
