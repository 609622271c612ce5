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
    /// The next on a ring of hashes.
    RingHash(RingHash),
    /// By a table that hashes fill evenly; its size is a prime, at most [`LARGEST_MAGLEV_TABLE`].
    Maglev {
        /// Entries of the table.
        table_size: u32,
    },
    /// By the discovery itself (original destination).
    ClusterProvided,
}

/// Envoy's entries of a Maglev table where nothing is set.
pub const DEFAULT_MAGLEV_TABLE: u32 = 65_537;
/// Envoy's largest Maglev table.
pub const LARGEST_MAGLEV_TABLE: u32 = 5_000_011;
/// Envoy's largest ring.
pub const LARGEST_RING: u32 = 8 * 1024 * 1024;

/// A ring of hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingHash {
    /// It has at least so many entries (at least 1), and the same number for each endpoint of the same weight.
    pub minimum_size: u32,
    /// But never more than so many; at most [`LARGEST_RING`].
    pub maximum_size: u32,
    /// How an endpoint's entries are placed.
    pub function: HashFunction,
}

impl Default for RingHash {
    fn default() -> Self {
        Self {
            minimum_size: 1024,
            maximum_size: LARGEST_RING,
            function: HashFunction::default(),
        }
    }
}

/// A hash function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashFunction {
    /// xxHash, 64 bits.
    #[default]
    XxHash,
    /// MurmurHash2 for 64 bits, as the GNU C++ library has it.
    MurmurHash2,
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
