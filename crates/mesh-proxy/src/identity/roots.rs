//! The roots of the mesh: those in the file that the control plane keeps in each namespace, and the one that came with
//! our certificate. While a root is being replaced, the two differ for a while; both are trusted then.

use rustls_pki_types::{
    CertificateDer,
    pem::{Error, PemObject},
};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// All certificates in PEM texts, each once, in PEM again. Text around them is left out.
///
/// # Errors
/// If one of them is broken.
pub(super) fn union<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<String, Error> {
    let mut known = Vec::<CertificateDer<'static>>::new();
    let mut out = String::new();
    for block in texts.into_iter().flat_map(blocks) {
        let certificate = CertificateDer::from_pem_slice(block.as_bytes())?;
        if !known.contains(&certificate) {
            known.push(certificate);
            out.push_str(block);
            out.push('\n');
        }
    }
    Ok(out)
}

/// The certificates of `all` that are not among those of `some`, in PEM.
///
/// # Errors
/// If one of them is broken.
pub(super) fn without(all: &str, some: &str) -> Result<String, Error> {
    let mut out = String::new();
    for block in blocks(all) {
        let block = union([block])?;
        if !contains(some, &block) {
            out.push_str(&block);
        }
    }
    Ok(out)
}

/// Whether all certificates of `some` are among those of `all`. What is broken is in nothing.
pub(super) fn contains(all: &str, some: &str) -> bool {
    matches!((union([all]), union([all, some])), (Ok(a), Ok(b)) if a == b)
}

fn blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(END)
        .filter_map(|block| block.find(BEGIN).map(|start| &block[start..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> String {
        let certificate = rcgen::generate_simple_self_signed(["a".to_owned()]);
        certificate.expect("certificate").cert.pem()
    }

    #[test]
    fn each_root_stands_once() {
        let (a, b) = (certificate(), certificate());
        let file = format!("# old and new\n{a}\n{b}");
        let all = union([file.as_str(), &b, ""]).expect("certificates");
        let same = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(same(&all), same(&format!("{a}{b}")));
        assert!(contains(&all, &b) && !contains(&a, &b) && !contains(&a, &all));
        assert_eq!(same(&without(&all, &b).expect("certificates")), same(&a));
        assert_eq!(without(&a, &all).expect("certificates"), "");
        assert!(union([format!("{BEGIN}\n!!\n{END}").as_str()]).is_err());
    }
}
