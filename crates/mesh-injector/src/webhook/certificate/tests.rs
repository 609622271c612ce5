use rcgen::{CertificateParams, KeyPair};

use super::*;

fn pem(names: &[&str]) -> Pem {
    let key = KeyPair::generate().expect("key");
    let params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>());
    let certificate = params.expect("names").self_signed(&key).expect("signed");
    Pem {
        chain: certificate.pem(),
        key: key.serialize_pem(),
    }
}

fn serving() -> (Arc<Serving>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    let name = ServerName::try_from("injector.mesh.svc").expect("a name");
    (Serving::new(name, metrics.clone()), metrics)
}

fn leaf(serving: &Serving) -> Option<CertificateDer<'static>> {
    Some(serving.current.load_full()?.cert.first()?.clone())
}

#[test]
fn only_what_fits_is_put_into_service() {
    let (serving, metrics) = serving();
    assert!(leaf(&serving).is_none());
    let good = pem(&["injector.mesh.svc"]);
    serving.install(&good).expect("fits");
    let before = leaf(&serving);
    assert!(metrics.certificate_end.get() > 0);

    let other_name = serving.install(&pem(&["other.mesh.svc"]));
    assert!(
        matches!(other_name, Err(Error::Unfit { .. })),
        "{other_name:?}"
    );
    let other_key = serving.install(&Pem {
        key: pem(&["x"]).key,
        ..good
    });
    assert!(
        matches!(other_key, Err(Error::Unfit { .. })),
        "{other_key:?}"
    );
    for chain in ["", "no PEM"] {
        let empty = serving.install(&Pem {
            chain: chain.into(),
            key: pem(&["x"]).key,
        });
        assert!(matches!(empty, Err(Error::Empty)), "{empty:?}");
    }
    assert_eq!(leaf(&serving), before);

    serving.install(&pem(&["injector.mesh.svc"])).expect("fits");
    assert_ne!(leaf(&serving), before);
    assert_eq!(metrics.certificates.get(), 2);
}

#[test]
fn sec_61_an_expired_one_is_refused() {
    let (serving, _) = serving();
    let key = KeyPair::generate().expect("key");
    let mut params = CertificateParams::new(vec!["injector.mesh.svc".into()]).expect("names");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let installed = serving.install(&Pem {
        chain: params.self_signed(&key).expect("signed").pem(),
        key: key.serialize_pem(),
    });
    assert!(matches!(installed, Err(Error::Expired)), "{installed:?}");
}

/// Whether an API server that trusts exactly the certificate in service gets through to us.
async fn shakes_hands(serving: &Arc<Serving>) -> Result<(), String> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(leaf(serving).expect("one in service"))
        .expect("a root");
    let client = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (near, far) = tokio::io::duplex(1 << 16);
    let server = tokio_rustls::TlsAcceptor::from(serving.config().expect("TLS"));
    let client = tokio_rustls::TlsConnector::from(Arc::new(client));
    let (_, connected) = tokio::join!(
        server.accept(far),
        client.connect(serving.name.clone(), near)
    );
    connected.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn sec_61_one_that_ends_in_service_is_told_by_its_reason_and_replaced_without_a_restart() {
    let (serving, metrics) = serving();
    let key = KeyPair::generate().expect("key");
    let mut params = CertificateParams::new(vec!["injector.mesh.svc".into()]).expect("names");
    let life = Duration::from_secs(3);
    params.not_after = (SystemTime::now() + life).into();
    serving
        .install(&Pem {
            chain: params.self_signed(&key).expect("signed").pem(),
            key: key.serialize_pem(),
        })
        .expect("still good");
    assert_eq!(shakes_hands(&serving).await, Ok(()));
    // X.509 counts whole seconds, and the last one is part of it.
    sleep(life + Duration::from_secs(1)).await;
    let error = shakes_hands(&serving).await.expect_err("over");
    assert!(error.contains("expired"), "{error}");
    let end = metrics.certificate_end.get();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    assert!(
        end <= now.expect("after 1970").as_secs(),
        "the metric says so"
    );
    serving.install(&pem(&["injector.mesh.svc"])).expect("fits");
    assert_eq!(shakes_hands(&serving).await, Ok(()));
}
