//! The steps: from the injected containers to the response, each shown by what a user could type, and checked.

use super::{counters::Counters, facts::Facts};
use crate::{
    netns::container::User,
    stage::{CLIENT, SERVER, Stage},
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

/// How long log lines and metrics may take to appear.
const PATIENCE: Duration = Duration::from_secs(10);
const CLUSTER: &str = "outbound|80||nginx.test.svc.cluster.local";

/// Walks.
pub(crate) fn walk(stage: &mut Stage, facts: &mut Facts) -> Result<()> {
    injection(stage, facts)?;
    rules(stage, facts)?;
    client_configuration(stage, facts)?;
    server_configuration(stage, facts)?;
    let before = [counters(stage, CLIENT)?, counters(stage, SERVER)?];
    request(stage, facts)?;
    let after = [counters(stage, CLIENT)?, counters(stage, SERVER)?];
    eight_steps(&before, &after, facts)?;
    logs(stage, facts)?;
    metrics(stage, facts)
}

fn injection(stage: &Stage, facts: &mut Facts) -> Result<()> {
    let pod = stage
        .launcher
        .pods
        .iter()
        .find(|pod| pod.name() == SERVER)
        .context("the server's pod")?;
    for (field, name) in [
        ("containers", "istio-proxy"),
        ("initContainers", "istio-init"),
    ] {
        let mut containers = pod.object["spec"][field].as_array().into_iter().flatten();
        let container = containers
            .find(|c| c["name"] == name)
            .with_context(|| format!("no container {name}"))?;
        let arguments = serde_json::json!([{"args": container["args"]}]);
        let command = format!("kubectl get pod -n test {SERVER} -o yaml");
        facts.add(
            name,
            &format!("what injection added: {name}"),
            &command,
            &mesh_api::yaml::to_string(&arguments),
        );
    }
    Ok(())
}

/// The dump of whichever backend holds the rules.
fn dump(stage: &Stage, pod: &str) -> Result<(String, String)> {
    let mut last = None;
    for program in ["iptables-nft-save", "iptables-legacy-save", "iptables-save"] {
        match stage.in_pod(
            pod,
            User::ROOT,
            Command::new(program).args(["-c", "-t", "nat"]),
        ) {
            Ok(text) if text.contains("ISTIO_OUTPUT") => return Ok((program.to_owned(), text)),
            other => last = Some(other),
        }
    }
    bail!("no rules in {pod}: {last:?}")
}

fn rules(stage: &Stage, facts: &mut Facts) -> Result<()> {
    let (program, text) = dump(stage, SERVER)?;
    facts.add(
        "iptables",
        "the rules in the server's pod, with the packets they have seen",
        &format!("{program} -c -t nat"),
        &text,
    );
    Ok(())
}

fn counters(stage: &Stage, pod: &str) -> Result<Counters> {
    Ok(Counters::read(&dump(stage, pod)?.1))
}

fn client_configuration(stage: &Stage, facts: &mut Facts) -> Result<()> {
    let mut show = |key: &str, title: &str, arguments: &[&str]| {
        show(stage, facts, key, title, CLIENT, arguments)
    };
    show(
        "listener-15001",
        "1. the listener that takes all outbound traffic",
        &["listener", "--port", "15001"],
    )?;
    show(
        "listener-vip-80",
        "2. the listener of the Service's address",
        &["listener", "--port", "80", "--address", "10.102.168.134"],
    )?;
    show("routes", "3. the routes", &["route"])?;
    let route = "nginx.test.svc.cluster.local:80";
    show(
        "route-vip",
        "3. the route of that listener",
        &["route", "--name", route, "-o", "yaml"],
    )?;
    show(
        "cluster",
        "4. the cluster",
        &["cluster", "--fqdn", CLUSTER, "-o", "yaml"],
    )?;
    show(
        "endpoint",
        "5. the endpoint",
        &["endpoint", "--cluster", CLUSTER, "-o", "yaml"],
    )
}

fn server_configuration(stage: &Stage, facts: &mut Facts) -> Result<()> {
    let mut show = |key: &str, title: &str, arguments: &[&str]| {
        show(stage, facts, key, title, SERVER, arguments)
    };
    show(
        "listener-15006",
        "6. the listener that takes all inbound traffic",
        &["listener", "--port", "15006"],
    )?;
    show(
        "listener-wildcard-80",
        "6. the virtual listener",
        &["listener", "--port", "80", "--address", "0.0.0.0"],
    )?;
    show(
        "route-inbound",
        "7. the inbound route",
        &["route", "--name", "inbound|80||", "-o", "yaml"],
    )
}

fn show(
    stage: &Stage,
    facts: &mut Facts,
    key: &str,
    title: &str,
    pod: &str,
    arguments: &[&str],
) -> Result<()> {
    let (kind, flags) = arguments.split_first().context("a kind")?;
    let whole: Vec<_> = ["-n", "test", "proxy-config", kind, pod]
        .iter()
        .chain(flags)
        .copied()
        .collect();
    let output = stage.meshctl(&whole)?;
    let quoted: Vec<_> = whole
        .iter()
        .map(|a| {
            if a.contains('|') {
                format!("\"{a}\"")
            } else {
                (*a).to_owned()
            }
        })
        .collect();
    facts.add(
        key,
        title,
        &format!("meshctl {}", quoted.join(" ")),
        &output,
    );
    Ok(())
}

fn request(stage: &Stage, facts: &mut Facts) -> Result<()> {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", "10", "-i", "http://nginx.test"]);
    let response = stage.in_pod(CLIENT, User::APPLICATION, &mut curl)?;
    facts.add(
        "response",
        "the request, from the client's application",
        "curl -i http://nginx.test",
        &response,
    );
    ensure!(
        response.starts_with("HTTP/1.1 200"),
        "the response is not 200: {response}"
    );
    Ok(())
}

/// The way of the request through the rules of both pods: which rule, what it does, and that it saw packets.
const STEPS: [(usize, &str, &str); 8] = [
    (
        0,
        "-A OUTPUT -p tcp -j ISTIO_OUTPUT",
        "the client's packet leaves by OUTPUT and goes to ISTIO_OUTPUT",
    ),
    (
        0,
        "-A ISTIO_OUTPUT -j ISTIO_REDIRECT",
        "it is neither local nor the proxy's own: ISTIO_REDIRECT",
    ),
    (
        0,
        "-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001",
        "it is redirected to the client's proxy on 15001",
    ),
    (
        0,
        "-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN",
        "the proxy's own packet to the server's pod is let through",
    ),
    (
        1,
        "-A PREROUTING -p tcp -j ISTIO_INBOUND",
        "it enters the server's pod by PREROUTING and goes to ISTIO_INBOUND",
    ),
    (
        1,
        "-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT",
        "its port is none of the excluded ones: ISTIO_IN_REDIRECT",
    ),
    (
        1,
        "-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006",
        "it is redirected to the server's proxy on 15006",
    ),
    (
        1,
        "-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN",
        "that proxy's packet to the application is let through",
    ),
];

fn eight_steps(before: &[Counters; 2], after: &[Counters; 2], facts: &mut Facts) -> Result<()> {
    let mut lines = String::new();
    for (number, (pod, rule, what)) in STEPS.iter().enumerate() {
        let packets = after[*pod]
            .since(&before[*pod], rule)
            .with_context(|| format!("no rule {rule}"))?;
        ensure!(
            packets > 0,
            "step {}: no packet was seen by {rule}",
            number + 1
        );
        let pod = [CLIENT, SERVER][*pod];
        lines.push_str(&format!(
            "{}. {what}\n   {pod}: +{packets} {rule}\n",
            number + 1
        ));
    }
    facts.add(
        "steps",
        "the way of the packet, by the rules' counters",
        "",
        &lines,
    );
    Ok(())
}

fn logs(stage: &Stage, facts: &mut Facts) -> Result<()> {
    for (pod, cluster) in [(CLIENT, CLUSTER), (SERVER, "inbound|80||")] {
        let object = stage
            .launcher
            .pods
            .iter()
            .find(|p| p.name() == pod)
            .context("pod")?;
        let line = eventually(|| {
            let log = fs::read_to_string(object.log("istio-proxy"))?;
            let line = log
                .lines()
                .find(|line| line.contains(cluster) && line.contains("\"GET / HTTP/1.1\" 200"));
            line.map(str::to_owned)
                .with_context(|| format!("no line of {cluster} in the access log of {pod}:\n{log}"))
        })?;
        let server_name = "outbound_.80_._.nginx.test.svc.cluster.local";
        ensure!(
            pod == CLIENT || line.contains(server_name),
            "the server's line lacks the server name: {line}"
        );
        ensure!(
            line.ends_with(" default"),
            "the line does not end with the route: {line}"
        );
        facts.add(
            &format!("log-{pod}"),
            "the access log",
            &format!("kubectl -n test logs {pod} istio-proxy"),
            &line,
        );
    }
    Ok(())
}

fn metrics(stage: &Stage, facts: &mut Facts) -> Result<()> {
    let line = eventually(|| {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--max-time",
            "10",
            "http://127.0.0.1:15090/stats/prometheus",
        ]);
        let all = stage.in_pod(SERVER, User::APPLICATION, &mut curl)?;
        let wanted = [
            "istio_requests_total{",
            "connection_security_policy=\"mutual_tls\"",
            "reporter=\"destination\"",
        ];
        let line = all
            .lines()
            .find(|line| wanted.iter().all(|part| line.contains(part)));
        line.map(str::to_owned)
            .with_context(|| format!("no istio_requests_total over mutual TLS in {SERVER}"))
    })?;
    facts.add(
        "metric",
        "what the server's proxy counted",
        "curl http://127.0.0.1:15090/stats/prometheus",
        &line,
    );
    let facts_of_state: Value = serde_json::from_str(&stage.meshctl(&[
        "-n",
        "test",
        "proxy-config",
        "secret",
        CLIENT,
        "-o",
        "json",
    ])?)?;
    ensure!(
        !facts_of_state.to_string().contains("PRIVATE KEY"),
        "a private key was printed"
    );
    Ok(())
}

/// Tries until it works, for as long as logs and metrics may take.
fn eventually<T>(attempt: impl Fn() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
