//! The table of secrets.

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::time::ASN1Time;

use crate::dump::secret::{Content, Secrets};
use crate::view::columns::columns;

const PADDING: usize = 5;
const HEADER: [&str; 7] = [
    "RESOURCE NAME",
    "TYPE",
    "STATUS",
    "VALID CERT",
    "SERIAL NUMBER",
    "NOT AFTER",
    "NOT BEFORE",
];

/// One row.
struct Row {
    name: String,
    kind: &'static str,
    state: &'static str,
    certificate: Option<Certificate>,
    trust_domain: Option<String>,
}

/// What a table says of a certificate.
struct Certificate {
    valid: bool,
    serial: String,
    not_after: String,
    not_before: String,
    trust_domain: Option<String>,
}

/// The table: one row for a chain, by its first certificate, one for each root of a bundle; `now` decides what is
/// valid, `named` writes `secret/` before names.
pub(crate) fn table(secrets: &Secrets, now: Timestamp, named: bool) -> String {
    let prefix = if named { "secret/" } else { "" };
    let rows: Vec<Row> = secrets
        .all()
        .flat_map(|(name, state, content)| rows(&format!("{prefix}{name}"), state, content, now))
        .collect();
    if rows.is_empty() {
        return "No secret items to show.\n".to_owned();
    }
    let domains = rows.iter().all(|row| row.trust_domain.is_some());
    let mut header: Vec<_> = HEADER.map(str::to_owned).into();
    header.extend(domains.then(|| "TRUST DOMAIN".to_owned()));
    let rows = rows.into_iter().map(|row| row.cells(domains));
    columns(
        &std::iter::once(header).chain(rows).collect::<Vec<_>>(),
        PADDING,
    )
}

fn rows(name: &str, state: &'static str, content: Content, now: Timestamp) -> Vec<Row> {
    let row = |kind, certificate: Option<Certificate>, domain: Option<String>| Row {
        name: name.to_owned(),
        kind,
        state,
        trust_domain: domain.or_else(|| certificate.as_ref()?.trust_domain.clone()),
        certificate,
    };
    match content {
        Content::Nothing => vec![row("", None, None)],
        Content::Chain(pem) => {
            let leaf = certificates(&pem, now).into_iter().next();
            vec![row("Cert Chain", leaf, None)]
        }
        Content::Roots(bundles) => {
            let mut rows = Vec::new();
            for (domain, pem) in bundles {
                let roots = certificates(&pem, now).into_iter();
                rows.extend(roots.map(|root| row("CA", Some(root), domain.clone())));
            }
            match rows.is_empty() {
                true => vec![row("CA", None, None)],
                false => rows,
            }
        }
    }
}

impl Row {
    fn cells(self, domains: bool) -> Vec<String> {
        let mut cells = vec![self.name, self.kind.to_owned(), self.state.to_owned()];
        cells.extend(match self.certificate {
            Some(c) => [c.valid.to_string(), c.serial, c.not_after, c.not_before],
            None => [
                "false".to_owned(),
                String::new(),
                String::new(),
                String::new(),
            ],
        });
        cells.extend(self.trust_domain.filter(|_| domains));
        cells
    }
}

/// The certificates of a PEM text; what is none is left out.
fn certificates(pem: &[u8], now: Timestamp) -> Vec<Certificate> {
    let blocks = Pem::iter_from_buffer(pem).filter_map(Result::ok);
    blocks
        .filter_map(|block| Some(Certificate::new(&block.parse_x509().ok()?, now)))
        .collect()
}

impl Certificate {
    fn new(x509: &X509Certificate<'_>, now: Timestamp) -> Self {
        let validity = x509.validity();
        let now = now.as_second();
        let serial = x509.tbs_certificate.serial.to_bytes_be();
        Self {
            valid: (validity.not_before.timestamp()..=validity.not_after.timestamp())
                .contains(&now),
            serial: serial.iter().map(|byte| format!("{byte:02x}")).collect(),
            not_after: rfc3339(validity.not_after),
            not_before: rfc3339(validity.not_before),
            trust_domain: trust_domain(x509),
        }
    }
}

fn rfc3339(time: ASN1Time) -> String {
    Timestamp::from_second(time.timestamp())
        .map_or_else(|_| time.to_string(), |time| time.to_string())
}

/// The trust domain of its SPIFFE name.
fn trust_domain(x509: &X509Certificate<'_>) -> Option<String> {
    let names = x509.subject_alternative_name().ok()??;
    names
        .value
        .general_names
        .iter()
        .find_map(|name| match name {
            GeneralName::URI(uri) => uri
                .strip_prefix("spiffe://")?
                .split('/')
                .next()
                .map(str::to_owned),
            _ => None,
        })
}
