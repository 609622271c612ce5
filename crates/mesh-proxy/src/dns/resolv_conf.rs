//! The pod's name servers and search domains, from resolv.conf(5).

use std::{
    fs, io,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    path::Path,
};

/// Port of name servers.
const PORT: u16 = 53;

/// What a resolver of this pod asks, and how it completes names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers, most wanted first.
    pub servers: Vec<SocketAddr>,
    /// The search domains in order, in lower case without final dots.
    pub search: Vec<String>,
}

impl ResolvConf {
    /// Reads a file.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        fs::read_to_string(path).map(|text| Self::parse(&text))
    }

    /// Reads the text of one. What is not understood is passed over, as resolvers do; of several `search` and `domain`
    /// lines the last counts.
    pub fn parse(text: &str) -> Self {
        let mut read = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(server);
                    read.servers
                        .extend(server.filter(|s| !read.servers.contains(s)));
                }
                Some("search" | "domain") => {
                    let domains = words.map(|word| word.trim_end_matches('.').to_ascii_lowercase());
                    read.search = domains.filter(|domain| !domain.is_empty()).collect();
                }
                _ => {}
            }
        }
        read
    }
}

/// An address, with a numeric zone if it is link-local.
fn server(word: &str) -> Option<SocketAddr> {
    let (address, zone) = word.split_once('%').unwrap_or((word, "0"));
    match address.parse().ok()? {
        IpAddr::V6(address) => {
            let scope = zone.parse().unwrap_or_default();
            Some(SocketAddrV6::new(address, PORT, 0, scope).into())
        }
        address => Some(SocketAddr::new(address, PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubelets_file_is_read() {
        let read = ResolvConf::parse(
            "search test.svc.cluster.local svc.cluster.local. Cluster.Local\nnameserver 10.96.0.10\noptions ndots:5\n",
        );
        assert_eq!(read.servers, ["10.96.0.10:53".parse().unwrap()]);
        assert_eq!(
            read.search,
            [
                "test.svc.cluster.local",
                "svc.cluster.local",
                "cluster.local"
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let read = ResolvConf::parse(
            "# nameserver 1.1.1.1\ndomain first\nnameserver nonsense\nnameserver\nnameserver fd00::a\nnameserver fe80::1%7\nnameserver fd00::a\nsearch .\n",
        );
        let servers: Vec<_> = read.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["[fd00::a]:53", "[fe80::1%7]:53"]);
        assert!(read.search.is_empty(), "{:?}", read.search);
    }
}
