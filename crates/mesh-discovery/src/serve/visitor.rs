//! Who looks at a debug page, and what of it may be seen.
//!
//! The pages hold the configuration of every namespace. Who is on this machine may see all; everybody else has to show a
//! token of the mesh, and sees what is of its own namespace, or all if that is the control plane's.

use crate::ca::caller::{Authenticator, CallerError, Purpose};
use http::{HeaderMap, StatusCode, header};
use std::net::IpAddr;

/// A visitor of debug pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visitor {
    /// May see everything.
    Operator,
    /// May see the proxies of this namespace.
    Namespace(String),
}

/// Why a page is not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody knows who asks.
    #[error("debug pages are for this machine, or for who shows a token of the mesh: {0}")]
    Unknown(#[from] CallerError),
    /// The page is not for its namespace.
    #[error("namespace {0} may see the configuration of its own proxies only")]
    Forbidden(String),
}

impl Denied {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unknown(e) if e.is_temporary() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unknown(e) if e.is_too_many() => StatusCode::TOO_MANY_REQUESTS,
            Self::Unknown(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
        }
    }
}

impl Visitor {
    /// Who asks. `system_namespace` is the control plane's.
    ///
    /// # Errors
    /// If it is neither local nor authenticated.
    pub async fn of(
        address: IpAddr,
        headers: &HeaderMap,
        authenticator: Option<&Authenticator>,
        system_namespace: &str,
    ) -> Result<Self, Denied> {
        if address.is_loopback() && is_local_host(headers) {
            return Ok(Self::Operator);
        }
        let authorization = headers
            .get(header::AUTHORIZATION)
            .map(|v| v.to_str().unwrap_or_default());
        let caller = authenticator
            .ok_or(CallerError::NoIssuer)?
            .authenticate(address, None, authorization, Purpose::Configuration)
            .await?;
        match caller.identity.namespace {
            namespace if namespace == system_namespace => Ok(Self::Operator),
            namespace => Ok(Self::Namespace(namespace)),
        }
    }

    /// Whether it may see what concerns all namespaces.
    ///
    /// # Errors
    /// If not.
    pub fn may_see_all(&self) -> Result<(), Denied> {
        match self {
            Self::Operator => Ok(()),
            Self::Namespace(own) => Err(Denied::Forbidden(own.clone())),
        }
    }

    /// Whether it may see what concerns a namespace.
    ///
    /// # Errors
    /// If not.
    pub fn may_see(&self, namespace: &str) -> Result<(), Denied> {
        match self {
            Self::Namespace(own) if own != namespace => Err(Denied::Forbidden(own.clone())),
            _ => Ok(()),
        }
    }
}

/// Whether the request was meant for this machine: a web page elsewhere can make a browser here send it (DNS
/// rebinding), but not with this header.
fn is_local_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers
        .get(header::HOST)
        .map(|v| v.to_str().unwrap_or_default())
    else {
        return true;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    async fn visit(address: &str, host: Option<&'static str>) -> Result<Visitor, Denied> {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, HeaderValue::from_static(host));
        }
        Visitor::of(
            address.parse().expect("address"),
            &headers,
            None,
            "istio-system",
        )
        .await
    }

    #[tokio::test]
    async fn sec_42_this_machine_sees_all_and_others_nothing() {
        for host in [
            None,
            Some("localhost:8080"),
            Some("127.0.0.1"),
            Some("[::1]:8080"),
            Some("[::1]"),
        ] {
            assert_eq!(
                visit("127.0.0.1", host).await,
                Ok(Visitor::Operator),
                "{host:?}"
            );
        }
        assert!(visit("::1", Some("localhost")).await.is_ok());
        assert!(matches!(
            visit("127.0.0.1", Some("evil.example:8080")).await,
            Err(Denied::Unknown(_))
        ));
        assert!(matches!(
            visit("10.0.0.1", Some("localhost")).await,
            Err(Denied::Unknown(_))
        ));
    }

    #[test]
    fn sec_56_a_namespace_sees_its_own_proxies() {
        let visitor = Visitor::Namespace("a".into());
        assert_eq!(visitor.may_see("a"), Ok(()));
        assert_eq!(
            visitor.may_see("b").map_err(|d| d.status()),
            Err(StatusCode::FORBIDDEN)
        );
        assert!(visitor.may_see_all().is_err());
        assert!(Visitor::Operator.may_see_all().is_ok() && Visitor::Operator.may_see("b").is_ok());
    }
}
