//! What the configuration takes from the machine: addresses, name servers, user and group names.
//!
//! Read once, after entering the network namespace to work in, so that the rest of the configuration is a function of
//! values and can be tested as one.

use mesh_model::port;
use nix::ifaddrs::getifaddrs;
use nix::unistd::{Group, User};
use std::io;
use std::net::IpAddr;

/// Facts about the pod.
pub struct Host {
    /// Addresses of its interfaces, in the kernel's order.
    pub addresses: Vec<IpAddr>,
    /// Name servers of `/etc/resolv.conf`.
    pub nameservers: Vec<IpAddr>,
    /// The id of a user by name.
    pub user: fn(&str) -> Option<u32>,
    /// The id of a group by name.
    pub group: fn(&str) -> Option<u32>,
}

impl Host {
    /// Reads the facts of the calling thread's network namespace.
    ///
    /// # Errors
    /// If the kernel does not list the interfaces' addresses.
    pub fn read() -> io::Result<Self> {
        Ok(Self {
            addresses: addresses()?,
            nameservers: nameservers(
                &std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default(),
            ),
            user: |name| {
                User::from_name(name)
                    .ok()
                    .flatten()
                    .map(|user| user.uid.as_raw())
            },
            group: |name| {
                Group::from_name(name)
                    .ok()
                    .flatten()
                    .map(|group| group.gid.as_raw())
            },
        })
    }

    /// Whether the pod speaks IPv6: its first address that others can reach is IPv6, or with `dual_stack` any of them.
    pub fn speaks_ipv6(&self, dual_stack: bool) -> bool {
        let mut reachable = self.reachable();
        match dual_stack {
            true => reachable.any(|address| address.is_ipv6()),
            false => reachable.next().is_some_and(|address| address.is_ipv6()),
        }
    }

    fn reachable(&self) -> impl Iterator<Item = &IpAddr> {
        self.addresses.iter().filter(|address| {
            !address.is_loopback() && !is_link_local(address) && **address != INBOUND_SOURCE
        })
    }
}

/// The address that an earlier run has put on `lo`; it must not make the pod look like one that speaks IPv6.
const INBOUND_SOURCE: IpAddr = IpAddr::V6(port::INBOUND_SOURCE_V6);

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn addresses() -> io::Result<Vec<IpAddr>> {
    Ok(getifaddrs()?
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .collect())
}

/// The `nameserver` lines of resolv.conf(5). A link-local server's zone is dropped: rules match addresses only.
fn nameservers(resolv_conf: &str) -> Vec<IpAddr> {
    let mut servers = Vec::new();
    for line in resolv_conf.lines() {
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        let address = words
            .next()
            .and_then(|word| word.split('%').next()?.parse().ok());
        servers.extend(address.filter(|address| !servers.contains(address)));
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(addresses: &[&str]) -> Host {
        Host {
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            nameservers: Vec::new(),
            user: |_| None,
            group: |_| None,
        }
    }

    #[test]
    fn the_first_reachable_address_decides_about_ipv6() {
        assert!(!host(&["127.0.0.1", "10.0.0.1", "::1", "fd00::1"]).speaks_ipv6(false));
        assert!(host(&["127.0.0.1", "10.0.0.1", "::1", "fd00::1"]).speaks_ipv6(true));
        assert!(host(&["127.0.0.1", "169.254.1.1", "::1", "fd00::1"]).speaks_ipv6(false));
        assert!(!host(&["127.0.0.1", "10.0.0.1", "::1", "fe80::1"]).speaks_ipv6(true));
        assert!(!host(&["127.0.0.1", "::1", "::6"]).speaks_ipv6(true));
        assert!(!host(&[]).speaks_ipv6(true));
    }

    #[test]
    fn name_servers_are_read_in_order() {
        let text = "# made by hand\nsearch a b\nnameserver 10.96.0.10\n nameserver\tfe80::1%eth0 \n\
                    nameserver nonsense\nnameserver\nnameserver 10.96.0.10\noptions ndots:5\n";
        let expected: [IpAddr; 2] = ["10.96.0.10".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(nameservers(text), expected);
    }

    #[test]
    fn the_own_machine_can_be_read() {
        let host = Host::read().unwrap();
        assert_eq!((host.user)("root"), Some(0));
        assert_eq!((host.group)("no-such-group-here"), None);
    }
}
