//! Where the application's DNS queries are taken (`DNS_PROXY_ADDR` of Istio's agent).

use std::{fmt, net::IpAddr, str::FromStr};

/// An address of the pod itself: others would have an open resolver in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsAddress {
    /// A loopback address; `None`: those of `localhost`, of both families.
    pub ip: Option<IpAddr>,
    /// The port, the same over UDP and TCP.
    pub port: u16,
}

/// Text that is no such address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDnsAddress {
    /// Something is missing, or is neither number nor `localhost`.
    #[error("it has to be localhost:PORT, or a loopback address with a port")]
    Form,
    /// Others could ask, too.
    #[error("{0} is no loopback address; DNS is served to this pod alone")]
    Open(IpAddr),
}

impl FromStr for DnsAddress {
    type Err = InvalidDnsAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidDnsAddress::Form)?;
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.ok_or(InvalidDnsAddress::Form)?;
        if host.eq_ignore_ascii_case("localhost") {
            return Ok(Self { ip: None, port });
        }
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let ip: IpAddr = match bare {
            Some(v6) => v6.parse().map(IpAddr::V6),
            None => host.parse().map(IpAddr::V4),
        }
        .map_err(|_| InvalidDnsAddress::Form)?;
        match ip.is_loopback() {
            true => Ok(Self { ip: Some(ip), port }),
            false => Err(InvalidDnsAddress::Open(ip)),
        }
    }
}

impl fmt::Display for DnsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            None => write!(f, "localhost:{}", self.port),
            Some(IpAddr::V4(ip)) => write!(f, "{ip}:{}", self.port),
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn istios_forms_are_taken_and_written_again() {
        for text in [
            "localhost:15053",
            "127.0.0.1:53",
            "127.0.0.53:5353",
            "[::1]:15053",
        ] {
            let read: DnsAddress = text.parse().expect(text);
            assert_eq!(read.to_string(), text);
        }
        let named = DnsAddress { ip: None, port: 53 };
        assert_eq!("LocalHost:53".parse(), Ok(named));
    }

    #[test]
    fn what_would_be_open_to_others_or_is_no_address_is_refused() {
        for text in [
            "",
            ":15053",
            "localhost",
            "localhost:0",
            "localhost:99999",
            "::1:53",
            "dns.example:53",
            "[127.0.0.1]:53",
        ] {
            let read = text.parse::<DnsAddress>();
            assert_eq!(read, Err(InvalidDnsAddress::Form), "{text}");
        }
        for text in ["0.0.0.0:15053", "10.244.0.7:53", "[::]:15053"] {
            let read = text.parse::<DnsAddress>();
            assert!(matches!(read, Err(InvalidDnsAddress::Open(_))), "{text}");
        }
    }
}
