use std::collections::BTreeSet;

use mesh_api::k8s::api::{
    admissionregistration::v1::MutatingWebhookConfiguration,
    apps::v1::Deployment,
    core::v1::{ConfigMap, Service},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{ClusterRole, Role},
};
use mesh_injector::{Policy, Settings, Texts};

use super::*;

fn default() -> Vec<Value> {
    objects(&Options::default(), "istio-system")
}

fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

#[test]
fn every_object_reads_as_its_type_and_loses_nothing() {
    fn check<T: serde::de::DeserializeOwned + serde::Serialize>(object: &Value) {
        let typed: T = serde_json::from_value(object.clone()).expect("its type");
        let again = serde_json::to_value(typed).expect("JSON");
        let lost = mesh_api::manifest::unknown_fields(object, &again);
        assert_eq!(lost, [""; 0], "{object}");
    }
    for object in default() {
        match object["kind"].as_str().expect("a kind") {
            "Deployment" => check::<Deployment>(&object),
            "Service" => check::<Service>(&object),
            "ConfigMap" => check::<ConfigMap>(&object),
            "ClusterRole" => check::<ClusterRole>(&object),
            "Role" => check::<Role>(&object),
            "PodDisruptionBudget" => check::<PodDisruptionBudget>(&object),
            "MutatingWebhookConfiguration" => check::<MutatingWebhookConfiguration>(&object),
            _ => {}
        }
        assert_eq!(object["metadata"]["labels"][MANAGED.0], MANAGED.1);
    }
}

/// A change of what the programs may do is a decision: it has to be made here, too.
#[test]
fn nobody_may_do_more_than_is_listed() {
    let all = default();
    let mut rules = BTreeSet::new();
    for role in of_kind(&all, "ClusterRole").chain(of_kind(&all, "Role")) {
        let account = role["metadata"]["name"].as_str().expect("a name");
        for rule in role["rules"].as_array().expect("rules") {
            let list = |field: &str| -> String {
                let items = rule[field].as_array().into_iter().flatten();
                items
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
                    .join(",")
            };
            let names = match list("resourceNames") {
                none if none.is_empty() => none,
                some => format!(" [{some}]"),
            };
            rules.insert(format!(
                "{} {account}: {} {}{names}",
                role["kind"].as_str().unwrap_or_default(),
                list("verbs"),
                list("resources"),
            ));
        }
    }
    let expected = "\
ClusterRole istio-sidecar-injector-istio-system: list nodes
ClusterRole istio-sidecar-injector-istio-system: list,watch,patch mutatingwebhookconfigurations [istio-sidecar-injector]
ClusterRole istiod-istio-system: create configmaps
ClusterRole istiod-istio-system: create tokenreviews
ClusterRole istiod-istio-system: list,watch *
ClusterRole istiod-istio-system: list,watch customresourcedefinitions
ClusterRole istiod-istio-system: list,watch endpointslices
ClusterRole istiod-istio-system: list,watch services,pods,nodes,namespaces
ClusterRole istiod-istio-system: list,watch,patch configmaps [istio-ca-root-cert]
Role istio-sidecar-injector: list,watch configmaps [istio-ca-root-cert]
Role istiod: create leases
Role istiod: create secrets
Role istiod: get,update leases [mesh-discovery]
Role istiod: get,update secrets [istio-ca-secret]
Role istiod: list,watch configmaps [istio]";
    assert_eq!(rules.into_iter().collect::<Vec<_>>().join("\n"), expected);
    for role in of_kind(&all, "ClusterRole") {
        assert!(!role.to_string().contains("secrets"), "{role}");
    }
}

fn entries(options: &Options, namespace: &str) -> Vec<(String, Vec<String>)> {
    let all = objects(options, namespace);
    let configurations = of_kind(&all, "MutatingWebhookConfiguration");
    let names = |configuration: &Value| {
        let webhooks = configuration["webhooks"].as_array().expect("entries");
        let names = webhooks
            .iter()
            .map(|webhook| webhook["name"].as_str().expect("a name"));
        let prefix = |name: &str| {
            name.trim_end_matches("sidecar-injector.istio.io")
                .to_owned()
        };
        names.map(prefix).collect()
    };
    configurations
        .map(|one| {
            (
                one["metadata"]["name"].as_str().expect("a name").to_owned(),
                names(one),
            )
        })
        .collect()
}

#[test]
fn there_are_the_entries_of_the_revision() {
    let options = Options::default();
    let default = ["rev.namespace.", "rev.object.", "namespace.", "object."];
    let name = |text: &str| text.to_owned();
    assert_eq!(
        entries(&options, "istio-system"),
        [(name("istio-sidecar-injector"), default.map(name).to_vec())]
    );
    let every = options.set("values.sidecarInjectorWebhook.enableNamespacesByDefault=true");
    let every = entries(&every.expect("set"), "istio-system");
    assert_eq!(every[0].1.last().map(String::as_str), Some("auto."));

    let canary = options.set("revision=canary").expect("set");
    let canary = canary.set("tags=[\"prod\",\"default\"]").expect("set");
    let canary = entries(&canary, "mesh");
    let names: Vec<_> = canary
        .iter()
        .map(|(name, entries)| (&**name, entries.len()))
        .collect();
    assert_eq!(
        names,
        [
            ("istio-sidecar-injector-canary-mesh", 2),
            ("istio-revision-tag-prod-mesh", 2),
            ("istio-revision-tag-default-mesh", 4),
        ]
    );
}

/// What pods get from the values, the control plane gets as well.
#[test]
fn control_plane_and_pods_are_told_alike() {
    let deployment = |sets: &[&str], name: &str| {
        let set = |options: Options, typed: &&str| options.set(typed).expect("set");
        let options = sets.iter().fold(Options::default(), set);
        let all = objects(&options, "istio-system");
        let mut deployments = of_kind(&all, "Deployment");
        let found = deployments.find(|one| one["metadata"]["name"] == name);
        found.expect("a deployment")["spec"]["template"]["spec"].clone()
    };
    let flag = |pod: &Value, flag: &str| -> Option<String> {
        let arguments = pod["containers"][0]["args"].as_array().expect("arguments");
        let at = arguments.iter().position(|argument| *argument == flag)?;
        arguments[at + 1].as_str().map(str::to_owned)
    };
    let of_pods = |sets: &[&str]| {
        let of = settings(sets);
        [of.cluster_domain, of.cluster_id, of.token_audience]
    };
    let flags = ["--domain", "--clusterID", "--token-audience"];
    for (at, set) in [
        "values.global.proxy.clusterDomain=mesh.example",
        "values.global.multiCluster.clusterName=west",
        "values.global.sds.token.aud=mesh-ca",
    ]
    .into_iter()
    .enumerate()
    {
        let istiod = deployment(&[set], "istiod");
        let value = set.split_once('=').map(|(_, value)| value.to_owned());
        assert_eq!(flag(&istiod, flags[at]), value, "{set}");
        assert_eq!(Some(of_pods(&[set])[at].clone()), value, "{set}");
        // The others keep the defaults, which all programs have.
        let others = flags.iter().enumerate().filter(|(other, _)| *other != at);
        for (_, other) in others {
            assert_eq!(flag(&istiod, other), None, "{set}: {other}");
        }
    }

    let audience = |sets: &[&str]| {
        let pod = deployment(sets, "istio-sidecar-injector");
        let token = "/volumes/2/projected/sources/0/serviceAccountToken/audience";
        pod.pointer(token).expect("an audience").clone()
    };
    assert_eq!(audience(&[]), "istio-ca");
    assert_eq!(
        audience(&["values.global.sds.token.aud=mesh-ca"]),
        "mesh-ca"
    );

    let domain = "values.global.proxy.clusterDomain=mesh.example";
    let canary = deployment(&["revision=canary", domain], "istiod-canary");
    let names = flag(&canary, "--dns-names").expect("names");
    let full = "istiod-canary.istio-system.svc.mesh.example";
    assert!(names.split(',').any(|name| name == full), "{names}");
}

/// The settings that the injector of an installation has.
fn settings(sets: &[&str]) -> Settings {
    let set = |options: Options, typed: &&str| options.set(typed).expect("set");
    let options = sets.iter().fold(Options::default(), set);
    let read = Settings::read(&injection(&options, "istio-system")).expect("readable");
    assert_eq!(read.unknown, [""; 0], "{sets:?}");
    read.value
}

#[test]
fn whether_pods_are_injected_that_say_nothing_is_a_value() {
    for (sets, policy) in [
        (&[][..], Policy::Enabled),
        (&["values.global.proxy.autoInject=enabled"], Policy::Enabled),
        (
            &["values.global.proxy.autoInject=disabled"],
            Policy::Disabled,
        ),
    ] {
        assert_eq!(settings(sets).policy, policy, "{sets:?}");
    }
}

#[test]
fn the_injector_reads_its_config_map_as_it_was_meant() {
    let options = Options::default().set("hub=reg").expect("set");
    let options = options.set("values.global.network=n1").expect("set");
    let options = options.set("meshConfig.trustDomain=td").expect("set");
    let all = objects(&options, "mesh");
    let data = |name: &str, key: &str| {
        let map = of_kind(&all, "ConfigMap").find(|map| map["metadata"]["name"] == name);
        map.expect("a map")["data"][key]
            .as_str()
            .expect("text")
            .to_owned()
    };
    let read = Settings::read(&Texts {
        config: data("istio-sidecar-injector", "config"),
        values: data("istio-sidecar-injector", "values"),
        mesh: data("istio", "mesh"),
    });
    let read = read.expect("readable");
    assert_eq!(read.unknown, [""; 0]);
    let settings = read.value;
    assert_eq!(settings.images.proxy, options.image());
    assert_eq!(settings.network, "n1");
    assert_eq!(settings.mesh.trust_domain, "td");
    assert_eq!(
        settings.mesh.default_config.discovery_address,
        "istiod.mesh.svc:15012"
    );
    assert_eq!(settings.revision, "default");
}

#[test]
fn templates_of_the_options_reach_the_injector() {
    let file = "values:\n  sidecarInjectorWebhook:\n    defaultTemplates: [all]\n    aliases: {all: [sidecar, mine]}\n    templates:\n      \
                mine: |\n        metadata:\n          labels: {hub: \"{{ .Values.global.hub }}\"}\n";
    let options = Options::default().file(file).expect("options").value;
    let options = options.set("hub=reg").expect("an option");
    let read = Settings::read(&injection(&options, "mesh")).expect("readable");
    assert_eq!(read.unknown, [""; 0]);
    let pod = json!({"spec": {"containers": [{"name": "app"}]}});
    let namespace = mesh_injector::NamespaceFacts::named("shop");
    let outcome = mesh_injector::inject_json(&pod, &namespace, &read.value).expect("injected");
    let mesh_injector::Outcome::Injected(injected) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(injected.pod["metadata"]["labels"]["hub"], "reg");
    assert_eq!(injected.pod["spec"]["containers"][1]["name"], "istio-proxy");

    let broken = options.set("values.sidecarInjectorWebhook.templates.mine={{ if }}");
    let error =
        Settings::read(&injection(&broken.expect("an option"), "mesh")).expect_err("a mistake");
    assert!(
        error.source.to_string().contains("templates.mine"),
        "{error:?}"
    );
}

#[test]
fn the_manifest_reads_back() {
    let all = default();
    let text = text(&all);
    let chunks = mesh_api::manifest::split(&text);
    let back: Vec<_> = chunks
        .iter()
        .flat_map(|chunk| chunk.values().expect("YAML"))
        .map(|document| document.value)
        .collect();
    assert_eq!(back, all);
}

#[test]
fn the_debug_pages_of_the_control_plane_are_on_loopback_and_its_connections_end() {
    for revision in ["", "canary"] {
        let options = match revision {
            "" => Options::default(),
            revision => {
                let set = Options::default().set(&format!("revision={revision}"));
                set.expect("set")
            }
        };
        let all = objects(&options, "istio-system");
        let name = format!("istiod{}", options.suffix());
        let is_own = |object: &&Value| object["metadata"]["name"] == *name;
        let deployment = of_kind(&all, "Deployment")
            .find(is_own)
            .expect("a deployment");
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let arguments: Vec<_> = container["args"]
            .as_array()
            .expect("arguments")
            .iter()
            .collect();
        let value_of = |flag: &str| {
            let at = arguments.iter().position(|argument| **argument == *flag)?;
            arguments.get(at + 1)?.as_str()
        };
        assert_eq!(value_of("--httpAddr"), None);
        assert_eq!(value_of("--keepaliveMaxServerConnectionAge"), Some("30m"));
        assert_eq!(container["readinessProbe"]["httpGet"]["port"], 15014);
        assert!(!container["ports"].to_string().contains("8080"));
        // Its settings are watched, not mounted.
        assert_eq!(value_of("--meshConfig"), None);
        let own = Some(revision).filter(|revision| !revision.is_empty());
        assert_eq!(value_of("--revision"), own);
        let role = of_kind(&all, "Role")
            .find(is_own)
            .expect("a role")
            .to_string();
        assert!(
            role.contains(&format!("[\"istio{}\"]", options.suffix())),
            "{role}"
        );
    }
}
