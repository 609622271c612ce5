//! `meshctl proxy-config rootca-compare`: whether two proxies trust the same roots.

use std::collections::BTreeSet;

use x509_parser::pem::Pem;

use crate::args::Admin;
use crate::dump::ConfigDump;
use crate::dump::secret::Content;
use crate::failure::Failure;
use crate::fetch::Mesh;

/// The secret with the roots of the mesh.
const ROOTS: &str = mesh_model::name::ROOT_CA_SECRET;

/// Roots, each in DER.
type Roots = BTreeSet<Vec<u8>>;

/// Compares the roots of two pods' proxies.
pub(super) fn run(pods: [&str; 2], admin: Admin, mesh: &Mesh) -> Result<String, Failure> {
    let of = |pod: &str| -> Result<(String, Roots), Failure> {
        let proxy = mesh.proxy_at(pod, admin.proxy_admin_port)?;
        let dump = ConfigDump::read(&proxy.get(super::CONFIG_DUMP)?)?;
        let roots = roots(&dump)?;
        match roots.is_empty() {
            true => Err(Failure::bad_data(anyhow::Error::msg(format!(
                "the proxy of {} has no roots ({ROOTS})",
                proxy.name
            )))
            .hint(format!(
                "`meshctl proxy-config secret {pod}` shows what it has"
            ))),
            false => Ok((proxy.name.clone(), roots)),
        }
    };
    verdict(&of(pods[0])?, &of(pods[1])?)
}

fn verdict(
    (one, of_one): &(String, Roots),
    (other, of_other): &(String, Roots),
) -> Result<String, Failure> {
    if of_one == of_other {
        return Ok(format!(
            "Both [{one}] and [{other}] have the identical ROOTCA, theoretically the connectivity between them is available\n"
        ));
    }
    let failure = Failure::from(anyhow::Error::msg(format!(
        "Both [{one}] and [{other}] have the non identical ROOTCA, theoretically the connectivity between them is unavailable"
    )));
    let shared = of_one.intersection(of_other).count();
    Err(match shared {
        0 => failure.hint("the two may belong to different meshes, or one has not renewed since the root was replaced"),
        shared => failure.hint(format!(
            "they have {shared} in common, of {} and {}: while a root is being replaced some proxies hear of it earlier than others, and both trust what a root in common has signed",
            of_one.len(),
            of_other.len()
        )),
    })
}

/// What is trusted, whatever it is trusted for.
fn roots(dump: &ConfigDump) -> Result<Roots, Failure> {
    let secrets = dump.secrets()?;
    let bundles = secrets
        .all()
        .filter(|(name, state, _)| *name == ROOTS && *state == "ACTIVE");
    let bundles = bundles.flat_map(|(_, _, content)| match content {
        Content::Roots(bundles) => bundles,
        Content::Chain(_) | Content::Nothing => Vec::new(),
    });
    let mut roots = Roots::new();
    for (_, pem) in bundles {
        let blocks = Pem::iter_from_buffer(&pem).filter_map(Result::ok);
        roots.extend(blocks.map(|block| block.contents));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_in_common_are_told() {
        let of = |name: &str, roots: &[u8]| {
            let roots = roots.iter().map(|root| vec![*root]).collect();
            (name.to_owned(), roots)
        };
        let same = verdict(&of("a.x", &[1, 2]), &of("b.y", &[2, 1])).expect("the same");
        assert!(same.starts_with("Both [a.x] and [b.y] have the identical ROOTCA"));
        for (roots, hint) in [
            (&[1, 3][..], "hint: they have 1 in common, of 2 and 2"),
            (&[3], "hint: the two may belong to different meshes"),
        ] {
            let failure = verdict(&of("a.x", &[1, 2]), &of("b.y", roots)).expect_err("others");
            let report = failure.report();
            assert!(report.contains("have the non identical ROOTCA"), "{report}");
            assert!(report.contains(hint), "{report}");
        }
    }
}
