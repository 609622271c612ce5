//! A real Kubernetes of one node, from the upstream binaries, in a sandbox: nothing of it touches the machine's network,
//! files or processes, and nothing is left when it ends, however it ends.
//!
//! Each part gets what an installer would give it, and says what it does in a log file of its own. In the order of
//! [`Node::start`]:

mod filesystem; //    the machine's folders, seen so that writing to them leaves nothing
mod network; //       the bridge that pods are on
mod certificates; //  who is who
mod daemon; //        one running part and its log
mod parts; //         where the binaries are
mod control_plane; // etcd, API server, controllers, scheduler
mod registry; //      where images are pulled from
mod runtime; //       containerd
mod orphans; //       what containerd leaves to us
mod worker; //        kubelet and kube-proxy
mod outside; //       a way in from the machine
mod dns; //           CoreDNS

pub(crate) use parts::Parts;

use crate::{
    image::{self, Layout},
    kubectl::{Kubectl, eventually},
    sandbox,
};
use anyhow::{Context, Error, Result, bail};
use certificates::Authority;
use daemon::Daemon;
use std::{
    cell::RefCell,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Name of the node.
const NAME: &str = "node";
/// How long any part may take to become ready.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where everything is; made once, read by all parts.
struct Site {
    parts: Parts,
    /// In memory, and gone with the sandbox.
    state: PathBuf,
    /// Seen from the machine, too.
    logs: PathBuf,
    authority: Authority,
}

impl Site {
    /// A folder for `name`.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.state.join(name);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    }

    /// A file with `text`.
    fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.state.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }
}

/// The running node. Its parts end with it.
pub(crate) struct Node {
    site: Site,
    daemons: Vec<Daemon>,
    /// Apart from the others, because it is stopped and started while scenarios play.
    api_server: RefCell<Option<Daemon>>,
    kubectl: Kubectl,
    /// File by which the machine reaches it.
    outside: PathBuf,
}

impl Node {
    /// Starts all parts in the sandbox that we are in; the node is ready when this returns.
    ///
    /// `programs` is the folder of the mesh's programs, which go into its image.
    pub(crate) fn start(parts: Parts, programs: &Path, say: &dyn Fn(&str)) -> Result<Self> {
        say("folders, network, certificates");
        let folder = sandbox::folder()?;
        let state = filesystem::isolate(&folder)?;
        let logs = folder.join("logs");
        fs::create_dir_all(&logs)?;
        network::make()?;
        let authority = Authority::new()?;
        let site = Site {
            parts,
            state,
            logs,
            authority,
        };
        let (user, group) = ("kubernetes-admin", Some("system:masters"));
        let kubeconfig = site.kubeconfig("admin", user, group)?;
        let outside = folder.join("kubeconfig");
        fs::write(
            &outside,
            site.kubeconfig_text(outside::open()?, user, group)?,
        )?;
        let kubectl = Kubectl::new(site.parts.path("kubectl"), Some(kubeconfig));
        let mut node = Self {
            site,
            daemons: Vec::new(),
            api_server: RefCell::new(None),
            kubectl,
            outside,
        };
        node.start_parts(programs, say)?;
        Ok(node)
    }

    fn start_parts(&mut self, programs: &Path, say: &dyn Fn(&str)) -> Result<()> {
        say("etcd, kube-apiserver");
        self.daemons.push(self.site.start_etcd()?);
        *self.api_server.get_mut() = Some(self.site.start_api_server()?);
        say("images: nginx, client, mesh");
        let images = self.pack(programs)?;
        let mirror = registry::serve(images)?;
        say("containerd");
        self.daemons.push(self.site.start_runtime(mirror)?);
        orphans::reap()?;
        self.wait("kube-apiserver", Self::api_is_ready)?;
        say("kube-controller-manager, kube-scheduler, kubelet, kube-proxy, CoreDNS");
        self.daemons.push(self.site.start_controllers()?);
        self.daemons.push(self.site.start_scheduler()?);
        self.daemons.push(self.site.start_kubelet()?);
        self.daemons.push(self.site.start_proxy()?);
        self.kubectl.apply(&dns::objects())?;
        self.daemons.push(self.site.start_dns()?);
        self.wait("the node", Self::node_is_ready)?;
        self.wait("CoreDNS", |_| dns::is_ready())?;
        // The default account is made by a controller: before it is, no pod is let in.
        self.wait("the default service account", |node| {
            node.kubectl
                .text(&["get", "serviceaccount", "default", "-o", "name"])
                .map(drop)
                .map_err(|error| format!("{error:#}"))
        })
    }

    /// Packs all images at once, as quickly as the machine can.
    fn pack(&self, programs: &Path) -> Result<Layout> {
        let mut layout = Layout::new(&self.site.state.join("images"))?;
        layout.add(&image::pause(
            &self.site.parts.path("pause"),
            runtime::PAUSE,
        )?)?;
        layout.add(&image::nginx()?)?;
        layout.add(&image::client(programs)?)?;
        layout.add(&image::mesh(programs)?)?;
        Ok(layout)
    }

    fn api_is_ready(&self) -> Result<(), String> {
        let asked = self.kubectl.text(&["get", "--raw", "/readyz"]);
        asked.map(drop).map_err(|error| format!("{error:#}"))
    }

    fn node_is_ready(&self) -> Result<(), String> {
        const STATUS: &str =
            r#"jsonpath={.status.conditions[?(@.type=="Ready")]['status','message']}"#;
        let asked = self.kubectl.text(&["get", "node", NAME, "-o", STATUS]);
        match asked {
            Ok(status) if status.starts_with("True") => Ok(()),
            Ok(status) => Err(format!("Ready: {status}")),
            Err(error) => Err(format!("{error:#}")),
        }
    }

    /// Waits until `ready` says that `what` is; a part that has ended meanwhile is an error at once.
    fn wait(&mut self, what: &str, ready: impl Fn(&Self) -> Result<(), String>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Err(why) = ready(self) else {
                return Ok(());
            };
            let mut parts = self.daemons.iter_mut().chain(self.api_server.get_mut());
            if let Some(ended) = parts.find_map(Daemon::ended) {
                bail!(ended);
            }
            if Instant::now() > deadline {
                let parts = self.daemons.iter().chain(&*self.api_server.get_mut());
                let logs = parts.map(Daemon::tail).collect::<String>();
                bail!("{what} is not ready within {PATIENCE:?}: {why}\n{logs}");
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Speaks to its API server.
    pub(crate) fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// Stops the API server at once, or starts it again and waits until it answers.
    pub(crate) fn api_server(&self, up: bool) -> Result<()> {
        let mut part = self.api_server.borrow_mut();
        // Ends with its handle.
        *part = None;
        if up {
            *part = Some(self.site.start_api_server()?);
            eventually(PATIENCE, || self.api_is_ready().map_err(Error::msg))?;
        }
        Ok(())
    }

    /// A command on the node, which is where we are.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("CONTAINERD_ADDRESS", self.site.runtime_socket());
        command
    }

    /// How a person reaches it.
    pub(crate) fn directions(&self) -> String {
        let (config, kubectl) = (&self.outside, self.site.parts.path("kubectl"));
        format!(
            "from another terminal:\n  export KUBECONFIG={}\n  {} get pods -A",
            config.display(),
            kubectl.display()
        )
    }

    /// Folder of the logs of its parts.
    pub(crate) fn logs(&self) -> PathBuf {
        self.site.logs.clone()
    }
}

/// Address of the node, on the bridge that pods are on.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
/// Where the API server listens.
const API: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(ADDRESS), 6443);
/// Addresses of pods.
const PODS: &str = "10.244.0.0/24";
/// Addresses of Services.
const SERVICES: &str = "10.96.0.0/12";
/// Address of the Service `kubernetes`: the first of [`SERVICES`].
const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// Address of the Service `kube-dns`.
const DNS_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
