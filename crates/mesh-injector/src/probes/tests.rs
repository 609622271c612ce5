use super::*;

fn pod() -> Value {
    json!({"spec": {
        "containers": [{
            "name": "app",
            "ports": [{"containerPort": 8080, "name": "web"}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "web", "scheme": "HTTPS", "host": "x",
                "httpHeaders": [{"name": "A", "value": "b"}], "future": 1}, "periodSeconds": 5, "timeoutSeconds": 2},
            "livenessProbe": {"tcpSocket": {"port": 9000}, "failureThreshold": 3},
            "startupProbe": {"grpc": {"port": 9001, "service": "s"}},
            "lifecycle": {"preStop": {"httpGet": {"path": "/bye", "port": 8080}}, "postStart": {"exec": {"command": ["x"]}}},
        }, {
            "name": "other",
            "readinessProbe": {"exec": {"command": ["true"]}},
            "livenessProbe": {"httpGet": {"port": 15021}},
            "startupProbe": {"httpGet": {"port": "missing"}},
        }],
        "initContainers": [
            {"name": "side", "restartPolicy": "Always", "startupProbe": {"tcpSocket": {"port": 1}}},
            {"name": "once", "readinessProbe": {"tcpSocket": {"port": 1}}},
        ],
    }})
}

#[test]
fn probes_go_to_the_agent_and_their_originals_into_the_table() {
    let (mut pod, mut warnings) = (pod(), Vec::new());
    let probers = rewrite(&mut pod, 15020, true, &mut warnings);
    let expected = json!({
        "/app-health/app/readyz": {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTPS", "host": "x",
            "httpHeaders": [{"name": "A", "value": "b"}], "future": 1}, "timeoutSeconds": 2},
        "/app-health/app/livez": {"tcpSocket": {"port": 9000}},
        "/app-health/app/startupz": {"grpc": {"port": 9001, "service": "s"}},
        "/app-lifecycle/app/prestopz": {"httpGet": {"path": "/bye", "port": 8080}},
        "/app-health/side/startupz": {"tcpSocket": {"port": 1}},
    });
    assert_eq!(Value::Object(probers), expected);
    let asked = |path: &str| json!({"path": path, "port": 15020, "scheme": "HTTP"});
    let app = &pod["spec"]["containers"][0];
    let mut ready = asked("/app-health/app/readyz");
    ready["httpHeaders"] = json!([{"name": "A", "value": "b"}]);
    assert_eq!(
        app["readinessProbe"],
        json!({"httpGet": ready, "periodSeconds": 5, "timeoutSeconds": 2})
    );
    assert_eq!(
        app["livenessProbe"],
        json!({"httpGet": asked("/app-health/app/livez"), "failureThreshold": 3})
    );
    assert_eq!(
        app["startupProbe"],
        json!({"httpGet": asked("/app-health/app/startupz")})
    );
    assert_eq!(
        app["lifecycle"]["preStop"],
        json!({"httpGet": asked("/app-lifecycle/app/prestopz")})
    );
    assert_eq!(
        app["lifecycle"]["postStart"],
        json!({"exec": {"command": ["x"]}})
    );
    assert_eq!(
        warnings,
        [
            "container other, startupProbe: no port of the container is named `missing`; \
                          the probe is left as it is and will fail"
        ]
    );
}

#[test]
fn what_cannot_or_need_not_be_rewritten_stays() {
    let mut rewritten = pod();
    rewrite(&mut rewritten, 15020, true, &mut Vec::new());
    assert_eq!(
        rewritten["spec"]["containers"][1],
        pod()["spec"]["containers"][1]
    );
    assert_eq!(
        rewritten["spec"]["initContainers"][1],
        pod()["spec"]["initContainers"][1]
    );
}

#[test]
fn init_containers_that_start_before_a_classic_proxy_are_not_asked_through_it() {
    let mut classic = pod();
    let probers = rewrite(&mut classic, 15020, false, &mut Vec::new());
    assert_eq!(
        classic["spec"]["initContainers"],
        pod()["spec"]["initContainers"]
    );
    assert!(!probers.contains_key("/app-health/side/startupz"));
    assert!(probers.contains_key("/app-health/app/readyz"));
}

#[test]
fn restoring_undoes_the_rewriting() {
    let mut rewritten = pod();
    let probers = rewrite(&mut rewritten, 15020, true, &mut Vec::new());
    restore(&mut rewritten, &probers);
    let mut expected = pod();
    expected["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"] = json!(8080); // the name is resolved
    assert_eq!(rewritten, expected);
}

#[test]
fn rewriting_twice_changes_nothing() {
    let mut once = pod();
    rewrite(&mut once, 15020, true, &mut Vec::new());
    let mut twice = once.clone();
    assert!(rewrite(&mut twice, 15020, true, &mut Vec::new()).is_empty());
    assert_eq!(once, twice);
}
