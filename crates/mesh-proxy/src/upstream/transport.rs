//! How a connection to an endpoint is made: in plaintext or over TLS, by what the endpoint's metadata says.

use crate::tls::{Secrets, UpstreamContext};
use mesh_model::{cluster, endpoint::Endpoint};
use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

/// A compiled [`cluster::Transport`].
#[derive(Debug)]
pub struct Transport {
    /// Number of the transport, unique in the process: connections of one are not used for another.
    pub id: u32,
    /// Name of the match that selects it, such as `tlsMode-istio`; empty for the cluster's own.
    pub name: String,
    model: cluster::Transport,
    tls: Option<UpstreamContext>,
}

impl Transport {
    fn new(name: &str, model: &cluster::Transport, secrets: &Secrets) -> Arc<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let tls = match model {
            cluster::Transport::RawBuffer => None,
            cluster::Transport::Tls(tls) => Some(UpstreamContext::new((**tls).clone(), secrets)),
        };
        Arc::new(Self {
            id: NEXT.fetch_add(1, Relaxed),
            name: name.to_owned(),
            model: model.clone(),
            tls,
        })
    }

    /// Its TLS context; `None`: plaintext.
    pub fn tls(&self) -> Option<&UpstreamContext> {
        self.tls.as_ref()
    }

    fn is_warm(&self) -> bool {
        self.tls.as_ref().is_none_or(UpstreamContext::is_warm)
    }
}

/// What must stand in an endpoint's metadata.
type Labels = Vec<(String, String)>;

/// The transports of one cluster.
#[derive(Debug)]
pub struct Transports {
    matches: Vec<(Labels, Arc<Transport>)>,
    default: Arc<Transport>,
}

impl Transports {
    /// Compiles those of `model`. One that `old` has in the same form is kept, with its sessions and connections.
    pub fn new(model: &cluster::Cluster, secrets: &Secrets, old: Option<&Self>) -> Self {
        let make = |name: &str, wanted: &cluster::Transport| {
            old.and_then(|old| old.find(name, wanted))
                .unwrap_or_else(|| Transport::new(name, wanted, secrets))
        };
        Self {
            matches: (model.transport_matches.iter())
                .map(|m| (m.labels.clone(), make(&m.name, &m.transport)))
                .collect(),
            default: make("", &model.transport),
        }
    }

    /// The transport for an endpoint with these labels: the first match, else the cluster's own.
    pub fn select(&self, endpoint: &Endpoint) -> &Arc<Transport> {
        let has = |(key, value): &(String, String)| {
            let mut labels = endpoint.transport_match.iter();
            labels.any(|(k, v)| **k == **key && **v == **value)
        };
        self.matches
            .iter()
            .find(|(labels, _)| labels.iter().all(has))
            .map_or(&self.default, |(_, transport)| transport)
    }

    /// The transport for an address about which nothing is known.
    pub fn for_unknown(&self) -> &Arc<Transport> {
        self.matches
            .iter()
            .find(|(labels, _)| labels.is_empty())
            .map_or(&self.default, |(_, transport)| transport)
    }

    /// Whether the secrets of all of them have arrived.
    pub fn is_warm(&self) -> bool {
        self.all().all(|t| t.is_warm())
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Transport>> {
        self.matches.iter().map(|m| &m.1).chain([&self.default])
    }

    fn find(&self, name: &str, model: &cluster::Transport) -> Option<Arc<Transport>> {
        self.all()
            .find(|t| t.name == name && t.model == *model)
            .cloned()
    }
}

/// A list of ALPN protocols to offer instead of the transport's own, interned: equal lists are the same.
#[derive(Debug)]
pub struct Alpn {
    /// Number of the list, unique in the process; never 0.
    pub id: u32,
    /// The protocols, most wanted first.
    pub protocols: Vec<String>,
}

impl Alpn {
    /// The list with these protocols. For the control side: takes a lock.
    pub fn intern(protocols: &[String]) -> Arc<Self> {
        static ALL: LazyLock<parking_lot::Mutex<HashMap<Vec<String>, Arc<Alpn>>>> =
            LazyLock::new(Default::default);
        let mut all = ALL.lock();
        let id = all.len() as u32 + 1;
        let make = || {
            Arc::new(Self {
                id,
                protocols: protocols.to_vec(),
            })
        };
        Arc::clone(all.entry(protocols.to_vec()).or_insert_with(make))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::cluster::tests::{endpoint, tls, with_transports};

    #[test]
    fn the_first_match_wins_and_equal_transports_are_kept() {
        let secrets = Secrets::default();
        let model = with_transports(vec![
            ("tlsMode-istio", vec![("tlsMode", "istio")], tls("a")),
            ("disabled", vec![], cluster::Transport::RawBuffer),
        ]);
        let transports = Transports::new(&model, &secrets, None);
        let mut istio = endpoint("10.0.0.1:80");
        istio.transport_match = vec![("tlsMode".into(), "istio".into())];
        let plain = endpoint("10.0.0.2:80");
        assert_eq!(transports.select(&istio).name, "tlsMode-istio");
        assert!(transports.select(&istio).tls().is_some());
        assert_eq!(transports.select(&plain).name, "disabled");
        assert_eq!(transports.for_unknown().name, "disabled");

        let same = Transports::new(&model, &secrets, Some(&transports));
        assert_eq!(transports.select(&istio).id, same.select(&istio).id);
        let changed = with_transports(vec![(
            "tlsMode-istio",
            vec![("tlsMode", "istio")],
            tls("b"),
        )]);
        let changed = Transports::new(&changed, &secrets, Some(&transports));
        assert_ne!(transports.select(&istio).id, changed.select(&istio).id);
        assert_eq!(changed.select(&plain).name, "", "the cluster's own");
    }

    #[test]
    fn equal_alpn_lists_are_the_same() {
        let list = ["istio-h2".to_owned(), "h2".to_owned()];
        assert_eq!(Alpn::intern(&list).id, Alpn::intern(&list).id);
        assert_ne!(Alpn::intern(&list).id, Alpn::intern(&list[..1]).id);
    }
}
