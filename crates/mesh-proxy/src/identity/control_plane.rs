//! The way to the control plane, for certificates and for configuration, with the files and the cluster that the settings
//! name. How it is gone is [`mesh_runtime::control_plane`]'s.

use crate::{config::Settings, tls};
use mesh_runtime::control_plane::Roots;
pub use mesh_runtime::control_plane::{ControlPlane, Error};

/// The one at `address`, `host:port`.
pub fn control_plane(address: &str, settings: &Settings) -> ControlPlane {
    let roots = Roots::File(settings.paths.ca_root.clone());
    let token = settings.paths.token.clone();
    let plane = ControlPlane::new(address, roots, token, tls::provider());
    plane.of_cluster(settings.node.text("CLUSTER_ID"))
}
