//! Addresses to listen on, as Go programs write them.

use std::{fmt, net::SocketAddr, str::FromStr};

/// `host:port`, `:port` for all interfaces, or nothing for a port that is switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Not listened on.
    Off,
    /// Every interface, IPv6 and IPv4.
    Everywhere(u16),
    /// One address.
    At(SocketAddr),
}

/// Text that is no address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `address:port` or `:port` (host names are not looked up, except localhost)")]
pub struct InvalidListenAddress(String);

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidListenAddress(text.into());
        if text.is_empty() {
            return Ok(Self::Off);
        }
        if let Some(port) = text.strip_prefix(':') {
            return port.parse().map(Self::Everywhere).map_err(|_| invalid());
        }
        let numeric = text
            .strip_prefix("localhost:")
            .map(|port| format!("127.0.0.1:{port}"));
        let address = numeric
            .as_deref()
            .unwrap_or(text)
            .parse()
            .map_err(|_| invalid())?;
        Ok(Self::At(address))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => Ok(()),
            Self::Everywhere(port) => write!(f, ":{port}"),
            Self::At(address) => address.fmt(f),
        }
    }
}
