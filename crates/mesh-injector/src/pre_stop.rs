//! A server is told to end a moment after its endpoint was taken away, not in the same moment.
//!
//! Kubernetes does both at once, and a request that is on its way then meets a server which has stopped to listen, or which
//! closes the connection with the request unread. One that must not be repeated is lost. So containers that serve get the
//! pause that Kubernetes' documentation advises, done by the kubelet itself (`lifecycle.preStop.sleep`); the proxy beside
//! them serves on meanwhile.

use serde_json::{Value, json};

/// Gives a pause of `seconds` to each application container that declares ports and has no `preStop` of its own, in pods
/// that are meant to run for ever. At most a third of the pod's grace period.
pub(crate) fn pause(pod: &mut Value, seconds: u32) {
    const GRACE: u64 = 30;
    let spec = &mut pod["spec"];
    let runs_to_an_end = spec["restartPolicy"]
        .as_str()
        .is_some_and(|policy| policy != "Always");
    let grace = spec["terminationGracePeriodSeconds"].as_u64();
    let seconds = u64::from(seconds).min(grace.unwrap_or(GRACE) / 3);
    if runs_to_an_end || seconds == 0 {
        return;
    }
    let containers = spec["containers"].as_array_mut();
    for container in containers.into_iter().flatten() {
        let serves = container["ports"].as_array().is_some_and(|p| !p.is_empty());
        if serves
            && container
                .pointer("/lifecycle/preStop")
                .is_none_or(Value::is_null)
        {
            container["lifecycle"]["preStop"] = json!({"sleep": {"seconds": seconds}});
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paused(pod: Value, seconds: u32) -> Value {
        let mut after = pod.clone();
        pause(&mut after, seconds);
        if after == pod {
            Value::Null
        } else {
            after["spec"]["containers"][0]["lifecycle"].take()
        }
    }

    #[test]
    fn servers_without_a_pause_of_their_own_get_one() {
        let ports = json!([{"containerPort": 80}]);
        let sleep = |seconds: u32| json!({"preStop": {"sleep": {"seconds": seconds}}});
        let own = json!({"preStop": {"exec": {"command": ["x"]}}});
        for (spec, want) in [
            (json!({"containers": [{"ports": ports}]}), sleep(5)),
            (
                json!({"containers": [{"ports": ports}], "terminationGracePeriodSeconds": 9}),
                sleep(3),
            ),
            (
                json!({"containers": [{"ports": ports}], "restartPolicy": "Always"}),
                sleep(5),
            ),
            (
                json!({"containers": [{"ports": ports}], "restartPolicy": "Never"}),
                Value::Null,
            ),
            (
                json!({"containers": [{"ports": ports}], "terminationGracePeriodSeconds": 0}),
                Value::Null,
            ),
            (json!({"containers": [{"ports": []}]}), Value::Null),
            (
                json!({"containers": [{"ports": ports, "lifecycle": own}]}),
                Value::Null,
            ),
        ] {
            assert_eq!(paused(json!({"spec": spec}), 5), want, "{spec}");
            assert_eq!(paused(json!({"spec": spec}), 0), Value::Null, "{spec}");
        }
    }

    #[test]
    fn what_a_container_does_after_its_start_stays() {
        let start = json!({"exec": {"command": ["x"]}});
        let container =
            json!({"ports": [{"containerPort": 80}], "lifecycle": {"postStart": start}});
        let lifecycle = paused(json!({"spec": {"containers": [container]}}), 5);
        assert_eq!(lifecycle["postStart"], start);
        assert_eq!(lifecycle["preStop"]["sleep"]["seconds"], 5);
    }
}
