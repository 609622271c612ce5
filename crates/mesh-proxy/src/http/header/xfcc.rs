//! `x-forwarded-client-cert`: who the client proved to be.
//!
//! The element for a connection is made once. It is only ever written where the client showed a certificate, and what
//! was there before is passed on only as configured.

use super::FORWARDED_CLIENT_CERT;
use crate::connection::{Connection, DownstreamPeer};
use http::{HeaderMap, HeaderValue};
use mesh_model::http::{ClientCertDetails, ForwardClientCert};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use x509_parser::{extensions::GeneralName, prelude::*};

/// The element for the client of `connection`, if one is to be written.
pub(in crate::http) fn element(
    mode: &ForwardClientCert,
    connection: &Connection,
) -> Option<HeaderValue> {
    let details = match mode {
        ForwardClientCert::AppendForward(details) | ForwardClientCert::SanitizeSet(details) => {
            details
        }
        ForwardClientCert::Sanitize | ForwardClientCert::ForwardOnly => return None,
    };
    let peer = connection.tls.as_ref()?;
    let der = peer.certificate.as_deref()?;
    HeaderValue::from_str(&render(peer, der, details)).ok()
}

/// Applies `mode`; `element` is this connection's own.
pub(super) fn apply(
    headers: &mut HeaderMap,
    mode: &ForwardClientCert,
    connection: &Connection,
    element: Option<&HeaderValue>,
) {
    let keeps = matches!(
        mode,
        ForwardClientCert::ForwardOnly | ForwardClientCert::AppendForward(_)
    );
    if !keeps || !connection.is_mutual_tls() {
        headers.remove(FORWARDED_CLIENT_CERT);
    }
    let Some(element) = element else { return };
    let before = headers.get(FORWARDED_CLIENT_CERT).map(|v| v.as_bytes());
    let value = match before {
        Some(before) => HeaderValue::from_bytes(&[before, b",", element.as_bytes()].concat()).ok(),
        None => Some(element.clone()),
    };
    if let Some(value) = value {
        headers.insert(FORWARDED_CLIENT_CERT, value);
    }
}

fn render(peer: &DownstreamPeer, der: &[u8], details: &ClientCertDetails) -> String {
    let mut out = String::new();
    if let Some(local) = &peer.local_uri_san {
        let _ = write!(out, "By={local};");
    }
    out.push_str("Hash=");
    for byte in Sha256::digest(der) {
        let _ = write!(out, "{byte:02x}");
    }
    let certificate = X509Certificate::from_der(der).ok().map(|(_, c)| c);
    if details.subject {
        let subject = certificate.as_ref().map(|c| c.subject().to_string());
        let escaped = subject.unwrap_or_default().replace('"', "\\\"");
        let _ = write!(out, ";Subject=\"{escaped}\"");
    }
    if details.uri {
        let _ = write!(out, ";URI={}", peer.uri_san.as_deref().unwrap_or_default());
    }
    if details.dns {
        for name in certificate.iter().flat_map(dns_names) {
            let _ = write!(out, ";DNS={name}");
        }
    }
    out
}

fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.into_iter().flat_map(|n| &n.value.general_names);
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(dns) => Some((*dns).to_owned()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::downstream::tests::connection;
    use mesh_model::name::Direction;

    const ALL: ClientCertDetails = ClientCertDetails {
        subject: true,
        dns: true,
        uri: true,
    };

    fn mutual() -> Connection {
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).expect("params");
        params.distinguished_name = rcgen::DistinguishedName::new();
        let key = rcgen::KeyPair::generate().expect("a key");
        let der = params
            .self_signed(&key)
            .expect("a certificate")
            .der()
            .to_vec();
        Connection {
            tls: Some(DownstreamPeer {
                uri_san: Some("spiffe://td/ns/a/sa/client".into()),
                local_uri_san: Some("spiffe://td/ns/a/sa/server".into()),
                certificate: Some(der.into()),
                alpn: None,
            }),
            ..connection(Direction::Inbound)
        }
    }

    fn applied(mode: ForwardClientCert, connection: &Connection) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_CLIENT_CERT, HeaderValue::from_static("By=forged"));
        let element = element(&mode, connection);
        apply(&mut headers, &mode, connection, element.as_ref());
        let value = headers.get(FORWARDED_CLIENT_CERT)?;
        Some(value.to_str().expect("text").to_owned())
    }

    #[test]
    fn each_mode_does_as_named() {
        let mutual = mutual();
        let appended = applied(ForwardClientCert::AppendForward(ALL), &mutual).expect("kept");
        let own = appended
            .strip_prefix("By=forged,")
            .expect("ours comes last");
        assert!(
            own.starts_with("By=spiffe://td/ns/a/sa/server;Hash="),
            "{own}"
        );
        let end = ";Subject=\"\";URI=spiffe://td/ns/a/sa/client;DNS=a.test";
        assert!(own.ends_with(end), "{own}");
        let set = applied(ForwardClientCert::SanitizeSet(ALL), &mutual).expect("set");
        assert_eq!(set, own);
        let forwarded = applied(ForwardClientCert::ForwardOnly, &mutual);
        assert_eq!(forwarded.as_deref(), Some("By=forged"));
        assert_eq!(applied(ForwardClientCert::Sanitize, &mutual), None);
    }

    #[test]
    fn without_a_certificate_nothing_is_believed() {
        let plain = connection(Direction::Inbound);
        for mode in [
            ForwardClientCert::AppendForward(ALL),
            ForwardClientCert::SanitizeSet(ALL),
            ForwardClientCert::ForwardOnly,
            ForwardClientCert::Sanitize,
        ] {
            assert_eq!(applied(mode, &plain), None, "{mode:?}");
        }
    }
}
