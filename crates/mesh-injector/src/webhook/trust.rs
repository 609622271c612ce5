//! Whether who trusts a bundle of roots trusts a certificate, and what to trust while one root follows another.

use std::sync::Arc;

use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};

use super::certificate::provider;

/// Whether who trusts `bundle` (PEM) accepts `chain` for `name` now.
pub fn trusts(bundle: &str, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> bool {
    let Some((leaf, intermediates)) = chain.split_first() else {
        return false;
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(bundle));
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    verifier.is_ok_and(|verifier| {
        let verified = verifier.verify_server_cert(leaf, intermediates, name, &[], UnixTime::now());
        verified.is_ok()
    })
}

/// `roots` and what else `before` holds, both in PEM.
pub fn union(roots: &str, before: &str) -> String {
    let new: Vec<_> = certificates(roots).collect();
    let mut all = roots.to_owned();
    for (text, certificate) in blocks(before).zip(certificates(before)) {
        if !new.contains(&certificate) {
            if !all.ends_with('\n') {
                all.push('\n');
            }
            all.push_str(text);
            all.push('\n');
        }
    }
    all
}

fn certificates(bundle: &str) -> impl Iterator<Item = CertificateDer<'static>> {
    blocks(bundle).filter_map(|block| CertificateDer::from_pem_slice(block.as_bytes()).ok())
}

/// The certificates of a bundle, each in PEM.
fn blocks(bundle: &str) -> impl Iterator<Item = &str> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let starts = bundle.match_indices(BEGIN).map(|(at, _)| at);
    let block = move |at: usize| {
        let rest = &bundle[at..];
        let block = &rest[..rest.find(END)? + END.len()];
        let certificate = CertificateDer::from_pem_slice(block.as_bytes());
        certificate.is_ok().then_some(block)
    };
    starts.filter_map(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    fn root() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("root")
    }

    #[test]
    fn only_a_root_of_the_bundle_counts() {
        let (old, new) = (root(), root());
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(vec!["a.svc".to_owned()]).expect("a name");
        let leaf = params.signed_by(&key, &old).expect("signed").der().clone();
        let name = |text: &'static str| ServerName::try_from(text).expect("a name");
        let chain = [leaf];
        assert!(trusts(&old.pem(), &chain, &name("a.svc")));
        assert!(!trusts(&old.pem(), &chain, &name("b.svc")));
        assert!(!trusts(&new.pem(), &chain, &name("a.svc")));
        assert!(!trusts("", &chain, &name("a.svc")) && !trusts(&old.pem(), &[], &name("a.svc")));
        assert!(trusts(
            &union(&new.pem(), &old.pem()),
            &chain,
            &name("a.svc")
        ));
    }

    #[test]
    fn a_union_holds_each_once_and_stays_what_it_is() {
        let (old, new) = (root().pem(), root().pem());
        let both = union(new.trim_end(), &format!("no PEM\n{old}"));
        assert_eq!(certificates(&both).count(), 2);
        assert!(both.starts_with(new.trim_end()));
        assert_eq!(union(new.trim_end(), &both), both);
        assert_eq!(union(&new, &new), new);
        assert_eq!(union(&new, "garbage -----BEGIN CERTIFICATE-----"), new);
    }
}
