//! The cluster: a bridge, mesh-discovery, and pods.

#![expect(unsafe_code, reason = "what runs between fork and exec")]

use super::{
    bridge::{self, GATEWAY},
    container::{Process, User},
    forward::forward,
    hold::{File, Mounts},
    objects::{self, Backend, Objects},
    pod::Pod,
    token::{self, Issuer},
};
use crate::sandbox;
use anyhow::{Context, Result, bail};
use mesh_injector::{NamespaceFacts, Outcome, Settings};
use mesh_model::port;
use nix::mount::{MsFlags, mount};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// How long anything may take to become ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// Programs that pods run, all in one folder.
pub(crate) struct Programs(pub(crate) PathBuf);

impl Programs {
    const NAMES: [&str; 5] = [
        "mesh-init",
        "mesh-proxy",
        "mesh-discovery",
        "meshctl",
        "mesh-e2e",
    ];

    /// Those beside this program, as cargo builds them.
    pub(crate) fn beside_us() -> Result<Self> {
        let us = std::env::current_exe()?;
        let mut folder = us.parent().context("this program has no folder")?;
        if folder.ends_with("deps") {
            folder = folder.parent().context("deps has no parent")?;
        }
        let programs = Self(folder.to_owned());
        for name in Self::NAMES {
            if !programs.0.join(name).is_file() {
                bail!(
                    "{} is not there\nhint: cargo build --workspace",
                    programs.0.join(name).display()
                );
            }
        }
        Ok(programs)
    }
}

/// A running cluster.
pub(crate) struct Launcher {
    folder: PathBuf,
    private: PathBuf,
    objects: Objects,
    issuer: Issuer,
    services: Vec<Value>,
    namespaces: BTreeMap<String, NamespaceFacts>,
    /// All pods.
    pub(crate) pods: Vec<Pod>,
    discovery: Option<Process>,
    next_address: u8,
    mesh_config: Value,
}

/// The webhook's default, where kubelets know the hook.
const PRE_STOP_SECONDS: u32 = 5;

impl Launcher {
    /// An empty cluster in the sandbox that we are in.
    pub(crate) fn new(programs: &Programs) -> Result<Self> {
        let folder = sandbox::folder()?;
        let private = folder.join("private");
        fs::create_dir_all(&private)?;
        // In memory, and seen by us alone: nothing of it is left when we end.
        mount(
            Some("tmpfs"),
            &private,
            Some("tmpfs"),
            MsFlags::MS_NOSUID,
            Some("mode=755"),
        )
        .context("tmpfs")?;
        let bin = private.join("bin");
        fs::create_dir(&bin)?;
        for name in Programs::NAMES {
            // A copy, because the proxy's user may not be allowed to enter the folder they were built in.
            fs::copy(programs.0.join(name), bin.join(name)).with_context(|| name.to_owned())?;
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755))?;
        }
        // Applications of any user may write here.
        fs::create_dir(private.join("shared"))?;
        fs::set_permissions(private.join("shared"), fs::Permissions::from_mode(0o1777))?;
        bridge::make()?;
        let mesh_config = json!({"accessLogFile": "/dev/stdout"});
        Ok(Self {
            objects: Objects::new(private.join("objects"))?,
            issuer: Issuer::new()?,
            services: Vec::new(),
            namespaces: BTreeMap::new(),
            pods: Vec::new(),
            discovery: None,
            next_address: 10,
            mesh_config,
            folder,
            private,
        })
    }

    /// Folder for what only this cluster sees.
    pub(crate) fn private(&self) -> &Path {
        &self.private
    }

    /// Folder that all pods see, in the same place.
    pub(crate) fn shared(&self) -> PathBuf {
        self.private.join("shared")
    }

    /// Creates a namespace.
    pub(crate) fn namespace(&mut self, name: &str, labels: &[(&str, &str)]) -> Result<()> {
        let labels: BTreeMap<_, _> = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let meta = json!({"name": name, "labels": labels});
        self.objects
            .put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": meta}))?;
        let meta = json!({"name": "default", "namespace": name});
        self.objects
            .put(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}))?;
        self.namespaces.insert(
            name.to_owned(),
            NamespaceFacts {
                name: name.to_owned(),
                labels,
            },
        );
        Ok(())
    }

    /// Creates a Service with the address that an API server would assign.
    pub(crate) fn service(&mut self, mut service: Value, address: Ipv4Addr) -> Result<()> {
        service["spec"]["clusterIP"] = address.to_string().into();
        service["spec"]["clusterIPs"] = json!([address.to_string()]);
        self.objects.put(&service)?;
        self.services.push(service);
        Ok(())
    }

    /// Creates any other object.
    pub(crate) fn object(&self, object: &Value) -> Result<()> {
        self.objects.put(object)
    }

    /// Starts the control plane and waits until it is ready.
    pub(crate) fn start_discovery(&mut self) -> Result<()> {
        let mesh_config = self.private.join("mesh.yaml");
        fs::write(&mesh_config, mesh_api::yaml::to_string(&self.mesh_config))?;
        let key = self.private.join("token.pub.pem");
        fs::write(&key, self.issuer.public_key())?;
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.discovery_log())?;
        let mut command = Command::new(self.private.join("bin/mesh-discovery"));
        command
            .arg("discovery")
            .args(["--domain", "cluster.local", "--token-issuer", token::ISSUER])
            .args([
                "--secureGRPCAddr",
                &format!("{GATEWAY}:{}", port::DISCOVERY_TLS),
            ])
            .args(["--httpAddr", &format!("127.0.0.1:{}", port::DISCOVERY_HTTP)])
            .args([
                "--monitoringAddr",
                &format!("127.0.0.1:{}", port::DISCOVERY_MONITORING),
            ])
            .arg("--config-dir")
            .arg(self.objects.folder())
            .arg("--meshConfig")
            .arg(mesh_config)
            .arg("--ca-dir")
            .arg(self.ca_folder())
            .arg("--token-key")
            .arg(key)
            .stdout(log.try_clone()?)
            .stderr(log);
        // SAFETY: between fork and exec only a system call is made, on no memory of ours.
        unsafe {
            command.pre_exec(|| {
                Ok(nix::sys::prctl::set_pdeathsig(
                    nix::sys::signal::Signal::SIGKILL,
                )?)
            });
        }
        self.discovery = Some(Process::spawn("mesh-discovery".into(), &mut command)?);
        let socket = self.folder.join("discovery.sock");
        if !socket.exists() {
            forward(&socket, None, port::DISCOVERY_HTTP)?;
        }
        self.wait_for_discovery()
    }

    fn wait_for_discovery(&mut self) -> Result<()> {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port::DISCOVERY_HTTP));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Err(why) = is_ready(at, "/ready") else {
                return Ok(());
            };
            let ended = self.discovery.as_mut().and_then(Process::ended);
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self.discovery_log()).unwrap_or_default();
                bail!(
                    "mesh-discovery is not ready: {}\n{log}",
                    ended.map_or(why, |status| status.to_string())
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the control plane without warning.
    pub(crate) fn kill_discovery(&mut self) {
        self.discovery = None;
    }

    /// Log of the control plane.
    pub(crate) fn discovery_log(&self) -> PathBuf {
        self.private.join("mesh-discovery.log")
    }

    /// Folder of the certificate authority.
    pub(crate) fn ca_folder(&self) -> PathBuf {
        self.private.join("ca")
    }

    /// An address that no pod has.
    pub(crate) fn free_address(&mut self) -> Ipv4Addr {
        self.next_address += 1;
        Ipv4Addr::new(10, 244, 0, self.next_address)
    }

    /// Creates a pod: injects it, makes its namespaces, captures its traffic, starts its sidecar. Its applications are
    /// the caller's business.
    pub(crate) fn pod(&mut self, pod: &Value, address: Ipv4Addr) -> Result<&mut Pod> {
        let pod = self.captured_pod(pod, address)?;
        pod.start_sidecar()?;
        Ok(pod)
    }

    /// As [`Launcher::pod`], without starting a sidecar.
    pub(crate) fn captured_pod(&mut self, pod: &Value, address: Ipv4Addr) -> Result<&mut Pod> {
        let object = self.inject(pod)?;
        let mounts = self.mounts(&object)?;
        let mut pod = Pod::new(object, address, &mounts, &self.private.join("logs"))?;
        self.objects.put(&pod.object)?;
        forward(
            &self.folder.join(format!("{}.sock", pod.full_name())),
            Some(pod.pid()),
            port::ADMIN,
        )?;
        pod.run_init_containers()?;
        self.pods.push(pod);
        self.pods.last_mut().context("the pod just made")
    }

    fn inject(&self, pod: &Value) -> Result<Value> {
        let namespace = pod["metadata"]["namespace"].as_str().unwrap_or("default");
        let facts = self
            .namespaces
            .get(namespace)
            .with_context(|| format!("namespace {namespace} is not there"))?;
        if facts
            .labels
            .get(mesh_model::annotation::INJECTION)
            .map(String::as_str)
            != Some("enabled")
        {
            return Ok(pod.clone());
        }
        let settings = Settings {
            pre_stop_sleep: PRE_STOP_SECONDS,
            ..Settings::default()
        };
        match mesh_injector::inject_json(pod, facts, &settings)? {
            Outcome::Injected(injected) => Ok(injected.pod),
            Outcome::Skipped(reason) => {
                println!("not injected: {reason:?}");
                Ok(pod.clone())
            }
        }
    }

    fn mounts(&self, pod: &Value) -> Result<Mounts> {
        let text = |pointer| {
            pod.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
        let root = fs::read_to_string(self.ca_folder().join("root-cert.pem"))
            .context("root certificate")?;
        let token = self
            .issuer
            .token(namespace, text("/spec/serviceAccountName"), name)?;
        let labels = pod["metadata"]["labels"].as_object().into_iter().flatten();
        let labels = labels
            .map(|(key, value)| format!("{key}={value}\n"))
            .collect();
        let file = |path: &str, text, mode| File {
            path: path.into(),
            text,
            mode,
        };
        Ok(Mounts {
            programs: self.private.join("bin"),
            shared: self.shared(),
            hosts: self.hosts(name),
            resolv_conf: format!(
                "search {namespace}.svc.cluster.local svc.cluster.local cluster.local\nnameserver {GATEWAY}\n"
            ),
            files: vec![
                file("/run/secrets/tokens/istio-token", token, 0o600),
                file("/run/secrets/istio/root-cert.pem", root, 0o644),
                file("/run/mesh/podinfo/labels", labels, 0o644),
            ],
            folders: [
                "workload-spiffe-uds",
                "credential-uds",
                "workload-spiffe-credentials",
            ]
            .map(|name| Path::new("/run/secrets").join(name))
            .into(),
        })
    }

    /// Names of the services and of the control plane.
    fn hosts(&self, pod: &str) -> String {
        let mut hosts = format!(
            "127.0.0.1 localhost {pod}\n{GATEWAY} istiod.istio-system.svc istiod.istio-system\n"
        );
        for service in &self.services {
            let part = |pointer| {
                service
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let (name, namespace) = (part("/metadata/name"), part("/metadata/namespace"));
            let long = format!("{name}.{namespace}");
            hosts.push_str(&format!(
                "{} {name} {long} {long}.svc {long}.svc.cluster.local\n",
                part("/spec/clusterIP")
            ));
        }
        hosts
    }

    /// Waits until the sidecar of the pod `name` is ready.
    pub(crate) fn wait_ready(&mut self, name: &str) -> Result<()> {
        self.wait_for(name, "the sidecar", |pod| {
            is_ready((pod.address, port::HEALTH).into(), "/healthz/ready")
        })
    }

    /// Waits until `ready` says that `what`, in the pod `name`, is.
    pub(crate) fn wait_for(
        &mut self,
        name: &str,
        what: &str,
        ready: impl Fn(&Pod) -> Result<(), String>,
    ) -> Result<()> {
        self.pod_mut(name)?.wait(what, PATIENCE, ready)
    }

    /// The pod `name`.
    pub(crate) fn pod_mut(&mut self, name: &str) -> Result<&mut Pod> {
        let mut pods = self.pods.iter_mut();
        pods.find(|pod| pod.name() == name)
            .with_context(|| format!("no pod {name}"))
    }

    /// Waits until something in the pod `name` listens on `port` of loopback.
    pub(crate) fn wait_application(&mut self, name: &str, port: u16) -> Result<()> {
        self.wait_for(name, "the application", |pod| {
            let mut curl = Command::new("curl");
            curl.args([
                "-s",
                "-o",
                "/dev/null",
                "--max-time",
                "2",
                &format!("http://127.0.0.1:{port}/"),
            ]);
            let output = pod
                .output(&mut curl, User::APPLICATION)
                .map_err(|error| error.to_string())?;
            if output.status.success() {
                Ok(())
            } else {
                Err(format!("curl: {}", output.status))
            }
        })
    }

    /// Writes the EndpointSlices: of all pods, those of which `ready` says so take traffic.
    pub(crate) fn endpoints(&self, ready: impl Fn(&Pod) -> bool) -> Result<()> {
        let backends: Vec<_> = self
            .pods
            .iter()
            .map(|pod| Backend {
                pod: &pod.object,
                address: pod.address,
                ready: ready(pod),
            })
            .collect();
        self.services.iter().try_for_each(|service| {
            self.objects
                .put(&objects::endpoint_slice(service, &backends))
        })
    }

    /// Removes the object of a pod and returns the pod, still running.
    pub(crate) fn remove(&mut self, name: &str) -> Result<Pod> {
        let place = self
            .pods
            .iter()
            .position(|pod| pod.name() == name)
            .with_context(|| format!("no pod {name}"))?;
        let pod = self.pods.remove(place);
        self.objects.delete(&pod.object)?;
        let _ = fs::remove_file(self.folder.join(format!("{}.sock", pod.full_name())));
        Ok(pod)
    }
}

/// Whether `GET path` at `at` is answered with 200, else why not.
pub(crate) fn is_ready(at: SocketAddr, path: &str) -> Result<(), String> {
    let patience = Duration::from_secs(2);
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&at, patience)?;
        stream.set_read_timeout(Some(patience))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.take(64 * 1024).read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = ask().map_err(|error| error.to_string())?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Err(format!(
        "{}: {}",
        head.lines().next().unwrap_or_default(),
        body.trim()
    ))
}
