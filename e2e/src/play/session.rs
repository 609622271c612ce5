//! The article's session, typed as it is printed there: a namespace is labelled, its YAML applied unmodified, and every
//! command answers what the article shows, but for names and the two addresses. Once with classic sidecars, as there, once
//! with native ones.

mod article; // what it prints
mod tools; //   meshctl beside it

use super::{
    Form,
    mesh::{CLASSIC, Mesh},
    pod,
    rules::without_counters,
};
use crate::{
    cluster::{Cluster, Namespace},
    kubectl::{Kubectl, SETTLING, eventually},
};
use anyhow::{Context, Result, ensure};
use article::Addresses;
use serde_json::Value;

const NGINX: &str = include_str!("../../manifests/nginx.yaml");
const CLIENT_POD: &str = include_str!("../../manifests/curl.yaml");
const WEB: &str = include_str!("../../manifests/web.yaml");
const NAMESPACE: &str = "test";

/// Plays it.
pub(crate) fn play(cluster: &dyn Cluster, _: &Form) -> Result<()> {
    let kubectl = cluster.kubectl();
    let mesh = Mesh::install(cluster, CLASSIC)?;
    // Elsewhere in the cluster there is a Service with a port named `http`, as in any.
    let other = Namespace::new(kubectl, "other")?;
    kubectl.apply_text(WEB, &["-n", &other.name])?;
    for kind in [Sidecar::Classic, Sidecar::Native] {
        if kind == Sidecar::Native {
            mesh.set(&[])?;
        }
        let session = Session::begin(cluster, kind)?;
        session.injected()?;
        session.rules()?;
        session.configuration()?;
        session.request()?;
        session.tools()?;
        println!("  {kind:?} sidecars: every step prints what the article prints");
    }
    drop(other);
    mesh.remove()?;
    println!("  uninstall --purge leaves nothing");
    Ok(())
}

/// Where the proxy is in the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sidecar {
    /// Among the containers.
    Classic,
    /// Among the init containers, and restarted always.
    Native,
}

/// The pods, and their names and addresses.
struct Session<'a> {
    cluster: &'a dyn Cluster,
    kubectl: &'a Kubectl,
    _namespace: Namespace<'a>,
    kind: Sidecar,
    client: String,
    server: String,
    addresses: Addresses,
}

impl<'a> Session<'a> {
    fn begin(cluster: &'a dyn Cluster, kind: Sidecar) -> Result<Self> {
        let kubectl = cluster.kubectl();
        let namespace = Namespace::new(kubectl, NAMESPACE)?;
        kubectl.shell("kubectl label namespace test istio-injection=enabled")?;
        kubectl.apply_text(NGINX, &["-n", NAMESPACE])?;
        let client = cluster.manifest(CLIENT_POD);
        kubectl.apply_text(&client, &[])?;
        kubectl.rolled_out(NAMESPACE, "nginx")?;
        kubectl.rolled_out(NAMESPACE, "test")?;
        let pod = |label: &str| -> Result<String> {
            let mut pods = kubectl.pods(NAMESPACE, label)?;
            pods.pop().context("no pod")
        };
        let (client, server) = (pod("app=test")?, pod("app=nginx")?);
        let service =
            kubectl.shell("kubectl -n test get svc nginx -o jsonpath='{.spec.clusterIP}'")?;
        let endpoint = kubectl.shell("kubectl -n test get endpoints nginx --no-headers")?;
        let endpoint = endpoint.split_whitespace().nth(1).context("an endpoint")?;
        let (endpoint, port) = endpoint.split_once(':').context("address and port")?;
        ensure!(port == "80", "the endpoint's port is {port}");
        let addresses = Addresses {
            service,
            endpoint: endpoint.to_owned(),
        };
        Ok(Self {
            cluster,
            kubectl,
            _namespace: namespace,
            kind,
            client,
            server,
            addresses,
        })
    }

    /// What the webhook has put into the pod.
    fn injected(&self) -> Result<()> {
        let object = self
            .kubectl
            .json(&["-n", NAMESPACE, "get", "pod", &self.server])?;
        let (place, query) = match self.kind {
            Sidecar::Classic => ("containers", "containers[1]"),
            Sidecar::Native => ("initContainers", "initContainers[1]"),
        };
        let proxy = container(&object, place, "istio-proxy")?;
        article::has_arguments(proxy, article::PROXY_ARGUMENTS)?;
        ensure!(
            (proxy["restartPolicy"] == "Always") == (self.kind == Sidecar::Native),
            "restartPolicy is {}",
            proxy["restartPolicy"]
        );
        let init = container(&object, "initContainers", "istio-init")?;
        article::has_arguments(
            init,
            &[&["istio-iptables"], article::INIT_ARGUMENTS].concat(),
        )?;
        for (field, want) in [
            ("name", "istio-proxy"),
            ("securityContext.runAsGroup", "1337"),
            ("securityContext.runAsUser", "1337"),
        ] {
            let line = format!(
                "kubectl get pod -n test {} -o jsonpath='{{.spec.{query}.{field}}}'",
                self.server
            );
            let seen = self.kubectl.shell(&line)?;
            ensure!(seen == want, "{line}: {seen}");
        }
        Ok(())
    }

    /// The rules, from the host, by the process of the application's container.
    fn rules(&self) -> Result<()> {
        let Some(pid) = pod::process(self.cluster, NAMESPACE, "app=nginx")? else {
            println!("  the nodes are not ours: the rules are not looked at");
            return Ok(());
        };
        let dump = pod::enter(self.cluster, &pid, &["-n"], &["iptables-save"])?;
        let mut tables = without_counters(&dump);
        let (begin, end) = ("*nat\n", "COMMIT\n");
        let from = tables.find(begin).context("no table nat")?;
        let length = tables[from..].find(end).context("no end of it")? + end.len();
        let seen: String = tables.drain(from..from + length).collect();
        ensure!(
            seen == article::RULES,
            "the rules are not the article's:\n{seen}"
        );
        ensure!(
            !tables.contains("-A "),
            "there are rules in other tables:\n{tables}"
        );
        Ok(())
    }

    /// The proxies' configuration: the whole of it by the administration port, then the tables and the YAML, step by step.
    fn configuration(&self) -> Result<()> {
        let forward = self
            .kubectl
            .forward(NAMESPACE, &format!("pod/{}", self.server), 15000)?;
        let dump = self.kubectl.shell(&format!(
            "curl -sS --max-time 10 http://localhost:{}/config_dump",
            forward.local
        ))?;
        let dump: Value = serde_json::from_str(&dump).context("/config_dump")?;
        ensure!(
            dump["configs"].as_array().is_some_and(|all| all.len() > 4),
            "/config_dump is {dump}"
        );
        for step in article::STEPS {
            let pod = match step.pod {
                article::Pod::Client => &self.client,
                article::Pod::Server => &self.server,
            };
            let arguments = self.addresses.typed(step.arguments);
            let line = format!(
                "meshctl -n test proxy-config {}",
                arguments.replace("POD", pod)
            );
            let want = self.addresses.printed(step.prints);
            eventually(SETTLING, || {
                let seen = self.kubectl.shell(&line)?;
                ensure!(seen == want, "{line}\nprints\n{seen}\nrather than\n{want}");
                Ok(())
            })?;
        }
        let line = format!(
            "meshctl -n test proxy-config route {} | grep nginx.test.svc.cluster.local",
            self.client
        );
        let seen = self.kubectl.shell(&line)?;
        article::has_routes(&seen).with_context(|| line)
    }

    /// The request, and what is written of it: at both ends, and that it was encrypted.
    fn request(&self) -> Result<()> {
        let curl = ["curl", "-sS", "--max-time", "10", "-i", "http://nginx.test"];
        let pod = [self.client.as_str(), "-c", "test"];
        let words: Vec<_> = ["kubectl", "-n", NAMESPACE, "exec"]
            .iter()
            .chain(&pod)
            .chain(&["--"])
            .chain(&curl)
            .copied()
            .collect();
        let answer = self.kubectl.shell(&words.join(" "))?;
        ensure!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("Welcome to nginx!"),
            "it answers {answer}"
        );
        for (pod, wanted) in [
            (&self.client, "outbound|80||nginx.test.svc.cluster.local"),
            (&self.server, "outbound_.80_._.nginx.test.svc.cluster.local"),
        ] {
            let line = format!("kubectl -n test logs {pod} -c istio-proxy");
            eventually(SETTLING, || {
                let log = self.kubectl.shell(&line)?;
                let found = log
                    .lines()
                    .any(|l| l.contains("\"GET / HTTP/1.1\" 200") && l.contains(wanted));
                ensure!(found, "{line}: no line with {wanted}:\n{log}");
                Ok(())
            })?;
        }
        let line = format!(
            "kubectl -n test exec {} -c istio-proxy -- pilot-agent request GET /stats/prometheus",
            self.server
        );
        eventually(SETTLING, || {
            let metrics = self.kubectl.shell(&line)?;
            let found = metrics.lines().any(|l| {
                l.starts_with("istio_requests_total{")
                    && l.contains("connection_security_policy=\"mutual_tls\"")
                    && l.contains("reporter=\"destination\"")
            });
            ensure!(found, "{line}: no request over mutual TLS:\n{metrics}");
            Ok(())
        })
    }
}

fn container<'a>(pod: &'a Value, place: &str, name: &str) -> Result<&'a Value> {
    let mut all = pod["spec"][place].as_array().into_iter().flatten();
    all.find(|container| container["name"] == name)
        .with_context(|| format!("no {name} among {place}"))
}
