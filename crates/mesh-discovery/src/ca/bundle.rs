//! PEM bundles of certificates, as they lie in files and go over the wire.

use rustls_pki_types::{
    CertificateDer,
    pem::{self, PemObject},
};

const END: &str = "-----END CERTIFICATE-----";

/// One or more certificates, in the order of their file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    certificates: Vec<(String, CertificateDer<'static>)>,
}

/// Text that is no bundle of certificates.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// PEM that does not parse.
    #[error("not PEM")]
    Pem(#[from] pem::Error),
    /// No certificate in it.
    #[error("holds no certificate")]
    Empty,
}

impl Bundle {
    /// Reads PEM text; text between the blocks is skipped.
    ///
    /// # Errors
    /// If a block does not parse, or there is none.
    pub fn from_pem(text: &str) -> Result<Self, BundleError> {
        let bundle = Self::from_pem_or_empty(text)?;
        match bundle.certificates.is_empty() {
            true => Err(BundleError::Empty),
            false => Ok(bundle),
        }
    }

    /// As [`Bundle::from_pem`], where having no certificate is allowed.
    ///
    /// # Errors
    /// If a block does not parse.
    pub fn from_pem_or_empty(text: &str) -> Result<Self, BundleError> {
        let certificates = text
            .split_inclusive(END)
            .filter_map(|block| {
                block
                    .find("-----BEGIN CERTIFICATE-----")
                    .map(|at| &block[at..])
            })
            .map(|block| {
                Ok((
                    format!("{block}\n"),
                    CertificateDer::from_pem_slice(block.as_bytes())?,
                ))
            })
            .collect::<Result<_, BundleError>>()?;
        Ok(Self { certificates })
    }

    /// The bundle without the certificates of `other`.
    pub fn without(mut self, other: &Self) -> Self {
        self.certificates
            .retain(|(_, der)| !other.ders().any(|o| o == der));
        self
    }

    /// Adds the certificates of `other` at the end.
    pub fn append(&mut self, other: Self) {
        self.certificates.extend(other.certificates);
    }

    /// Each certificate in DER.
    pub fn ders(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.certificates.iter().map(|(_, der)| der)
    }

    /// Each certificate in PEM.
    pub fn pems(&self) -> impl Iterator<Item = &str> {
        self.certificates.iter().map(|(pem, _)| pem.as_str())
    }

    /// All of it in PEM.
    pub fn to_pem(&self) -> String {
        self.pems().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> String {
        rcgen::generate_simple_self_signed(["a".to_owned()])
            .expect("certificate")
            .cert
            .pem()
    }

    #[test]
    fn splits_and_joins() {
        let (a, b) = (pem(), pem());
        let both =
            Bundle::from_pem(&format!("# a comment\n{a}subject=x\n{b}")).expect("two certificates");
        assert_eq!(both.to_pem(), format!("{a}{b}"));
        let first = Bundle::from_pem(&a).expect("one certificate");
        assert_eq!(both.without(&first).to_pem(), b);
    }

    #[test]
    fn refuses_what_is_no_certificate() {
        assert!(matches!(Bundle::from_pem("hello"), Err(BundleError::Empty)));
        let broken = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
        assert!(matches!(Bundle::from_pem(broken), Err(BundleError::Pem(_))));
        assert_eq!(
            Bundle::from_pem_or_empty("").expect("empty").ders().count(),
            0
        );
    }
}
