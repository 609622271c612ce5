//! `meshctl experimental describe`.

use kube::Api;
use kube::api::ListParams;
use kube::core::DynamicObject;
use mesh_api::k8s::Resource;
use mesh_api::k8s::api::core::v1::{Pod, Service};
use mesh_api::mesh_config::MeshConfig;
use mesh_api::security::PeerAuthentication;
use mesh_injector::{Settings, Texts, Unreadable};

use crate::args::{Cli, Describe, DescribePod, DescribeService};
use crate::failure::Failure;
use crate::fetch::{self, Cluster, ClusterError, ConfigMaps, PodName, Proxy};
use crate::inspect::destination::Destinations;
use crate::inspect::pod::PROXY;
use crate::inspect::{peers, pod, service};
use crate::view::description::{self, Names, Told};

pub(super) fn run(command: &Describe, cli: &Cli) -> Result<String, Failure> {
    let cluster =
        fetch::block_on(async { Ok::<_, fetch::Error>(Cluster::open(&cli.cluster).await?) })?;
    let namespace = cli.namespace.as_deref();
    let names = Names {
        namespace: namespace.unwrap_or(cluster.default_namespace()),
    };
    match command {
        Describe::Pod(args) => of_pod(args, &cluster, names),
        Describe::Service(args) => of_service(args, &cluster, names),
    }
}

fn of_pod(args: &DescribePod, cluster: &Cluster, names: Names<'_>) -> Result<String, Failure> {
    let (pod, services, policies) = fetch::block_on(async {
        let name = PodName::new(&args.pod, names.namespace);
        let (namespace, name) = cluster.pod(&name).await?;
        let pod: Pod = cluster.api(&namespace).get(&name).await.map_err(refused)?;
        let services = cluster.api::<Service>(&namespace);
        let services = services
            .list(&ListParams::default())
            .await
            .map_err(refused)?;
        let policies = policies(cluster, &pod).await?;
        Ok::<_, fetch::Error>((pod, services.items, policies))
    })?;
    let facts = pod::Facts::of(&pod);
    let name = called(&pod, names);
    let mut head = description::pod(&facts, &name, args.ignore_unmeshed);
    let services = service::of_pod(services, &pod);
    if services.is_empty() && !args.ignore_unmeshed {
        head += &format!("Warning: No Kubernetes Services select pod {name}\n");
    }
    let proxy = match facts.is_meshed && facts.phase == "Running" {
        true => told(cluster, &pod, &facts.revision),
        false => None,
    };
    let mut parts = vec![head];
    if !services.is_empty() {
        parts.push(description::services(&services, proxy.as_ref(), names));
    }
    if facts.is_meshed {
        parts.push(description::peers(&policies));
    }
    Ok(description::joined(&parts))
}

fn of_service(
    args: &DescribeService,
    cluster: &Cluster,
    names: Names<'_>,
) -> Result<String, Failure> {
    let (service, pods) = fetch::block_on(async {
        let name = PodName::new(&format!("service/{}", args.service), names.namespace);
        let (namespace, found) = cluster.workload(&name).await?;
        let name = found.metadata.name.unwrap_or_default();
        let service: Service = cluster.api(&namespace).get(&name).await.map_err(refused)?;
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone());
        let pairs = selector
            .iter()
            .flatten()
            .map(|(key, value)| format!("{key}={value}"));
        let labels = pairs.collect::<Vec<_>>().join(",");
        let pods = cluster.running_pods(&namespace, &labels).await?;
        Ok::<_, fetch::Error>((service, pods))
    })?;
    let metadata = &service.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    let name = names.of(name, metadata.namespace.as_deref().unwrap_or_default());
    let mut text = String::new();
    let mut meshed = Vec::new();
    for pod in &pods {
        let facts = pod::Facts::of(pod);
        let unready = facts.unready.iter().chain(&facts.unready_init);
        if !facts.is_meshed {
            continue;
        } else if unready.into_iter().any(|container| container == PROXY) {
            let pod = called(pod, names);
            text += &format!("WARNING: Pod {pod} Container {PROXY} NOT READY\n");
        } else {
            meshed.push(pod);
        }
    }
    let Some(first) = meshed.first() else {
        text += &match pods.len() {
            0 => format!("Service {name:?} has no pods.\n"),
            count => format!("Service {name:?} has no Istio pods.  ({count} pods in service).\n"),
        };
        if !pods.is_empty() && !args.ignore_unmeshed {
            eprintln!("hint: `meshctl check-inject svc/{name}` tells why");
        }
        return Ok(text);
    };
    let proxy = told(cluster, first, &pod::Facts::of(first).revision);
    let facts = service::Facts::of(&service, first);
    Ok(text + &description::services(&[facts], proxy.as_ref(), names))
}

fn refused(error: kube::Error) -> ClusterError {
    error.into()
}

fn called(pod: &Pod, names: Names<'_>) -> String {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    names.of(&text(&pod.metadata.name), &text(&pod.metadata.namespace))
}

/// What the pod's proxy has been told, and under which domain; if it does not answer, the rest can still be told.
fn told(cluster: &Cluster, pod: &Pod, revision: &str) -> Option<Told> {
    let destinations = destinations(cluster, pod)?;
    let asked = fetch::block_on(async {
        Ok::<_, fetch::Error>(cluster.injection(&ConfigMaps::of(revision)).await?)
    });
    let texts = asked.map_err(anyhow::Error::new);
    let domain = texts.and_then(|texts| Ok(domain(&texts)?));
    let domain = domain.unwrap_or_else(|error| {
        let domain = Settings::default().cluster_domain;
        eprintln!("warning: the domain of the cluster is not known, {domain} is taken: {error:#}");
        domain
    });
    Some(Told {
        destinations,
        domain,
    })
}

/// DNS domain of the cluster, as the injector tells pods.
fn domain(texts: &Texts) -> Result<String, Unreadable> {
    Ok(Settings::read(texts)?.value.cluster_domain)
}

fn destinations(cluster: &Cluster, pod: &Pod) -> Option<Destinations> {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let (namespace, name) = (text(&pod.metadata.namespace), text(&pod.metadata.name));
    let dump = Proxy::of(cluster, namespace, name).get("/config_dump");
    let read = dump.map_err(anyhow::Error::new);
    match read.and_then(|text| Ok(Destinations::read(&text)?)) {
        Ok(destinations) => Some(destinations),
        Err(error) => {
            eprintln!("warning: what the proxy does is not known: {error:#}");
            None
        }
    }
}

/// All policies that may be for the pod, and what they come to.
async fn policies(cluster: &Cluster, pod: &Pod) -> Result<peers::Effective, fetch::Error> {
    let root = root_namespace(cluster, &pod::Facts::of(pod).revision).await;
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    let mut all = policies_in(cluster, &namespace).await?;
    if root != namespace {
        match policies_in(cluster, &root).await {
            Ok(of_mesh) => all.extend(of_mesh),
            Err(error) => eprintln!(
                "warning: policies of the whole mesh are not known: {:#}",
                anyhow::Error::new(error)
            ),
        }
    }
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    Ok(peers::effective(all, &root, &namespace, &labels))
}

/// None where the kind is not defined.
async fn policies_in(
    cluster: &Cluster,
    namespace: &str,
) -> Result<Vec<PeerAuthentication>, ClusterError> {
    let resource = fetch::resource(
        PeerAuthentication::GROUP,
        PeerAuthentication::VERSION,
        PeerAuthentication::KIND,
        PeerAuthentication::URL_PATH_SEGMENT,
    );
    let client = cluster.client.clone();
    let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &resource);
    match api.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items.into_iter().filter_map(policy).collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// One that is not understood is not in force either, and its owner should know.
fn policy(object: DynamicObject) -> Option<PeerAuthentication> {
    let name = object.metadata.name.clone().unwrap_or_default();
    let json = serde_json::to_value(object);
    match json.and_then(serde_json::from_value) {
        Ok(policy) => Some(policy),
        Err(error) => {
            eprintln!("warning: PeerAuthentication {name} is not understood: {error}");
            None
        }
    }
}

/// As the mesh's settings have it; else where the control plane is.
async fn root_namespace(cluster: &Cluster, revision: &str) -> String {
    let text = cluster.mesh_config(&ConfigMaps::of(revision).mesh).await;
    let text = text.unwrap_or_default();
    match MeshConfig::read(&text) {
        Ok(read) if !text.is_empty() => read.value.root_namespace,
        _ => cluster.istio_namespace.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_the_injectors() {
        let texts = |values: &str| Texts {
            values: values.to_owned(),
            ..Texts::default()
        };
        let set = r#"{"global": {"proxy": {"clusterDomain": "mesh.example"}}}"#;
        assert_eq!(domain(&texts(set)).expect("read"), "mesh.example");
        assert_eq!(domain(&texts("")).expect("read"), "cluster.local");
        assert!(domain(&texts("{")).is_err());
    }
}
