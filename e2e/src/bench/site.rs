//! Where it happens: for each subject a client's pod with its sidecar and a server's pod with its sidecar, and one backend
//! and one client without.
//!
//! The clients first see the cluster of the demo, for their memory at rest; then the backends are added.

mod probe; // where requests go, and whether the answers are what they should be

use super::{
    job::{Job, Path, Protocol, Subject},
    load::{self, Load, Target},
    meter::{self, Cores},
    report::Idle,
};
use crate::{
    envoy,
    netns::{
        Launcher, Programs,
        container::{self, User},
        objects,
        pod::{Pod, SIDECAR},
    },
    stage::{self, documents},
};
use anyhow::{Context, Result};
use mesh_model::port;
use serde_json::Value;
use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::Ipv4Addr,
    path::PathBuf,
    process::Command,
    time::Duration,
};

/// How long a proxy rests before its memory is read.
const REST: Duration = Duration::from_secs(5);
/// Size of an answer.
const BODY: usize = 1024;
/// Namespace without injection.
const PLAIN: &str = "plain";
/// Pod that the bare path starts from.
const BARE_CLIENT: &str = "test-f5b5d48b5-plain";
/// Pod, Service address, of the backend that has no sidecar.
const BARE_BACKEND: (&str, Ipv4Addr) = ("backend-6c9f7d5b8-plain", Ipv4Addr::new(10, 103, 0, 10));

/// What a subject has of its own.
struct Pods {
    client: &'static str,
    server: &'static str,
    service: &'static str,
    service_address: Ipv4Addr,
    suffix: &'static str,
    container: &'static str,
}

const MESH_PROXY: Pods = Pods {
    client: "test-f5b5d48b5-mesh",
    server: "mesh-6c9f7d5b8-mesh",
    service: "mesh",
    service_address: Ipv4Addr::new(10, 103, 0, 20),
    suffix: "mesh",
    container: SIDECAR,
};

const ENVOY: Pods = Pods {
    client: "test-f5b5d48b5-envoy",
    server: "envoy-6c9f7d5b8-envoy",
    service: "envoy",
    service_address: Ipv4Addr::new(10, 103, 0, 30),
    suffix: "envoy",
    container: "envoy",
};

impl Pods {
    fn of(subject: Subject) -> Option<&'static Self> {
        match subject {
            Subject::Envoy => Some(&ENVOY),
            Subject::MeshProxy => Some(&MESH_PROXY),
            Subject::Direct => None,
        }
    }
}

/// The running site.
pub(crate) struct Site {
    launcher: Launcher,
    subjects: Vec<(Subject, &'static Pods)>,
    envoy: Option<PathBuf>,
    cores: Cores,
}

impl Site {
    /// The demo's cluster, with a client's pod for each subject.
    pub(crate) fn article(
        programs: &Programs,
        subjects: &[Subject],
        envoy: Option<PathBuf>,
        cores: Cores,
    ) -> Result<Self> {
        super::say("the demo's cluster, and a client for each subject");
        let mut launcher = Launcher::new(programs)?;
        launcher.namespace("default", &[])?;
        launcher.namespace(PLAIN, &[])?;
        launcher.namespace("test", &[("istio-injection", "enabled")])?;
        let [mut client, nginx] = stage::article(&mut launcher)?;
        launcher.start_discovery()?;
        launcher.captured_pod(
            &objects::pod_of(&nginx, "7c79c4bf97", "7985c"),
            stage::SERVER_ADDRESS,
        )?;
        launcher.endpoints(|_| true)?;
        let subjects: Vec<_> = subjects
            .iter()
            .filter_map(|subject| Some((*subject, Pods::of(*subject)?)))
            .collect();
        let mut site = Self {
            launcher,
            subjects,
            envoy,
            cores,
        };
        one_worker(&mut client);
        for (subject, pods) in site.subjects.clone() {
            site.sidecar(subject, &objects::pod_of(&client, "f5b5d48b5", pods.suffix))?;
        }
        for (subject, pods) in site.subjects.clone() {
            site.wait_ready(subject, pods.client)?;
        }
        client["metadata"]["namespace"] = PLAIN.into();
        let address = site.launcher.free_address();
        let bare = objects::pod_of(&client, "f5b5d48b5", "plain");
        site.launcher.captured_pod(&bare, address)?;
        Ok(site)
    }

    /// Resident memory of the clients' proxies, which have had nothing to do.
    pub(crate) fn idle_memory(&self) -> Result<Vec<Idle>> {
        super::say("proxies rest, for their memory");
        std::thread::sleep(REST);
        let idle = |(subject, pods): &(Subject, &Pods)| {
            let pod = self.pod(pods.client)?;
            let resident = |container| pod.process(container).map(meter::resident).transpose();
            Ok(Idle {
                subject: *subject,
                proxy: resident(pods.container)?.context("no proxy")?,
                agent: resident("agent")?,
            })
        };
        self.subjects.iter().map(idle).collect()
    }

    /// Adds a server for each subject, and one without a sidecar.
    pub(crate) fn add_backends(&mut self) -> Result<()> {
        super::say("backends");
        let (name, address) = BARE_BACKEND;
        let bare = self.service("backend", PLAIN, address)?;
        let at = self.launcher.free_address();
        self.launcher
            .captured_pod(&objects::pod_of(&bare, "6c9f7d5b8", "plain"), at)?;
        self.backend(name)?;
        for (subject, pods) in self.subjects.clone() {
            let deployment = self.service(pods.service, "test", pods.service_address)?;
            self.sidecar(
                subject,
                &objects::pod_of(&deployment, "6c9f7d5b8", pods.suffix),
            )?;
            self.backend(pods.server)?;
        }
        self.launcher.endpoints(|_| true)?;
        for (subject, pods) in self.subjects.clone() {
            self.wait_ready(subject, pods.server)?;
        }
        Ok(())
    }

    /// Creates Deployment and Service; returns the Deployment.
    fn service(&mut self, name: &str, namespace: &str, address: Ipv4Addr) -> Result<Value> {
        let [mut deployment, mut service] = documents(include_str!("../../manifests/bench.yaml"))?;
        for object in [&mut deployment, &mut service] {
            object["metadata"]["name"] = name.into();
            object["metadata"]["namespace"] = namespace.into();
        }
        deployment["spec"]["selector"]["matchLabels"]["app"] = name.into();
        deployment["spec"]["template"]["metadata"]["labels"]["app"] = name.into();
        service["spec"]["selector"]["app"] = name.into();
        self.launcher.object(&deployment)?;
        self.launcher.service(service, address)?;
        Ok(deployment)
    }

    /// Creates a pod whose sidecar is `subject`, on the proxies' core.
    fn sidecar(&mut self, subject: Subject, pod: &Value) -> Result<()> {
        let address = self.launcher.free_address();
        let core = self.cores.proxy;
        match subject {
            Subject::Envoy => {
                let program = self.envoy.as_deref().context("no Envoy")?;
                envoy::pod(&mut self.launcher, pod, address, program, Some(core))?;
            }
            Subject::MeshProxy => {
                let pod = self.launcher.captured_pod(pod, address)?;
                let mut command = pod.sidecar_command()?;
                container::pin(&mut command, core)?;
                pod.start(SIDECAR, &mut command, User::PROXY)?;
            }
            Subject::Direct => {}
        }
        Ok(())
    }

    fn wait_ready(&mut self, subject: Subject, pod: &str) -> Result<()> {
        match subject {
            Subject::MeshProxy => self.launcher.wait_ready(pod),
            Subject::Envoy => self.wait_envoy(pod),
            Subject::Direct => Ok(()),
        }
    }

    /// A plain Envoy is ready when it has got its first configuration.
    fn wait_envoy(&mut self, name: &str) -> Result<()> {
        let url = format!("http://127.0.0.1:{}/ready", port::ADMIN);
        self.launcher.wait_for(name, "Envoy", |pod| {
            let mut curl = Command::new("curl");
            curl.args(["-sS", "--fail", "--max-time", "2", &url]);
            let output = pod
                .output(&mut curl, User::APPLICATION)
                .map_err(|error| format!("{error:#}"))?;
            if output.status.success() {
                return Ok(());
            }
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        })
    }

    /// Starts nginx in a pod.
    fn backend(&mut self, name: &str) -> Result<()> {
        let program =
            stage::nginx_program().context("nginx is not there\nhint: apt-get install nginx")?;
        let folder = self.launcher.shared().join(format!("nginx-{name}"));
        let mut command = stage::nginx(program, &folder, &servers())?;
        let pod = self.launcher.pod_mut(name)?;
        pod.start("nginx", &mut command, User::ROOT)?;
        self.launcher
            .wait_application(name, Protocol::Http1.backend_port())
    }

    /// Runs the load generator in the client's pod.
    pub(crate) fn load(&self, job: Job, target: &Target, seconds: u32) -> Result<Load> {
        let folder = &self.launcher.shared();
        let mut command = load::command(job.protocol, target, seconds, folder)?;
        // Root, because it may write to the folder. It is captured all the same.
        let output = self.pod(target.from)?.output(&mut command, User::ROOT)?;
        let text = [output.stdout, output.stderr].concat();
        load::read(job.protocol, &String::from_utf8_lossy(&text), folder)
    }

    /// Processes whose CPU time a request of a job costs.
    pub(crate) fn proxies(&self, job: Job, subject: Subject) -> Result<Vec<u32>> {
        let processes = self
            .on_the_way(job, subject)?
            .into_iter()
            .map(|(pod, container)| pod.process(container).context("no proxy"));
        processes.collect()
    }

    /// Lines in the access log of the proxy that has logged least.
    pub(crate) fn logged(&self, job: Job, subject: Subject) -> Result<Option<usize>> {
        let lines = |(pod, container): (&Pod, &str)| -> Result<usize> {
            let log = BufReader::new(File::open(pod.log(container))?);
            Ok(log.split(b'\n').count())
        };
        let counts = self.on_the_way(job, subject)?.into_iter().map(lines);
        Ok(counts.collect::<Result<Vec<_>>>()?.into_iter().min())
    }

    /// Empties the access logs, which are in memory.
    pub(crate) fn forget_logs(&self) -> Result<()> {
        for (_, pods) in &self.subjects {
            for pod in [pods.client, pods.server] {
                let log = self.pod(pod)?.log(pods.container);
                File::options().write(true).open(log)?.set_len(0)?;
            }
        }
        Ok(())
    }

    /// The pods whose proxies a request of a job passes, and the names of their containers.
    fn on_the_way(&self, job: Job, subject: Subject) -> Result<Vec<(&Pod, &'static str)>> {
        let Some(pods) = Pods::of(subject) else {
            return Ok(Vec::new());
        };
        let names = match job.path {
            Path::Hop => &[pods.client][..],
            Path::Pair => &[pods.client, pods.server],
        };
        let pod = |name: &&str| Ok((self.pod(name)?, pods.container));
        names.iter().map(pod).collect()
    }

    fn pod(&self, name: &str) -> Result<&Pod> {
        let mut pods = self.launcher.pods.iter();
        pods.find(|pod| pod.name() == name)
            .with_context(|| format!("no pod {name}"))
    }
}

/// What the annotation in the backend's manifest asks for, for a pod of another's manifest.
fn one_worker(deployment: &mut Value) {
    deployment["spec"]["template"]["metadata"]["annotations"]["proxy.istio.io/config"] =
        "concurrency: 1".into();
}

/// The backend: an answer of fixed size, and who the peer was. Connections are never closed.
fn servers() -> String {
    let body = "x".repeat(BODY);
    let server = |listen: &str| {
        format!(
            "server {{ listen {listen}; keepalive_requests 1000000000; \
             location = /peer {{ return 200 \"peer: $http_x_forwarded_client_cert\"; }} \
             location / {{ return 200 \"{body}\"; }} }}\n"
        )
    };
    let http1 = server(&Protocol::Http1.backend_port().to_string());
    let http2 = server(&format!("{} http2", Protocol::Http2.backend_port()));
    http1 + &http2
}
