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

    /// The addresses that stand for any, IPv4 first.
    pub(super) fn wildcards(self) -> Vec<IpAddr> {
        let all = [
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ];
        all.into_iter()
            .filter(|address| self.reach(*address))
            .collect()
    }

    /// [`Self::wildcards`] at `port`.
    pub(super) fn any(self, port: u16) -> Vec<SocketAddr> {
        self.wildcards()
            .into_iter()
            .map(|address| SocketAddr::new(address, port))
            .collect()
    }
}
