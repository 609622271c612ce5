//! Subject alternative names of a certificate.

use mesh_model::matcher::StringMatcher;
use std::sync::Arc;
use x509_parser::extensions::GeneralName;

/// The first URI SAN, which is where SPIFFE puts the identity; `None` if the certificate has none or can't be parsed.
pub fn first_uri(der: &[u8]) -> Option<Arc<str>> {
    let mut found = None;
    for_each(der, |name| {
        if let (None, GeneralName::URI(uri)) = (&found, name) {
            found = Some(Arc::from(*uri));
        }
    });
    found
}

/// Whether a URI or DNS SAN matches one of `wanted`. A certificate that can't be parsed matches nothing.
pub fn any_matches(der: &[u8], wanted: &[StringMatcher]) -> bool {
    let mut matched = false;
    for_each(der, |name| {
        if let GeneralName::URI(text) | GeneralName::DNSName(text) = name {
            matched |= wanted.iter().any(|want| want.matches(text));
        }
    });
    matched
}

fn for_each(der: &[u8], mut look: impl FnMut(&GeneralName<'_>)) {
    if let Ok((_, certificate)) = x509_parser::parse_x509_certificate(der)
        && let Ok(Some(names)) = certificate.subject_alternative_name()
    {
        names.value.general_names.iter().for_each(&mut look);
    }
}
