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
    /// All retries were used. Envoy sets it before what went wrong the last time, and prints in that order.
    UPSTREAM_RETRY_LIMIT_EXCEEDED = "URX", 15;
    /// Our own health check fails.
    FAILED_LOCAL_HEALTH_CHECK = "LH", 0;
    /// The upstream cluster has no healthy host.
    NO_HEALTHY_UPSTREAM = "UH", 1;
    /// The upstream did not answer in time.
    UPSTREAM_REQUEST_TIMEOUT = "UT", 2;
    /// We reset the stream.
    LOCAL_RESET = "LR", 3;
    /// The upstream reset the stream.
    UPSTREAM_REMOTE_RESET = "UR", 4;
    /// The upstream could not be connected to.
    UPSTREAM_CONNECTION_FAILURE = "UF", 5;
    /// The upstream closed the connection before it answered.
    UPSTREAM_CONNECTION_TERMINATION = "UC", 6;
    /// A circuit breaker tripped.
    UPSTREAM_OVERFLOW = "UO", 7;
    /// No route, or no filter chain, matched.
    NO_ROUTE_FOUND = "NR", 8;
    /// A delay was injected.
    DELAY_INJECTED = "DI", 9;
    /// A fault was injected.
    FAULT_INJECTED = "FI", 10;
    /// A rate limit was hit.
    RATE_LIMITED = "RL", 11;
    /// External authorization, or RBAC, refused.
    UNAUTHORIZED_EXTERNAL_SERVICE = "UAEX", 12;
    /// The rate limit service could not be asked.
    RATE_LIMIT_SERVICE_ERROR = "RLSE", 13;
    /// The client closed the connection.
    DOWNSTREAM_CONNECTION_TERMINATION = "DC", 14;
    /// The stream was idle for too long.
    STREAM_IDLE_TIMEOUT = "SI", 16;
    /// The request holds a value that its strictly checked header must not have.
    INVALID_ENVOY_REQUEST_HEADERS = "IH", 17;
    /// The client broke the protocol.
    DOWNSTREAM_PROTOCOL_ERROR = "DPE", 18;
    /// The upstream's longest stream life was reached.
    UPSTREAM_MAX_STREAM_DURATION_REACHED = "UMSDR", 19;
    /// The response came from the cache of a filter.
    RESPONSE_FROM_CACHE_FILTER = "RFCF", 20;
    /// A filter's configuration has not come.
    NO_FILTER_CONFIG_FOUND = "NFCF", 21;
    /// The stream lived for too long.
    DURATION_TIMEOUT = "DT", 22;
    /// The upstream broke the protocol.
    UPSTREAM_PROTOCOL_ERROR = "UPE", 23;
    /// The route's cluster is not known.
    NO_CLUSTER_FOUND = "NC", 24;
    /// The proxy is overloaded.
    OVERLOAD_MANAGER = "OM", 25;
    /// The host could not be resolved.
    DNS_RESOLUTION_FAILED = "DF", 26;
    /// The cluster drops a share of its requests.
    DROP_OVERLOAD = "DO", 27;
    /// The client reset the stream.
    DOWNSTREAM_REMOTE_RESET = "DR", 28;
    /// The cluster drops all of its requests.
    UNCONDITIONAL_DROP_OVERLOAD = "UDO", 29;
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
        assert_eq!(flags.to_string(), "URX,UF");
    }
}
