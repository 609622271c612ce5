//! `meshctl version`.

use serde_json::{Value, json};

use crate::args::{Version, VersionOutput};
use crate::failure::Failure;
use crate::fetch;
use crate::view::{document, version};

use super::Open;
use super::proxy_status::{SYNCZ, read_statuses};

/// What runs.
#[derive(Debug)]
pub(crate) struct Versions {
    /// This program.
    pub(crate) client: String,
    /// What control planes say, if one was asked.
    pub(crate) remote: Option<Remote>,
}

/// The versions of a mesh; each part with its name.
#[derive(Debug, Default)]
pub(crate) struct Remote {
    /// Control planes.
    pub(crate) control_planes: Vec<ControlPlane>,
    /// Proxies that are connected.
    pub(crate) proxies: Vec<(String, String)>,
}

/// One control plane.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    /// Name of its pod; of a demo that of its program.
    pub(crate) name: String,
    /// What its proxies call it, if it is in a cluster.
    pub(crate) revision: Option<String>,
    /// Its version.
    pub(crate) version: String,
}

/// What `istioctl` calls a control plane, for scripts that look for it.
const COMPONENT: &str = "pilot";

pub(super) fn run(args: &Version, mesh: Open<'_>) -> Result<String, Failure> {
    let versions = Versions {
        client: env!("CARGO_PKG_VERSION").to_owned(),
        remote: match args.remote {
            true => remote(args.revision.as_deref(), mesh)?,
            false => None,
        },
    };
    Ok(match (args.output, args.short) {
        (Some(VersionOutput::Json), _) => document::json(&versions.json()),
        (Some(VersionOutput::Yaml), _) => document::yaml(&versions.json()),
        (None, true) => version::lines(&versions),
        (None, false) => version::parts(&versions),
    })
}

/// What the control planes say. That there is none is no failure: the version of this program is still an answer.
fn remote(revision: Option<&str>, mesh: Open<'_>) -> Result<Option<Remote>, Failure> {
    let of = |plane: &fetch::Discovery| plane.pod.as_ref().and_then(|pod| pod.revision.clone());
    let is_wanted = |plane: &fetch::Discovery| {
        revision.is_none_or(|wanted| of(plane).as_deref().unwrap_or("default") == wanted)
    };
    let asked = mesh().and_then(|mesh| {
        mesh.ask_discoveries(is_wanted, |plane| {
            Ok((plane.get("/version")?, plane.get(SYNCZ)?))
        })
    });
    let answers = match asked {
        Ok(answers) => answers,
        Err(error @ (fetch::Error::Sandbox(_) | fetch::Error::Cluster(_))) => {
            eprintln!("warning: only the client's version is known: {error}");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let mut remote = Remote::default();
    for (plane, (version, statuses)) in answers {
        remote.control_planes.push(ControlPlane {
            revision: of(&plane),
            name: plane.name().to_owned(),
            version: version.trim().to_owned(),
        });
        let statuses = read_statuses(&statuses)?.into_iter();
        let named = statuses.map(|status| (status.proxy, status.istio_version));
        remote.proxies.extend(named);
    }
    remote.proxies.sort();
    if let (Some(revision), []) = (revision, &remote.control_planes[..]) {
        eprintln!("warning: no control plane is of revision {revision}");
    }
    Ok(Some(remote))
}

impl Versions {
    /// In the form of `istioctl version -o json`.
    fn json(&self) -> Value {
        let mut json = json!({ "clientVersion": { "version": self.client } });
        if let Some(remote) = &self.remote {
            let planes = remote.control_planes.iter().map(|plane| {
                json!({
                    "Component": COMPONENT,
                    "Revision": plane.revision.as_deref().unwrap_or("default"),
                    "Info": { "version": plane.version },
                })
            });
            let proxies = remote.proxies.iter();
            let proxies =
                proxies.map(|(name, version)| json!({ "ID": name, "IstioVersion": version }));
            json["meshVersion"] = planes.collect();
            json["dataPlaneVersion"] = proxies.collect();
        }
        json
    }
}
