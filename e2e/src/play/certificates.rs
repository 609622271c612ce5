//! Certificates live for a minute or less and are renewed under load; then the root is replaced in three steps: old, both, new. Nothing
//! fails, and at the end a certificate of the old root is refused.

use super::{
    Form,
    mesh::{Mesh, SYSTEM},
    pod,
    traffic::Traffic,
};
use crate::{
    cluster::Cluster,
    kubectl::{Kubectl, eventually},
    stranger::{ask, leaf},
};
use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::json;
use std::{collections::BTreeMap, net::SocketAddr, thread, time::Duration};

const NAMESPACE: &str = "certificates";
const SECRET: &str = "istio-ca-secret";
/// How often the authority looks at its Secret, and a little more.
const LOOK: Duration = Duration::from_secs(13);
/// How long a change may take until every proxy has it.
const SPREADING: Duration = Duration::from_secs(90);

/// Plays it: ten lives of 60 s, which take 5 minutes, before the rotation in the long form; two of 30 s in the short one.
pub(crate) fn play(cluster: &dyn Cluster, form: &Form) -> Result<()> {
    let kubectl = cluster.kubectl();
    let (lifetime, renewals, seconds) = if form.long {
        (60, 10, 600)
    } else {
        (30, 2, 180)
    };
    let lifetime = ["DEFAULT", "MAX"]
        .map(|which| format!("values.pilot.env.{which}_WORKLOAD_CERT_TTL={lifetime}s"));
    let _mesh = Mesh::install(cluster, &[&lifetime[0], &lifetime[1]])?;
    let traffic = Traffic::start(cluster, NAMESPACE, Duration::from_secs(seconds))?;
    kubectl.apply(&json!({"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
        "metadata": {"name": "default", "namespace": NAMESPACE}, "spec": {"mtls": {"mode": "STRICT"}}}))?;
    let renewal = || traffic.under("every certificate is renewed", || renewed(kubectl));
    renewal()?;
    let before = descriptors(cluster)?;
    for _ in 1..renewals {
        renewal()?;
    }
    let after = descriptors(cluster)?;
    ensure!(
        after <= before + 10,
        "descriptors of all proxies beside the load's connections: {before}, then {after}"
    );

    let old = Root::standing(kubectl)?;
    let new = Root::new()?;
    let stranger = Stranger::of(cluster)?;
    stranger
        .is_served(&old)
        .context("a certificate of the root that stands")?;
    stranger
        .is_refused(&new)
        .context("a certificate of a root that nobody knows")?;

    let both = format!("{}{}", old.certificate, new.certificate);
    traffic.under("both roots are trusted", || {
        patch(kubectl, &[("root-cert.pem", &both)])?;
        spread(kubectl, 2)
    })?;
    traffic.under("certificates are of the new one", || {
        patch(
            kubectl,
            &[("ca-cert.pem", &new.certificate), ("ca-key.pem", &new.key)],
        )?;
        // A certificate that is renewed before the authority has looked is still the old root's.
        thread::sleep(LOOK);
        renewed(kubectl)
    })?;
    traffic.under("the old root is gone", || {
        patch(kubectl, &[("root-cert.pem", &new.certificate)])?;
        spread(kubectl, 1)
    })?;
    stranger
        .is_served(&new)
        .context("a certificate of the new root")?;
    stranger
        .is_refused(&old)
        .context("a certificate of the old root")?;
    traffic.judge()
}

/// Shows one of the servers certificates of its own making, from where we are.
struct Stranger {
    /// `None` where pods cannot be called from here.
    server: Option<SocketAddr>,
}

impl Stranger {
    fn of(cluster: &dyn Cluster) -> Result<Self> {
        let server = match cluster.shares_our_network() {
            true => Some(server(cluster.kubectl())?),
            false => {
                println!("  skipped: pods are not in our network, so no stranger calls them");
                None
            }
        };
        Ok(Self { server })
    }

    fn ask(server: SocketAddr, root: &Root) -> Result<()> {
        let identity = format!("spiffe://cluster.local/ns/{NAMESPACE}/sa/default");
        let leaf = leaf(&root.issuer()?, &identity, jiff::Timestamp::now())?;
        ask(server, Some(leaf))
    }

    fn is_served(&self, root: &Root) -> Result<()> {
        match self.server {
            Some(server) => Self::ask(server, root),
            None => Ok(()),
        }
    }

    fn is_refused(&self, root: &Root) -> Result<()> {
        let Some(server) = self.server else {
            return Ok(());
        };
        let refused = Self::ask(server, root).err().context("it is taken")?;
        println!("  a certificate of another root: {refused:#}");
        Ok(())
    }
}

/// How many descriptors all proxies of the node have, but for the connections of the load, which are as many as the load
/// needed at its worst moment: files, pipes and the like, and connections to the control plane. 0 where nodes are not to
/// be touched.
fn descriptors(cluster: &dyn Cluster) -> Result<usize> {
    let Some(mut shell) = cluster.on_node("sh") else {
        return Ok(0);
    };
    // 3AA4 is 15012.
    let line = "for pid in $(pgrep -f 'proxy sidecar'); do \
                    ls -l /proc/$pid/fd | grep -v socket:; \
                    grep -i '^ *[0-9]*: [0-9A-F:]* [0-9A-F]*:3AA4 ' /proc/$pid/net/tcp; \
                done; true";
    Ok(pod::output(shell.args(["-c", line]))?.lines().count())
}

/// A root that signs.
struct Root {
    certificate: String,
    key: String,
}

impl Root {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::OrganizationName, "new");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        Ok(Self {
            certificate: params.self_signed(&key)?.pem(),
            key: key.serialize_pem(),
        })
    }

    /// The one of the mesh that runs.
    fn standing(kubectl: &Kubectl) -> Result<Self> {
        let secret = kubectl.json(&["-n", SYSTEM, "get", "secret", SECRET])?;
        let text = |key: &str| -> Result<String> {
            let value = secret["data"][key]
                .as_str()
                .with_context(|| format!("no {key}"))?;
            Ok(String::from_utf8(BASE64_STANDARD.decode(value)?)?)
        };
        Ok(Self {
            certificate: text("ca-cert.pem")?,
            key: text("ca-key.pem")?,
        })
    }

    fn issuer(&self) -> Result<Issuer<'static, KeyPair>> {
        let key = KeyPair::from_pem(&self.key)?;
        Ok(Issuer::from_ca_cert_pem(&self.certificate, key)?)
    }
}

fn patch(kubectl: &Kubectl, keys: &[(&str, &str)]) -> Result<()> {
    let data: BTreeMap<_, _> = keys
        .iter()
        .map(|(key, text)| (*key, BASE64_STANDARD.encode(text)))
        .collect();
    let patch = json!({ "data": data }).to_string();
    let patch = ["patch", "secret", SECRET, "--type", "merge", "-p", &patch];
    kubectl
        .text(&[&["-n", SYSTEM], &patch[..]].concat())
        .map(drop)
}

/// Names of the pods, and of each what its proxy holds: its own certificate's serial number, and how many roots.
fn held(kubectl: &Kubectl) -> Result<BTreeMap<String, (String, usize)>> {
    let mut held = BTreeMap::new();
    for label in ["app=nginx", "app=load"] {
        for pod in kubectl.pods(NAMESPACE, label)? {
            let table =
                kubectl.shell(&format!("meshctl -n {NAMESPACE} proxy-config secret {pod}"))?;
            let rows: Vec<Vec<_>> = table
                .lines()
                .map(|line| line.split_whitespace().collect())
                .collect();
            let roots = rows
                .iter()
                .filter(|row| row.first() == Some(&"ROOTCA"))
                .count();
            let own = rows.iter().find(|row| row.first() == Some(&"default"));
            // NAME, two words of type, status, validity, serial number.
            let serial = own
                .and_then(|row| row.get(5))
                .with_context(|| table.clone())?;
            held.insert(pod, ((*serial).to_owned(), roots));
        }
    }
    ensure!(held.len() == 6, "pods are {held:?}");
    Ok(held)
}

/// Waits until each proxy has another certificate than now.
fn renewed(kubectl: &Kubectl) -> Result<()> {
    let before = held(kubectl)?;
    thread::sleep(Duration::from_secs(10));
    eventually(SPREADING, || {
        let now = held(kubectl)?;
        let same: Vec<_> = now
            .iter()
            .filter(|(pod, (serial, _))| before.get(*pod).is_some_and(|(old, _)| old == serial))
            .collect();
        ensure!(same.is_empty(), "not renewed: {same:?}");
        Ok(())
    })
}

/// Waits until each proxy has so many roots.
fn spread(kubectl: &Kubectl, roots: usize) -> Result<()> {
    thread::sleep(LOOK);
    // The kubelet looks at mounted ConfigMaps once in a minute or so, and when a pod changes.
    let poke = format!("roots={roots}");
    kubectl.text(&[
        "-n",
        NAMESPACE,
        "annotate",
        "pods",
        "--all",
        "--overwrite",
        &poke,
    ])?;
    eventually(SPREADING, || have_roots(kubectl, roots))
}

fn have_roots(kubectl: &Kubectl, count: usize) -> Result<()> {
    let held = held(kubectl)?;
    ensure!(
        held.values().all(|(_, roots)| *roots == count),
        "not {count} roots everywhere: {held:?}"
    );
    Ok(())
}

/// The port of one of the servers.
fn server(kubectl: &Kubectl) -> Result<SocketAddr> {
    let pods = kubectl.json(&["-n", NAMESPACE, "get", "pods", "-l", "app=nginx"])?;
    let address = pods["items"][0]["status"]["podIP"]
        .as_str()
        .context("an address")?;
    Ok(SocketAddr::new(address.parse()?, 80))
}
