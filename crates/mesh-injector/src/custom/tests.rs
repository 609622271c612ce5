use serde_json::json;

use super::*;
use crate::{Injected, NamespaceFacts, Outcome, Settings, Texts, inject_json};

fn settings(config: &str) -> Settings {
    let texts = Texts {
        config: config.into(),
        values: r#"{"global": {"hub": "reg", "custom": {"value": 7}}, "revision": "canary"}"#
            .into(),
        ..Texts::default()
    };
    Settings::read(&texts).expect("settings").value
}

fn refused(config: &str) -> String {
    let texts = Texts {
        config: config.into(),
        ..Texts::default()
    };
    let error = Settings::read(&texts).expect_err(config);
    format!("{error}: {}", error.source)
}

fn pod(templates: &str) -> Value {
    json!({
        "metadata": {"name": "p", "annotations": {TEMPLATES: templates}},
        "spec": {"containers": [{"name": "app", "image": "app", "args": ["own"], "env": [{"name": "A", "value": "own"}]}]},
    })
}

fn injected(pod: &Value, settings: &Settings) -> Injected {
    match inject_json(pod, &NamespaceFacts::named("shop"), settings) {
        Ok(Outcome::Injected(injected)) => *injected,
        other => panic!("not injected: {other:?}"),
    }
}

fn names<'a>(pod: &'a Value, list: &str) -> Vec<&'a str> {
    let items = pod["spec"][list].as_array().into_iter().flatten();
    items.map(json::name_of).collect()
}

#[test]
fn names_stand_for_templates() {
    let config = "templates: {one: 'metadata: {labels: {one: yes-one}}', two: 'metadata: {labels: {two: yes-two}}'}\n\
                  aliases: {both: [one, two], sidecar: [one]}\ndefaultTemplates: [both]\n";
    let settings = settings(config);
    let labels = |pod: &Value| {
        let pod = injected(pod, &settings).pod;
        let labels = pod["metadata"]["labels"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        (
            labels.contains_key("one"),
            labels.contains_key("two"),
            labels.contains_key("security.istio.io/tlsMode"),
        )
    };
    let rows = [
        ("one", (true, false, false)),
        ("two, one", (true, true, false)),
        ("both", (true, true, false)),
        ("sidecar", (true, false, false)),
    ];
    for (templates, expected) in rows {
        assert_eq!(labels(&pod(templates)), expected, "{templates}");
    }
    let mut unnamed = pod("");
    unnamed["metadata"]["annotations"] = json!({});
    assert_eq!(labels(&unnamed), (true, true, false));
}

#[test]
fn mistakes_of_the_config_have_their_place() {
    let rows = [
        (
            "templates: {a: \"x\\n{{ if }}\"}",
            "templates.a: line 2: `if` without a value",
        ),
        (
            "templates: {a: '{{ now }}'}",
            "templates.a: line 1: function `now` is not defined",
        ),
        (
            "templates: {a: ''}\naliases: {b: [a, c]}",
            "aliases.b: there is no template `c`, only a, b, sidecar",
        ),
        (
            "defaultTemplates: [sidecar, c]",
            "defaultTemplates: there is no template `c`, only sidecar",
        ),
        (
            "aliases: {b: [sidecar]}\ndefaultTemplates: [b, c]",
            "defaultTemplates: there is no template `c`, only b, sidecar",
        ),
        ("templates: [a]", "templates: "),
    ];
    for (config, expected) in rows {
        let refused = refused(config);
        assert!(refused.contains(expected), "{config}: {refused}");
    }
}

#[test]
fn a_template_called_as_the_built_in_one_does_not_count_and_is_named() {
    let texts = Texts {
        config: "templates: {sidecar: '{{ nothing'}".into(),
        ..Texts::default()
    };
    let read = Settings::read(&texts).expect("settings");
    assert_eq!(
        read.unknown,
        ["injection config: templates.sidecar (this template is built in)"]
    );
    assert_eq!(
        names(&injected(&pod("sidecar"), &read.value).pod, "containers"),
        ["app", "istio-proxy"]
    );
}

#[test]
fn templates_see_their_data() {
    let config = r#"templates:
  data: |
    metadata:
      annotations:
        meta: {{ printf "%s/%s %s" .ObjectMeta.Namespace .ObjectMeta.Name .ObjectMeta.GenerateName | quote }}
        owner: {{ printf "%s %s %s %s" .TypeMeta.APIVersion .TypeMeta.Kind .DeploymentMeta.Namespace .DeploymentMeta.Name | quote }}
        spec: {{ printf "%s %t [%s]" (index .Spec.Containers 0).Name .Spec.HostNetwork .Spec.ServiceAccountName | quote }}
        values: {{ printf "%s %v %s" .Values.global.hub .Values.global.custom.value .Values.global.proxy.includeIPRanges | quote }}
        mesh: {{ printf "%s %s %d" .MeshConfig.TrustDomain .ProxyConfig.InterceptionMode .ProxyConfig.StatusPort | quote }}
        rest: {{ printf "%s %t %s %d %d %s %d" .Revision .NativeSidecars .ProxyImage .ProxyUID .ProxyGID .InboundTrafficPolicyMode .EstimatedConcurrency | quote }}
"#;
    let pod = injected(&pod("data"), &settings(config)).pod;
    let annotation = |name: &str| {
        pod["metadata"]["annotations"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(annotation("meta"), "shop/p ");
    assert_eq!(annotation("owner"), "v1 Pod shop p");
    assert_eq!(annotation("spec"), "app false []");
    assert_eq!(annotation("values"), "reg 7 *");
    assert_eq!(annotation("mesh"), "cluster.local REDIRECT 15020");
    let image = concat!("reg/mesh-proxy:", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        annotation("rest"),
        format!("canary false {image} 1337 1337 passthrough 2")
    );
}

#[test]
fn a_template_changes_the_proxy_wherever_it_stands() {
    let config = "templates:\n  t: |\n    spec:\n      containers:\n      - name: istio-proxy\n        tty: true\n        env: [{name: X, value: x}]\n  gone: |\n    spec:\n      initContainers:\n      - {name: istio-init, $patch: delete}\n";
    for (templates, native) in [
        ("sidecar,t", "true"),
        ("t,sidecar", "true"),
        ("sidecar,t", "false"),
        ("t,sidecar", "false"),
    ] {
        let mut pod = pod(templates);
        pod["metadata"]["annotations"]["sidecar.istio.io/nativeSidecar"] = native.into();
        let pod = injected(&pod, &settings(config)).pod;
        let (list, expected) = match native {
            "true" => ("initContainers", vec!["istio-init", "istio-proxy"]),
            _ => ("containers", vec!["app", "istio-proxy"]),
        };
        assert_eq!(names(&pod, list), expected, "{templates} {native}");
        let proxy = &pod["spec"][list][1];
        assert_eq!(
            (&proxy["tty"], proxy["args"][0].as_str()),
            (&json!(true), Some("proxy"))
        );
        let variables = proxy["env"].as_array().expect("variables");
        assert!(variables.contains(&json!({"name": "X", "value": "x"})) && variables.len() > 10);
    }
    let pod = injected(&pod("sidecar,gone"), &settings(config)).pod;
    assert_eq!(
        (
            names(&pod, "initContainers"),
            pod["spec"].get("initContainers")
        ),
        (vec![], None)
    );
}

#[test]
fn what_the_users_containers_say_wins() {
    let config = "templates:\n  t: |\n    spec:\n      containers:\n      - name: app\n        args: [theirs]\n        tty: true\n        env: [{name: A, value: theirs}, {name: B, value: theirs}]\n";
    let once = injected(&pod("t"), &settings(config)).pod;
    let app = &once["spec"]["containers"][0];
    assert_eq!((&app["args"], &app["tty"]), (&json!(["own"]), &json!(true)));
    assert_eq!(
        app["env"],
        json!([{"name": "A", "value": "own"}, {"name": "B", "value": "theirs"}])
    );
    assert!(injected(&once, &settings(config)).patch.0.is_empty());
}

#[test]
fn without_a_proxy_to_change_the_users_container_stays() {
    let mut base = pod("t");
    let own = json!({"name": "istio-proxy", "image": "envoy"});
    base["spec"]["containers"]
        .as_array_mut()
        .expect("containers")
        .push(own.clone());
    let settings = settings("templates: {t: 'metadata: {labels: {a: b}}'}");
    let once = injected(&base, &settings).pod;
    assert_eq!(once["spec"]["containers"][1], own);
    assert_eq!(
        once["metadata"]["annotations"].get("proxy.istio.io/overrides"),
        None
    );
    assert!(injected(&once, &settings).patch.0.is_empty());
}

#[test]
fn a_pod_cannot_ask_for_work_without_end() {
    let config = "templates:\n  busy: |\n    {{ range until 50000 }}{{ $x := . }}{{ end }}\n";
    let settings = settings(config);
    let refusal = |templates: String| {
        let refused = inject_json(&pod(&templates), &NamespaceFacts::named("shop"), &settings);
        refused.expect_err("too much").to_string()
    };
    assert!(refusal(vec!["busy"; 17].join(",")).contains("more than 16 templates are named"));
    assert!(refusal("busy,".repeat(100_000)).contains("more than 16 templates are named"));
    let shared = refusal(vec!["busy"; 16].join(","));
    assert!(
        shared.contains("template busy, line 1: more than 200000 steps"),
        "{shared}"
    );
}

#[test]
fn a_value_that_is_not_there_is_told() {
    let settings =
        settings("templates: {t: \"metadata:\\n  labels: {a: '{{ .Values.nothing }}'}\"}");
    let injected = injected(&pod("t"), &settings);
    assert_eq!(
        injected.warnings,
        ["template t, line 2: there is no such value, and `<no value>` is what it gives"]
    );
}

#[test]
fn only_values_that_nobody_reads_are_without_effect() {
    let read = |config: &str| {
        let texts = Texts {
            config: config.into(),
            values: r#"{"mine": {"a": 1, "b": 2}}"#.into(),
            ..Texts::default()
        };
        Settings::read(&texts).expect("settings").unknown
    };
    assert_eq!(read("").len(), 1);
    assert_eq!(read("templates: {t: '# {{ .Values.mine.a }}'}"), [""; 0]);
}
