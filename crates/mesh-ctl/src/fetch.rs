//! Where answers come from: a file that was saved, or the admin interface of a pod.
//!
//! Asks and hands on text; what it means is read elsewhere.

mod cluster;
mod forward;
mod http;
mod injector;
mod pod_name;
mod runtime;
mod sandbox;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub(crate) use cluster::{
    Cluster, ClusterOptions, ControlPlane, Error as ClusterError, is_configured, is_ready, resource,
};
pub(crate) use forward::{Error as ForwardError, Forward};
pub(crate) use http::{Error as HttpError, Server};
pub(crate) use injector::ConfigMaps;
pub(crate) use pod_name::PodName;
pub(crate) use runtime::block_on;
pub(crate) use sandbox::{Error as SandboxError, Sandboxes};

/// Where a proxy of a cluster answers.
const ADMIN: u16 = mesh_model::port::ADMIN;
/// Where a control plane of a cluster answers what comes from its own pod, as forwarded ports do.
const DEBUG: u16 = mesh_model::port::DISCOVERY_HTTP;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No such pod, or too many.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The cluster did not answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// It did not answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// No port of this machine can be had.
    #[error(transparent)]
    Forward(#[from] ForwardError),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Http(error.into())
    }
}

impl Error {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::File { .. } => None,
            Self::Sandbox(error) => Some(error.hint()),
            Self::Cluster(error) => Some(error.hint()),
            Self::Http(error) => error.hint(),
            Self::Forward(error) => Some(error.hint()),
        }
    }
}

/// A mesh whose proxies and control planes can be asked: that of a demo on this machine, or that of a cluster.
#[derive(Debug)]
pub(crate) struct Mesh {
    place: Place,
    namespace: String,
}

#[derive(Debug)]
enum Place {
    Sandboxes(Sandboxes),
    Cluster(Cluster),
}

impl Mesh {
    /// The one that is meant: a cluster if it is named, by a flag or an exported `KUBECONFIG`, else a demo that runs here,
    /// else the cluster of the user's kubeconfig.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn open(options: &ClusterOptions, namespace: Option<&str>) -> Result<Self, Error> {
        let exported = cluster::is_exported() && !sandbox::is_named();
        let place = match options.is_named() || exported {
            true => Place::Cluster(Self::cluster(options)?),
            false => match Sandboxes::open() {
                Err(error) if error.is_absence() && cluster::is_configured() => {
                    Place::Cluster(Self::cluster(options)?)
                }
                other => Place::Sandboxes(other?),
            },
        };
        let default = match &place {
            Place::Sandboxes(_) => "default",
            Place::Cluster(cluster) => cluster.default_namespace(),
        };
        let namespace = namespace.unwrap_or(default).to_owned();
        Ok(Self { place, namespace })
    }

    fn cluster(options: &ClusterOptions) -> Result<Cluster, Error> {
        block_on(async { Ok(Cluster::open(options).await?) })
    }

    /// The running pods that bear labels, as they are typed: `<name>.<namespace>`. Of a demo nothing is known but names.
    ///
    /// # Errors
    /// If it is a demo, or there is none.
    pub(crate) fn labelled(&self, labels: &str) -> Result<Vec<String>, Error> {
        let Place::Cluster(cluster) = &self.place else {
            return Err(ClusterError::NotACluster.into());
        };
        let found =
            block_on(async { Ok::<_, Error>(cluster.running(&self.namespace, labels).await?) });
        let names: Vec<_> = found?
            .iter()
            .map(|pod| format!("{pod}.{}", self.namespace))
            .collect();
        match names.is_empty() {
            true => Err(ClusterError::NoRunningPod(labels.to_owned()).into()),
            false => Ok(names),
        }
    }

    /// The proxy of the pod that was typed.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub(crate) fn proxy(&self, typed: &str) -> Result<Proxy, Error> {
        self.proxy_at(typed, ADMIN)
    }

    /// The proxy of the pod that was typed, which answers on `port` of it. In a demo there is one way to each proxy, whatever
    /// the port.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub(crate) fn proxy_at(&self, typed: &str, port: u16) -> Result<Proxy, Error> {
        let name = PodName::new(typed, &self.namespace);
        match &self.place {
            Place::Sandboxes(sandboxes) => {
                let pod = sandboxes.pod(&name)?;
                let plane = Server::socket(sandbox::discovery(&pod.folder), DISCOVERY);
                Ok(Proxy {
                    admin: Server::socket(pod.socket, format!("the proxy of {}", pod.name)),
                    name: pod.name,
                    planes: Planes::Known(vec![Discovery {
                        debug: plane,
                        pod: None,
                    }]),
                })
            }
            Place::Cluster(cluster) => {
                let (namespace, pod) =
                    block_on(async { Ok::<_, Error>(cluster.pod(&name).await?) })?;
                Ok(Proxy::at(cluster, namespace, pod, port))
            }
        }
    }

    /// All control planes that there are.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn discoveries(&self) -> Result<Vec<Discovery>, Error> {
        match &self.place {
            Place::Sandboxes(sandboxes) => {
                let sockets = sandboxes.discoveries()?.into_iter();
                let debug = sockets.map(|socket| Server::socket(socket, DISCOVERY));
                Ok(debug.map(|debug| Discovery { debug, pod: None }).collect())
            }
            Place::Cluster(cluster) => Discovery::of(cluster),
        }
    }

    /// What each of the wanted control planes answers. If only some answer, the others are named in a warning.
    ///
    /// # Errors
    /// If there is none at all, or none answers: then the last one's error.
    pub(crate) fn ask_discoveries<T>(
        &self,
        is_wanted: impl Fn(&Discovery) -> bool,
        ask: impl Fn(&Discovery) -> Result<T, Error>,
    ) -> Result<Vec<(Discovery, T)>, Error> {
        let planes = self.discoveries()?.into_iter();
        answers(planes.filter(is_wanted), ask)
    }

    /// One control plane: the pod that was typed, else the first.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn discovery(&self, typed: Option<&str>) -> Result<Discovery, Error> {
        if let Some(typed) = typed {
            let Place::Cluster(cluster) = &self.place else {
                return Err(ClusterError::NotACluster.into());
            };
            let name = PodName::new(typed, &cluster.istio_namespace);
            let (namespace, pod) = block_on(async { Ok::<_, Error>(cluster.pod(&name).await?) })?;
            let (peer, revision) = (pod.clone(), None);
            return Ok(Discovery {
                debug: Server::forwarded(cluster.clone(), namespace, pod.clone(), DEBUG, peer),
                pod: Some(ControlPlane { pod, revision }),
            });
        }
        let first = self.discoveries()?.into_iter().next();
        first.ok_or(Error::Sandbox(SandboxError::Nothing))
    }
}

/// What messages call a control plane.
const DISCOVERY: &str = "mesh-discovery";

/// A proxy that can be asked.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// `<pod>.<namespace>`.
    pub(crate) name: String,
    admin: Server,
    planes: Planes,
}

/// The control planes that a proxy may be connected to.
#[derive(Debug)]
enum Planes {
    Known(Vec<Discovery>),
    Of(Cluster),
}

impl Proxy {
    /// That of a pod of a cluster.
    pub(crate) fn of(cluster: &Cluster, namespace: String, pod: String) -> Self {
        Self::at(cluster, namespace, pod, ADMIN)
    }

    fn at(cluster: &Cluster, namespace: String, pod: String, port: u16) -> Self {
        let name = format!("{pod}.{namespace}");
        let peer = format!("the proxy of {name}");
        Self {
            admin: Server::forwarded(cluster.clone(), namespace, pod, port, peer),
            name,
            planes: Planes::Of(cluster.clone()),
        }
    }

    /// Its admin interface.
    pub(crate) fn server(&self) -> &Server {
        &self.admin
    }

    /// What its admin interface answers to `GET path`.
    ///
    /// # Errors
    /// If it does not answer, or not with 200.
    pub(crate) fn get(&self, path: &str) -> Result<String, Error> {
        Ok(self.admin.get(path)?)
    }

    /// What its admin interface answers to `POST path`, which changes something.
    ///
    /// # Errors
    /// If it does not answer, or not with 200.
    pub(crate) fn post(&self, path: &str) -> Result<String, Error> {
        Ok(self.admin.post(path)?)
    }

    /// What the control plane that it is connected to answers to `GET path`: of several, the first that knows it.
    ///
    /// # Errors
    /// If none answers with 200.
    pub(crate) fn sent(&self, path: &str) -> Result<String, Error> {
        let listed;
        let planes = match &self.planes {
            Planes::Known(planes) => planes,
            Planes::Of(cluster) => {
                listed = Discovery::of(cluster)?;
                &listed
            }
        };
        let mut last = Err(SandboxError::Nothing.into());
        for plane in planes {
            last = plane.get(path);
            if last.is_ok() {
                break;
            }
        }
        last
    }
}

/// A control plane that can be asked.
#[derive(Debug)]
pub(crate) struct Discovery {
    debug: Server,
    /// Where it runs in a cluster.
    pub(crate) pod: Option<ControlPlane>,
}

impl Discovery {
    fn of(cluster: &Cluster) -> Result<Vec<Self>, Error> {
        let pods = block_on(async { Ok::<_, Error>(cluster.control_plane().await?) })?;
        let forwarded = pods.into_iter().map(|plane| {
            let namespace = cluster.istio_namespace.clone();
            let (pod, peer) = (plane.pod.clone(), plane.pod.clone());
            Self {
                debug: Server::forwarded(cluster.clone(), namespace, pod, DEBUG, peer),
                pod: Some(plane),
            }
        });
        Ok(forwarded.collect())
    }

    /// Name of its pod; of a demo that of its program.
    pub(crate) fn name(&self) -> &str {
        self.pod.as_ref().map_or("mesh-discovery", |pod| &pod.pod)
    }

    /// Its debug interface.
    pub(crate) fn server(&self) -> &Server {
        &self.debug
    }

    /// What its debug interface answers to `PUT path` with `body`, which changes something.
    ///
    /// # Errors
    /// If it does not answer, or not with 200.
    pub(crate) fn put(&self, path: &str, body: &serde_json::Value) -> Result<String, Error> {
        Ok(self.debug.put(path, body)?)
    }

    /// What its debug interface answers to `GET path`.
    ///
    /// # Errors
    /// If it does not answer, or not with 200.
    pub(crate) fn get(&self, path: &str) -> Result<String, Error> {
        Ok(self.debug.get(path)?)
    }
}

fn answers<T>(
    planes: impl Iterator<Item = Discovery>,
    ask: impl Fn(&Discovery) -> Result<T, Error>,
) -> Result<Vec<(Discovery, T)>, Error> {
    let (mut answers, mut silent) = (Vec::new(), Vec::new());
    for plane in planes {
        match ask(&plane) {
            Ok(answer) => answers.push((plane, answer)),
            Err(error) => silent.push((plane, error)),
        }
    }
    if answers.is_empty()
        && let Some((_, error)) = silent.pop()
    {
        return Err(error);
    }
    for (plane, error) in &silent {
        eprintln!("warning: {} does not answer: {error}", plane.name());
    }
    Ok(answers)
}

/// The text of a file; `-` is standard input.
///
/// # Errors
/// If it cannot be read, or is no text.
pub(crate) fn file(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let read = match path == Path::new("-") {
        true => io::stdin().read_to_string(&mut text).map(|_| text),
        false => std::fs::read_to_string(path),
    };
    read.map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planes() -> impl Iterator<Item = Discovery> {
        ["istiod-1", "istiod-2"].into_iter().map(|name| Discovery {
            debug: Server::socket(name.into(), name),
            pod: Some(ControlPlane {
                pod: name.to_owned(),
                revision: None,
            }),
        })
    }

    fn silence() -> Error {
        ClusterError::NoControlPlane("istio-system".to_owned()).into()
    }

    #[test]
    fn one_that_is_silent_does_not_hide_what_others_say() {
        let said = answers(planes(), |plane| match plane.name() {
            "istiod-1" => Err(silence()),
            name => Ok(name.to_owned()),
        });
        let said: Vec<_> = said
            .expect("one answered")
            .into_iter()
            .map(|(_, said)| said)
            .collect();
        assert_eq!(said, ["istiod-2"]);
        assert!(answers(planes(), |_| Err::<(), _>(silence())).is_err());
    }
}
