use super::*;
use crate::ca::{directory::CaDirectory, lifetime::Lifetime};

fn authority(dir: &std::path::Path) -> Arc<CertificateAuthority> {
    Arc::new(
        CertificateAuthority::open(CaDirectory::new(dir), "cluster.local", Lifetime::default())
            .expect("authority"),
    )
}

#[tokio::test]
async fn renews_at_half_life() {
    let dir = tempfile::tempdir().expect("directory");
    let server =
        ServerCertificate::issue(authority(dir.path()), vec!["localhost".into()]).expect("issued");
    let now = SystemTime::now();
    let first = server.config();
    assert!(
        !server
            .renew(now + LIFETIME / 2 - Duration::from_secs(60))
            .expect("not due")
    );
    assert!(Arc::ptr_eq(&first, &server.config()));
    assert!(
        server
            .renew(now + LIFETIME / 2 + Duration::from_secs(60))
            .expect("due")
    );
    assert!(!Arc::ptr_eq(&first, &server.config()));
}

#[tokio::test]
async fn a_name_that_is_none_is_refused() {
    let dir = tempfile::tempdir().expect("directory");
    let refused =
        ServerCertificate::issue(authority(dir.path()), vec!["bücher".into()]).map(|_| ());
    let error = refused.expect_err("not ASCII");
    assert!(
        matches!(error, ServerCertificateError::Sign(SignError::Name(name)) if name == "bücher")
    );
}
