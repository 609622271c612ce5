//! What proxies and control plane have to agree on. Pods get it from the values, by way of the injector; the control plane
//! is told by flags, which are made here from what the injector reads.

use mesh_injector::{Settings, Texts};

/// What the values say about it, or the injector's defaults.
pub(super) struct Agreed {
    /// DNS domain of the cluster (`global.proxy.clusterDomain`).
    pub(super) domain: String,
    /// Name of the cluster (`global.multiCluster.clusterName`).
    cluster_id: String,
    /// Audience of the tokens that are shown to the certificate authority (`global.sds.token.aud`).
    pub(super) token_audience: String,
}

impl Agreed {
    /// As the injector reads `texts`. What it cannot read is refused by [`super::super::check`], whatever is made of it here.
    pub(super) fn of(texts: &Texts) -> Self {
        let read = Settings::read(texts).map(|read| read.value);
        let settings = read.unwrap_or_default();
        Self {
            domain: settings.cluster_domain,
            cluster_id: settings.cluster_id,
            token_audience: settings.token_audience,
        }
    }

    /// The control plane's flags for what is not the default of all programs. A flag would go before a variable of
    /// `pilot.env`, which says nothing to the pods.
    pub(super) fn flags(&self) -> Vec<String> {
        let Settings {
            cluster_domain,
            cluster_id,
            token_audience,
            ..
        } = Settings::default();
        let all = [
            ("--domain", &self.domain, cluster_domain),
            ("--clusterID", &self.cluster_id, cluster_id),
            ("--token-audience", &self.token_audience, token_audience),
        ];
        let set = all.iter().filter(|(_, value, default)| *value != default);
        set.flat_map(|(flag, value, _)| [(*flag).to_owned(), (*value).clone()])
            .collect()
    }
}
