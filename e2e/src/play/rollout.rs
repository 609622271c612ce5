//! Under 500 requests each second five servers are replaced, thrice; as often while the control plane restarts; and the API
//! server is away for a while. Nothing fails, nothing arrives twice.

use super::{
    Form,
    mesh::{Mesh, SYSTEM},
    traffic::Traffic,
};
use crate::cluster::Cluster;
use anyhow::Result;
use std::{thread, time::Duration};

/// Plays it. The short form has one roll of each kind, and an API server that is away for 10 s.
pub(crate) fn play(cluster: &dyn Cluster, form: &Form) -> Result<()> {
    let _mesh = Mesh::install(cluster, &[])?;
    let (seconds, rolls, away) = if form.long {
        (480, 3, 60)
    } else {
        (120, 1, 10)
    };
    let traffic = Traffic::start(cluster, "rollout", Duration::from_secs(seconds))?;
    for _ in 0..rolls {
        traffic.under("all servers are replaced", || traffic.roll())?;
    }
    let kubectl = cluster.kubectl();
    for _ in 0..rolls {
        traffic.under("servers and control plane are replaced", || {
            for part in ["istiod", "istio-sidecar-injector"] {
                let part = format!("deployment/{part}");
                kubectl.text(&["-n", SYSTEM, "rollout", "restart", &part])?;
            }
            traffic.roll()?;
            kubectl.rolled_out(SYSTEM, "istiod")
        })?;
    }
    traffic.under("the API server was away", || {
        cluster.api_server(false)?;
        thread::sleep(Duration::from_secs(away));
        cluster.api_server(true)
    })?;
    traffic.under("all servers are replaced once more", || traffic.roll())?;
    traffic.judge()
}
