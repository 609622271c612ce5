use super::*;
use crate::ca::{caller::PeerCertificate, directory::CaDirectory, lifetime::Lifetime};
use mesh_model::SpiffeId;
use prost_types::{Struct, Value, value::Kind};
use rcgen::{CertificateParams, KeyPair};
use std::time::{Duration, SystemTime};
use tonic::Code;

const HOUR: Duration = Duration::from_secs(3600);

fn service(dir: &std::path::Path) -> CertificateService {
    let authority =
        CertificateAuthority::open(CaDirectory::new(dir), "cluster.local", Lifetime::default())
            .expect("authority");
    CertificateService {
        authority: Arc::new(authority),
        authenticator: Arc::default(),
        metrics: Arc::default(),
    }
}

fn message() -> IstioCertificateRequest {
    let key = KeyPair::generate().expect("key");
    let csr = CertificateParams::default()
        .serialize_request(&key)
        .and_then(|csr| csr.pem());
    IstioCertificateRequest {
        csr: csr.expect("request"),
        ..Default::default()
    }
}

fn from(
    identity: Option<&str>,
    message: IstioCertificateRequest,
) -> Request<IstioCertificateRequest> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Peer {
        address: ([127, 0, 0, 1], 1).into(),
        certificate: identity.map(|id| PeerCertificate {
            identity: id.parse::<SpiffeId>().expect("identity"),
            begin: SystemTime::now() - HOUR,
            end: SystemTime::now() + HOUR,
        }),
        since: tokio::time::Instant::now(),
    });
    request
}

const WEB: Option<&str> = Some("spiffe://cluster.local/ns/test/sa/web");

fn with_option(name: &str, value: &str) -> IstioCertificateRequest {
    let value = Value {
        kind: Some(Kind::StringValue(value.into())),
    };
    IstioCertificateRequest {
        metadata: Some(Struct {
            fields: [(name.to_owned(), value)].into(),
        }),
        ..message()
    }
}

/// Where nobody checks tokens.
#[tokio::test]
async fn a_certificate_renews_itself() {
    let dir = tempfile::tempdir().expect("directory");
    let service = service(dir.path());
    let chain = service
        .create_certificate(from(WEB, message()))
        .await
        .expect("issued")
        .into_inner()
        .cert_chain;
    assert_eq!(chain.len(), 2);
    assert_eq!(service.metrics.csr_by_certificate.get(), 1);
    // What a real agent sends when it wants no other signer.
    let empty = service
        .create_certificate(from(WEB, with_option("CertSigner", "")))
        .await;
    assert!(empty.is_ok());
}

#[tokio::test]
async fn refusals_have_code_and_reason() {
    let dir = tempfile::tempdir().expect("directory");
    let service = service(dir.path());
    let garbage = IstioCertificateRequest {
        csr: "garbage".into(),
        ..Default::default()
    };
    for (request, code, reason) in [
        (
            from(None, message()),
            Code::Unauthenticated,
            "no credentials",
        ),
        (
            from(WEB, garbage),
            Code::InvalidArgument,
            "the signing request is refused: not a PEM block `CERTIFICATE REQUEST`",
        ),
        (
            from(
                WEB,
                with_option("ImpersonatedIdentity", "spiffe://cluster.local/ns/a/sa/b"),
            ),
            Code::InvalidArgument,
            "ImpersonatedIdentity",
        ),
    ] {
        let status = service
            .create_certificate(request)
            .await
            .expect_err("refused");
        assert_eq!(status.code(), code);
        assert!(status.message().contains(reason), "{}", status.message());
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_gets_resource_exhausted() {
    let dir = tempfile::tempdir().expect("directory");
    let service = service(dir.path());
    let message = message();
    let mut last = Ok(());
    for _ in 0..21 {
        last = service
            .create_certificate(from(WEB, message.clone()))
            .await
            .map(drop);
    }
    assert_eq!(last.expect_err("cut").code(), Code::ResourceExhausted);
}
