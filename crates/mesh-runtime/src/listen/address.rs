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

/// Reads the address of a port that cannot be switched off.
///
/// # Errors
/// If the text is no address, or empty.
pub fn on(text: &str) -> Result<ListenAddress, InvalidListenAddress> {
    match text.parse()? {
        ListenAddress::Off => Err(InvalidListenAddress(text.into())),
        address => Ok(address),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_programs_write_is_understood() {
        let on_loopback = ListenAddress::At(([127, 0, 0, 1], 80).into());
        for (text, meaning) in [
            ("", ListenAddress::Off),
            (":15012", ListenAddress::Everywhere(15012)),
            ("127.0.0.1:80", on_loopback.clone()),
            ("localhost:80", on_loopback),
            ("[::]:80", ListenAddress::At(([0u16; 8], 80).into())),
        ] {
            assert_eq!(text.parse(), Ok(meaning), "{text}");
        }
        for text in ["80", "name:80", "127.0.0.1", ":", ":65536", "::80"] {
            let parsed: Result<ListenAddress, _> = text.parse();
            let error = parsed.expect_err(text).to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_port_that_is_needed_cannot_be_switched_off() {
        assert_eq!(on(":80"), Ok(ListenAddress::Everywhere(80)));
        for text in ["", "80"] {
            assert_eq!(on(text), Err(InvalidListenAddress(text.into())));
        }
    }
}
