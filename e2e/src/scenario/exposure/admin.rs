//! Pages and orders of the proxy's own ports: the pod's own business, given by POST, asked for by a name of loopback;
//! no page holds a private key, and none is read as HTML.

use super::visitor::{Outcome, Visitor};
use crate::stage::{CLIENT, SERVER, SERVER_ADDRESS, Stage};
use anyhow::{Result, bail, ensure};
use mesh_model::port::{ADMIN, HEALTH, PROMETHEUS, STATUS, XDS_DEBUG};
use std::net::{Ipv4Addr, SocketAddr};

/// Orders of the admin interface.
const ORDERS: [&str; 6] = [
    "/drain_listeners",
    "/healthcheck/fail",
    "/healthcheck/ok",
    "/logging",
    "/quitquitquit",
    "/reset_counters",
];
/// Orders of the agent.
const AGENT_ORDERS: [&str; 2] = ["/drain", "/quitquitquit"];
/// Pages of the admin interface that show configuration, with a word that each must have.
const DUMPS: [(&str, &str); 5] = [
    ("/config_dump", "SecretsConfigDump"),
    ("/config_dump?include_eds", "EndpointsConfigDump"),
    ("/config_dump?resource=dynamic_active_secrets", "default"),
    ("/certs", "cert_chain"),
    ("/server_info", "command_line_options"),
];
/// How a private key begins: in PEM, and in PEM that was encoded once more.
const KEYS: [&str; 4] = [
    "PRIVATE KEY",
    "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS",
    "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS",
    "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVkt",
];

/// Plays it.
pub(super) fn play(stage: &Stage) -> Result<()> {
    for visitor in [Visitor::Outside, Visitor::In(stage.pod(CLIENT)?)] {
        from_elsewhere(visitor)?;
    }
    let own = Visitor::In(stage.pod(SERVER)?);
    orders_need_post(own)?;
    orders_need_a_name_of_loopback(own)?;
    dumps_hold_no_key(own)?;
    nothing_is_html(own)
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Asks, and judges the status.
fn expect(
    visitor: Visitor<'_>,
    to: SocketAddr,
    line: &str,
    host: &str,
    status: u16,
) -> Result<String> {
    let outcome = visitor.ask(to, line, &[&format!("Host: {host}")])?;
    ensure!(
        outcome.status() == Some(status),
        "{visitor} to {to}, {line}, for {host}: {outcome}, expected {status}"
    );
    println!("{visitor} to {to}, {line}, for {host}: {outcome}");
    match outcome {
        Outcome::Answered(_, text) => Ok(text),
        _ => Ok(String::new()),
    }
}

fn from_elsewhere(visitor: Visitor<'_>) -> Result<()> {
    let to = |port: u16| SocketAddr::from((SERVER_ADDRESS, port));
    for line in ["GET /config_dump", "POST /quitquitquit", "GET /debug/syncz"] {
        for port in [ADMIN, XDS_DEBUG] {
            let outcome = visitor.ask(to(port), line, &["Host: localhost"])?;
            ensure!(
                outcome.is_refusal(),
                "{visitor} to {port}, {line}: {outcome}"
            );
            println!("{visitor} to {port}, {line}: {outcome}");
        }
    }
    for path in AGENT_ORDERS {
        for method in ["GET", "POST"] {
            let line = format!("{method} {path}");
            expect(visitor, to(STATUS), &line, "localhost", 403)?;
        }
    }
    expect(visitor, to(STATUS), "GET /debug/ndsz", "localhost", 403)?;
    for port in [STATUS, HEALTH, PROMETHEUS] {
        for line in ["GET /config_dump", "POST /drain_listeners"] {
            expect(visitor, to(port), line, "localhost", 404)?;
        }
    }
    // As kubelets and scrapers do.
    expect(
        visitor,
        to(HEALTH),
        "GET /healthz/ready",
        "10.244.0.73",
        200,
    )
    .map(drop)
}

fn orders_need_post(own: Visitor<'_>) -> Result<()> {
    for (port, orders) in [(ADMIN, &ORDERS[..]), (STATUS, &AGENT_ORDERS[..])] {
        for path in orders {
            for method in ["GET", "HEAD", "PUT"] {
                let line = format!("{method} {path}");
                expect(own, local(port), &line, "localhost", 405)?;
            }
        }
    }
    Ok(())
}

/// A page in a browser can make its own name resolve to loopback, but not send another.
fn orders_need_a_name_of_loopback(own: Visitor<'_>) -> Result<()> {
    let hosts = [
        "evil.example",
        "localhost.evil.example:15000",
        "nginx.test",
        "127.0.0.1.evil.example",
    ];
    for path in ORDERS {
        let line = format!("POST {path}");
        for host in hosts {
            expect(own, local(ADMIN), &line, host, 403)?;
        }
        let absolute = format!("POST http://evil.example{path}");
        expect(own, local(ADMIN), &absolute, "localhost", 403)?;
    }
    expect(own, local(ADMIN), "GET /config_dump", "evil.example", 403)?;
    for host in [
        "localhost",
        "localhost:15000",
        "127.0.0.1:15000",
        "[::1]:15000",
    ] {
        expect(own, local(ADMIN), "POST /healthcheck/ok", host, 200)?;
    }
    Ok(())
}

fn dumps_hold_no_key(own: Visitor<'_>) -> Result<()> {
    for (path, word) in DUMPS {
        let text = expect(own, local(ADMIN), &format!("GET {path}"), "localhost", 200)?;
        ensure!(
            text.contains(word),
            "{path} tells nothing of {word}:\n{text}"
        );
        if let Some(key) = KEYS.iter().find(|key| text.contains(**key)) {
            bail!("{path} holds a private key: {key}…");
        }
    }
    Ok(())
}

/// Names come from outside: a browser that took a page for HTML would run what stands in them.
fn nothing_is_html(own: Visitor<'_>) -> Result<()> {
    let script = "/%3Cscript%3Ealert(1)%3C/script%3E";
    for port in [ADMIN, STATUS, HEALTH, PROMETHEUS] {
        for path in ["/", "/help", "/clusters", "/listeners", "/stats", script] {
            let outcome = own.ask(local(port), &format!("GET {path}"), &["Host: localhost"])?;
            let Outcome::Answered(_, text) = outcome else {
                bail!("{path} at {port}: {outcome}");
            };
            let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
            let head = head.to_ascii_lowercase();
            ensure!(
                (head.contains("content-type: text/plain")
                    || head.contains("content-type: application/json"))
                    && head.contains("x-content-type-options: nosniff")
                    && !body.contains("<script>"),
                "{path} at {port} could be read as HTML: {text}"
            );
        }
    }
    println!("no page is HTML, and none may be taken for it");
    Ok(())
}
