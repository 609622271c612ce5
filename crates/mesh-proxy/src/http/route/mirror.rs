//! Who gets copies of a route's requests, compiled.

use crate::upstream::{Clusters, clusters::ClusterSlot};
use http::{HeaderValue, uri::Authority};
use mesh_model::{matcher::Fraction, route};
use std::sync::Arc;

/// A compiled [`route::Mirror`].
#[derive(Debug)]
pub(crate) struct Mirror {
    /// Its cluster.
    pub(crate) cluster: Arc<ClusterSlot>,
    fraction: Option<Fraction>,
    append_shadow_suffix: bool,
    host: Option<HeaderValue>,
}

impl Mirror {
    pub(super) fn compile(model: &route::Mirror, clusters: &Clusters) -> Self {
        let host = model.host.as_deref();
        Self {
            cluster: clusters.slot(&model.cluster),
            fraction: model.fraction,
            append_shadow_suffix: model.append_shadow_suffix,
            host: host.and_then(|host| HeaderValue::from_str(host).ok()),
        }
    }

    /// Whether this request is copied.
    pub(crate) fn draws(&self) -> bool {
        let drawn = |fraction: Fraction| fraction.contains(fastrand::u64(..));
        self.fraction.is_none_or(drawn)
    }

    /// Host that it is asked for, where the server is asked for `host`.
    pub(crate) fn host(&self, host: &HeaderValue) -> HeaderValue {
        match &self.host {
            Some(own) => own.clone(),
            None if self.append_shadow_suffix => shadow(host).unwrap_or_else(|| host.clone()),
            None => host.clone(),
        }
    }
}

// `a:80` becomes `a-shadow:80`; an address stays, with the suffix behind it.
fn shadow(host: &HeaderValue) -> Option<HeaderValue> {
    let authority = Authority::try_from(host.as_bytes()).ok()?;
    let shadow = match authority.port() {
        Some(port) => format!("{}-shadow:{port}", authority.host()),
        None => format!("{}-shadow", authority.host()),
    };
    HeaderValue::from_str(&shadow).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_asked_for_a_host_of_its_own() {
        let host = |asked: &'static str, change: &dyn Fn(&mut route::Mirror)| {
            let mut model = route::Mirror::to("m".into());
            change(&mut model);
            let mirror = Mirror::compile(&model, &Clusters::default());
            mirror.host(&HeaderValue::from_static(asked))
        };
        assert_eq!(host("a.test", &|_| ()), "a.test-shadow");
        assert_eq!(host("a.test:80", &|_| ()), "a.test-shadow:80");
        let plain = |m: &mut route::Mirror| m.append_shadow_suffix = false;
        assert_eq!(host("a.test:80", &plain), "a.test:80");
        let own = |m: &mut route::Mirror| m.host = Some("b".into());
        assert_eq!(host("a.test:80", &own), "b");
    }

    #[test]
    fn a_share_is_copied() {
        let mirror = |fraction| {
            let model = route::Mirror {
                fraction,
                ..route::Mirror::to("m".into())
            };
            Mirror::compile(&model, &Clusters::default())
        };
        let share = |numerator| {
            Some(Fraction {
                numerator,
                per: mesh_model::matcher::FractionOf::Hundred,
            })
        };
        assert!(mirror(None).draws() && mirror(share(100)).draws());
        assert!(!mirror(share(0)).draws());
    }
}
