use super::*;
use rcgen::KeyPair;
use x509_parser::{extensions::GeneralName, prelude::X509Certificate};

fn authority(now: SystemTime) -> Authority {
    let (certificate, key) = Authority::self_signed("cluster.local", now).expect("root");
    let bundle = Bundle::from_pem(&certificate).expect("bundle");
    Authority::new(
        bundle.clone(),
        &key,
        Bundle::default(),
        bundle,
        "cluster.local",
        now,
    )
    .expect("authority")
}

fn identity() -> SpiffeId {
    "spiffe://cluster.local/ns/test/sa/web"
        .parse()
        .expect("identity")
}

fn csr(change: impl FnOnce(&mut CertificateParams)) -> SigningRequest {
    let mut params = CertificateParams::default();
    change(&mut params);
    let key = KeyPair::generate().expect("key");
    let pem = params
        .serialize_request(&key)
        .and_then(|csr| csr.pem())
        .expect("request");
    SigningRequest::from_pem(&pem).expect("accepted")
}

fn parse(leaf: &Leaf) -> X509Certificate<'_> {
    x509_parser::parse_x509_certificate(&leaf.der)
        .expect("certificate")
        .1
}

#[test]
fn sec_62_a_foreign_san_in_the_request_is_not_signed() {
    let now = SystemTime::now();
    let request = csr(|params| {
        let foreign = "spiffe://cluster.local/ns/kube-system/sa/admin";
        params.subject_alt_names = vec![
            SanType::URI(foreign.try_into().expect("ASCII")),
            SanType::DnsName("istiod.istio-system.svc".try_into().expect("ASCII")),
        ];
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "admin");
    });
    let leaf = authority(now)
        .sign_workload(&request, &identity(), Duration::from_secs(60), now)
        .expect("signed");
    let certificate = parse(&leaf);
    let sans = certificate
        .subject_alternative_name()
        .expect("one")
        .expect("present");
    assert!(sans.critical, "the subject is empty");
    assert_eq!(
        sans.value.general_names,
        [GeneralName::URI("spiffe://cluster.local/ns/test/sa/web")]
    );
    assert_eq!(certificate.subject().iter().count(), 0);
    assert!(!certificate.is_ca());
    let usage = certificate
        .key_usage()
        .expect("one")
        .expect("present")
        .value;
    assert!(usage.digital_signature() && !usage.key_cert_sign());
}

#[test]
fn a_leaf_starts_in_the_past_and_ends_with_the_authority() {
    let now = SystemTime::now();
    let authority = authority(now);
    let whole = |t: SystemTime| {
        t.duration_since(SystemTime::UNIX_EPOCH)
            .expect("after 1970")
            .as_secs() as i64
    };
    let leaf = authority
        .sign_workload(&csr(|_| ()), &identity(), Duration::from_secs(3600), now)
        .expect("signed");
    let validity = parse(&leaf).validity().clone();
    assert_eq!(validity.not_before.timestamp(), whole(now - CLOCK_SKEW));
    assert_eq!(
        validity.not_after.timestamp(),
        whole(now + Duration::from_secs(3600))
    );
    let late = authority.not_after() - Duration::from_secs(60);
    let leaf = authority
        .sign_workload(&csr(|_| ()), &identity(), Duration::from_secs(3600), late)
        .expect("signed");
    assert_eq!(leaf.not_after, authority.not_after());
    let expired = authority.sign_workload(
        &csr(|_| ()),
        &identity(),
        Duration::from_secs(1),
        authority.not_after(),
    );
    assert!(matches!(expired, Err(SignError::Expired)));
}

#[test]
fn serials_differ_for_the_same_key() {
    let now = SystemTime::now();
    let authority = authority(now);
    let request = csr(|_| ());
    let serial = || {
        let leaf = authority
            .sign_workload(&request, &identity(), Duration::from_secs(60), now)
            .expect("signed");
        parse(&leaf).raw_serial().to_vec()
    };
    let (a, b) = (serial(), serial());
    assert_ne!(a, b);
    assert!(a.len() == 16 && a[0] & 0x80 == 0, "{a:?}");
}

#[test]
fn the_chain_ends_with_all_roots() {
    let now = SystemTime::now();
    let authority = authority(now);
    let leaf = authority
        .sign_workload(&csr(|_| ()), &identity(), Duration::from_secs(60), now)
        .expect("signed");
    assert_eq!(
        authority.chain_of(&leaf),
        [leaf.pem.clone(), authority.roots().to_pem()]
    );
}
