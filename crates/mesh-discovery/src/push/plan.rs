//! What a change means to one proxy: which types to look at, in the order of sending.

use crate::{
    snapshot::{Change, Workload, World},
    translate::Proxy,
    watch::ObjectRef,
};
use mesh_xds::ads::ResourceType;
use std::{collections::BTreeSet, sync::Arc};

/// The steps of one push to one proxy, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// To be popped from the end.
    steps: Vec<Step>,
}

/// One type to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// All of it.
    All(ResourceType),
    /// The endpoints of these hosts.
    EndpointsOf(BTreeSet<Arc<str>>),
}

impl Plan {
    /// The plan for a change; `world` is the world with it.
    pub fn of(change: &Change, proxy: &Proxy, world: &World) -> Self {
        let steps = if change.full || touches(change, proxy, world) {
            ResourceType::ALL.into_iter().rev().map(Step::All).collect()
        } else if change.endpoints.is_empty() {
            Vec::new()
        } else {
            vec![Step::EndpointsOf(change.endpoints.clone())]
        };
        Self { steps }
    }

    /// The next step.
    pub fn next_step(&mut self) -> Option<Step> {
        self.steps.pop()
    }
}

/// Whether the proxy's own pod changed, and with it what the proxy accepts.
fn touches(change: &Change, proxy: &Proxy, world: &World) -> bool {
    let named =
        |namespace: &str, name: &str| change.workloads.contains(&ObjectRef::new(namespace, name));
    let own = |pod: &Workload| named(&pod.namespace, &pod.name);
    !change.workloads.is_empty()
        && (named(&proxy.id.namespace, &proxy.id.pod)
            || proxy.workload(world).is_some_and(|w| own(w)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::ClusterIdentity;
    use mesh_model::node::Capabilities;

    fn plan(change: &Change) -> Vec<Step> {
        let id = "sidecar~10.0.0.1~web.test~test.svc.cluster.local"
            .parse()
            .expect("node id");
        let proxy = Proxy::new(id, Capabilities::default());
        let mut plan = Plan::of(change, &proxy, &World::empty(ClusterIdentity::default()));
        std::iter::from_fn(|| plan.next_step()).collect()
    }

    #[test]
    fn everything_goes_make_before_break() {
        let steps = plan(&Change::everything());
        let at = |kind| {
            steps
                .iter()
                .position(|step| *step == Step::All(kind))
                .expect("a step")
        };
        assert!(at(ResourceType::Cluster) < at(ResourceType::Endpoint));
        assert!(at(ResourceType::Endpoint) < at(ResourceType::Listener));
        assert!(at(ResourceType::Listener) < at(ResourceType::Route));
    }

    #[test]
    fn endpoints_alone_are_pushed_alone() {
        let mut change = Change::default();
        assert_eq!(plan(&change), []);
        change.endpoints.insert("a".into());
        assert_eq!(plan(&change), [Step::EndpointsOf(["a".into()].into())]);
    }

    #[test]
    fn a_pods_change_concerns_its_own_proxy() {
        let of = |pod: &str| Change {
            workloads: [ObjectRef::new("test", pod)].into(),
            ..Change::default()
        };
        assert_eq!(plan(&of("other")), []);
        assert_eq!(plan(&of("web")).len(), ResourceType::ALL.len());
    }
}
