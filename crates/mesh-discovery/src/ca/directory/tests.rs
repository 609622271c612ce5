use super::*;

const TD: &str = "cluster.local";

fn now() -> SystemTime {
    SystemTime::now()
}

fn root(dir: &Path) -> String {
    fs::read_to_string(dir.join(ROOT_CERT)).expect("root")
}

#[test]
fn an_empty_directory_gets_a_root_that_survives() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("deep/ca");
    let first = CaDirectory::new(&path)
        .load_or_create(TD, now())
        .expect("created");
    let again = CaDirectory::new(&path)
        .load_or_create(TD, now())
        .expect("loaded");
    assert_eq!(first, again);
    for name in FILES {
        let mode = fs::metadata(path.join(name))
            .expect(name)
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let years = first
        .not_after()
        .duration_since(now())
        .expect("future")
        .as_secs()
        / (365 * 24 * 3600);
    assert_eq!(years, 9, "ten years less a moment");
}

#[test]
fn a_crash_between_the_files_is_mended() {
    let dir = tempfile::tempdir().expect("directory");
    let ca = CaDirectory::new(dir.path());
    ca.stage(TD, now()).expect("staged");
    fs::rename(ca.staged(ROOT_CERT), dir.path().join(ROOT_CERT)).expect("renamed");
    let before = root(dir.path());
    ca.load_or_create(TD, now()).expect("mended");
    assert_eq!(root(dir.path()), before);
}

#[test]
fn a_filled_directory_is_never_overwritten() {
    let dir = tempfile::tempdir().expect("directory");
    fs::write(dir.path().join(ROOT_CERT), "mine").expect("written");
    let error = CaDirectory::new(dir.path())
        .load_or_create(TD, now())
        .expect_err("incomplete");
    assert!(error.to_string().contains(CA_CERT), "{error}");
    assert_eq!(root(dir.path()), "mine");
}

#[test]
fn files_that_do_not_fit_are_refused() {
    let (a, b) = (
        tempfile::tempdir().expect("a"),
        tempfile::tempdir().expect("b"),
    );
    for dir in [&a, &b] {
        CaDirectory::new(dir.path())
            .load_or_create(TD, now())
            .expect("created");
    }
    let swap = |name: &str| fs::copy(b.path().join(name), a.path().join(name)).expect("copied");
    let load = || match CaDirectory::new(a.path()).load_or_create(TD, now()) {
        Err(CaError::Authority { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    swap(CA_KEY);
    assert!(matches!(load(), AuthorityError::KeyMismatch));
    swap(CA_CERT);
    assert!(matches!(load(), AuthorityError::Untrusted(_)));
}

#[test]
fn a_plugged_in_intermediate_stands_between_leaf_and_root() {
    let dir = tempfile::tempdir().expect("directory");
    let (root_pem, root_key) = Authority::self_signed("root", now()).expect("root");
    let issuer = rcgen::Issuer::from_ca_cert_pem(
        &root_pem,
        rcgen::KeyPair::from_pem(&root_key).expect("key"),
    )
    .expect("issuer");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("key");
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "intermediate");
    let intermediate = params.signed_by(&key, &issuer).expect("intermediate").pem();
    for (name, content) in [
        (ROOT_CERT, root_pem.clone()),
        (CERT_CHAIN, format!("{intermediate}{root_pem}")),
        (CA_CERT, intermediate.clone()),
        (CA_KEY, key.serialize_pem()),
    ] {
        fs::write(dir.path().join(name), content).expect(name);
    }
    let authority = CaDirectory::new(dir.path())
        .load(TD, now())
        .expect("loaded");
    assert_eq!(authority.intermediates().to_pem(), intermediate);
    assert_eq!(authority.roots().to_pem(), root_pem);
}

#[test]
fn says_what_is_wrong_with_an_unreadable_directory() {
    let file = tempfile::NamedTempFile::new().expect("file");
    let error = CaDirectory::new(file.path())
        .load_or_create(TD, now())
        .expect_err("not a directory");
    assert!(
        matches!(&error, CaError::Write { path, .. } if path == file.path()),
        "{error:?}"
    );
}
