//! Which IP versions a pod has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The IP versions of a pod's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Families {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// Both.
    Dual,
}

impl Families {
    /// Those of `addresses`; IPv4 if there are none.
    pub fn of(addresses: &[IpAddr]) -> Self {
        let v4 = addresses.iter().any(IpAddr::is_ipv4);
        let v6 = addresses.iter().any(IpAddr::is_ipv6);
        match (v4, v6) {
            (true, true) => Self::Dual,
            (false, true) => Self::V6,
            (_, false) => Self::V4,
        }
    }

    /// Whether a pod with these can reach `address`.
    pub(super) fn reach(self, address: IpAddr) -> bool {
        match self {
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
            Self::Dual => true,
        }
    }

    /// Of two things, one for each IP version, those that are wanted: at least one, IPv4's first.
    pub(super) fn choose<T>(self, v4: T, v6: T) -> (T, Option<T>) {
        match self {
            Self::V4 => (v4, None),
            Self::V6 => (v6, None),
            Self::Dual => (v4, Some(v6)),
        }
    }

    /// The addresses that stand for any.
    pub(super) fn wildcards(self) -> (IpAddr, Option<IpAddr>) {
        self.choose(Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into())
    }

    /// [`Self::wildcards`] at `port`.
    pub(super) fn any(self, port: u16) -> (SocketAddr, Option<SocketAddr>) {
        let (first, other) = self.wildcards();
        let at_port = |address| SocketAddr::new(address, port);
        (at_port(first), other.map(at_port))
    }
}
