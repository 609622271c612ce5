//! Where a route sends requests, compiled.

use crate::{
    http::mutations::Mutations,
    telemetry::substitution::InvalidFormat,
    upstream::{Clusters, clusters::ClusterSlot},
};
use mesh_model::route;
use std::sync::Arc;

/// One cluster, or several by weight. A request asks with the number that it drew, so that it is told the same each time.
#[derive(Debug)]
pub(crate) enum Target {
    /// One cluster.
    One(Arc<ClusterSlot>),
    /// One of these.
    Weighted(Box<[Weighted]>),
}

/// One of several clusters.
#[derive(Debug)]
pub(crate) struct Weighted {
    cluster: Arc<ClusterSlot>,
    // Sum of the weights so far, its own included.
    up_to: u64,
    mutations: Mutations,
}

impl Target {
    /// Compiles `model`; `outer`: what the levels around it change of headers.
    ///
    /// # Errors
    /// If the value of a header has an operator that is not understood.
    pub(super) fn compile(
        model: &route::Target,
        outer: &Mutations,
        clusters: &Clusters,
    ) -> Result<Self, InvalidFormat> {
        match model {
            route::Target::Cluster(name) => Ok(Self::One(clusters.slot(name))),
            route::Target::Weighted(all) => {
                let mut sum = 0;
                let all = all.iter().map(|one| {
                    sum += u64::from(one.weight);
                    Ok(Weighted {
                        cluster: clusters.slot(&one.name),
                        up_to: sum,
                        mutations: Mutations::within(&one.headers, outer)?,
                    })
                });
                Ok(Self::Weighted(all.collect::<Result<_, _>>()?))
            }
        }
    }

    /// The cluster of a request that drew `random`; it may be empty.
    pub(crate) fn cluster(&self, random: u64) -> &Arc<ClusterSlot> {
        match self {
            Self::One(cluster) => cluster,
            Self::Weighted(all) => &chosen(all, random).cluster,
        }
    }

    /// What is changed of the headers of a request that drew `random`; `None`: what its route says.
    pub(super) fn mutations(&self, random: u64) -> Option<&Mutations> {
        match self {
            Self::One(_) => None,
            Self::Weighted(all) => Some(&chosen(all, random).mutations),
        }
    }
}

// Whoever weighs nothing is never chosen. There is at least one, and a sum: both were checked when they were decoded.
fn chosen(all: &[Weighted], random: u64) -> &Weighted {
    let sum = all.last().map_or(1, |last| last.up_to.max(1));
    let place = random % sum;
    let index = all.partition_point(|one| one.up_to <= place);
    &all[index.min(all.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_model::route::HeaderMutations;

    #[test]
    fn clusters_are_chosen_by_their_weights() {
        let weighted = |name: &str, weight| route::WeightedCluster {
            name: name.into(),
            weight,
            headers: HeaderMutations::default(),
        };
        let all = vec![weighted("a", 9), weighted("never", 0), weighted("b", 1)];
        let target = route::Target::Weighted(all);
        let target = Target::compile(&target, &Mutations::default(), &Clusters::default());
        let target = target.expect("good formats");
        let of = |name: &str| {
            let chosen = (0..100).map(|random| target.cluster(random).name().as_str() == name);
            chosen.filter(|is| *is).count()
        };
        assert_eq!((of("a"), of("never"), of("b")), (90, 0, 10));
    }
}
