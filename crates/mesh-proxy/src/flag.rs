//! Why a request did what it did: Envoy's response flags.

use std::fmt;

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $short:literal, $bit:literal;)*) => {
        impl ResponseFlags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// Each flag with the short form that logs and metrics print, in the order in which they are printed.
            pub const TABLE: &[(Self, &'static str)] = &[$((Self::$name, $short)),*];
        }
    };
}

/// A set of response flags; empty prints `-`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ResponseFlags(u32);

flags! {
    /// The upstream cluster has no healthy host.
    NO_HEALTHY_UPSTREAM = "UH", 0;
    /// The upstream did not answer in time.
    UPSTREAM_REQUEST_TIMEOUT = "UT", 1;
    /// We reset the stream.
    LOCAL_RESET = "LR", 2;
    /// The upstream reset the stream.
    UPSTREAM_REMOTE_RESET = "UR", 3;
    /// The upstream could not be connected to.
    UPSTREAM_CONNECTION_FAILURE = "UF", 4;
    /// The upstream closed the connection before it answered.
    UPSTREAM_CONNECTION_TERMINATION = "UC", 5;
    /// A circuit breaker tripped.
    UPSTREAM_OVERFLOW = "UO", 6;
    /// No route, or no filter chain, matched.
    NO_ROUTE_FOUND = "NR", 7;
    /// A delay was injected.
    DELAY_INJECTED = "DI", 8;
    /// A fault was injected.
    FAULT_INJECTED = "FI", 9;
    /// A rate limit was hit.
    RATE_LIMITED = "RL", 10;
    /// External authorization, or RBAC, refused.
    UNAUTHORIZED_EXTERNAL_SERVICE = "UAEX", 11;
    /// The client closed the connection.
    DOWNSTREAM_CONNECTION_TERMINATION = "DC", 12;
    /// All retries were used.
    UPSTREAM_RETRY_LIMIT_EXCEEDED = "URX", 13;
    /// The stream was idle for too long.
    STREAM_IDLE_TIMEOUT = "SI", 14;
    /// The client broke the protocol.
    DOWNSTREAM_PROTOCOL_ERROR = "DPE", 15;
    /// The upstream's longest stream life was reached.
    UPSTREAM_MAX_STREAM_DURATION_REACHED = "UMSDR", 16;
    /// The stream lived for too long.
    DURATION_TIMEOUT = "DT", 17;
    /// The upstream broke the protocol.
    UPSTREAM_PROTOCOL_ERROR = "UPE", 18;
    /// The route's cluster is not known.
    NO_CLUSTER_FOUND = "NC", 19;
    /// The proxy is overloaded.
    OVERLOAD_MANAGER = "OM", 20;
}

impl ResponseFlags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// Whether no flag is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets all of `other`.
    pub fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Display for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        let set = Self::TABLE.iter().filter(|(flag, _)| self.contains(*flag));
        for (i, (_, short)) in set.enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            f.write_str(short)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ResponseFlags;

    #[test]
    fn prints_short_forms() {
        let mut flags = ResponseFlags::NONE;
        assert_eq!(flags.to_string(), "-");
        flags.insert(ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED);
        flags.insert(ResponseFlags::UPSTREAM_CONNECTION_FAILURE);
        assert_eq!(flags.to_string(), "UF,URX");
    }
}
