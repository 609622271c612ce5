//! Strangers who come to a capture port, and name a third party: a proxy that asks the name would carry their traffic
//! anywhere. The third party here is a listener that counts who comes, and is a Service that the proxies know.

use super::{loops, visitor::Visitor};
use crate::{
    netns::bridge::GATEWAY,
    stage::{CLIENT, SERVER_ADDRESS, Stage},
};
use anyhow::{Result, ensure};
use mesh_model::{
    annotation::SLICE_SERVICE_NAME,
    port::{INBOUND, OUTBOUND},
};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

/// Address of the third party's Service.
const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 57, 160);
const NAME: &str = "third.default.svc.cluster.local";
/// How long the control plane's news may take to reach a proxy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Plays it.
pub(super) fn play(stage: &mut Stage) -> Result<()> {
    let third = Third::start()?;
    third.announce(stage)?;
    let client = Visitor::In(stage.pod(CLIENT)?);
    third.is_reached_by_its_address(client)?;

    let (before, footprints) = (third.visits(), loops::footprints(stage)?);
    let at = third.address.to_string();
    let requests = [
        ("GET /".to_owned(), NAME),
        ("GET /".to_owned(), "third.default"),
        ("GET /".to_owned(), at.as_str()),
        (format!("GET http://{NAME}/"), NAME),
        (format!("GET http://{at}/"), at.as_str()),
        (format!("GET http://{at}/"), "nginx.test"),
        (format!("CONNECT {at}"), at.as_str()),
    ];
    for (line, host) in &requests {
        let host = format!("Host: {host}");
        for visitor in [Visitor::Outside, client] {
            for port in [OUTBOUND, INBOUND] {
                let to = (SERVER_ADDRESS, port).into();
                let outcome = visitor.ask(to, line, &[&host])?;
                ensure!(
                    outcome.is_refusal(),
                    "{visitor} to {to}, {line}, {host}: {outcome}"
                );
            }
        }
        // At the application's own port it is the application that answers, whatever the name.
        let outcome = Visitor::Outside.ask((SERVER_ADDRESS, 80).into(), line, &[&host])?;
        println!("{line}, {host}: refused by the capture ports, {outcome} at port 80");
    }
    thread::sleep(Duration::from_secs(1));
    let visits = third.visits() - before;
    ensure!(
        visits == 0,
        "the third party was reached {visits} times through capture ports"
    );
    loops::settled(stage, &footprints)
}

/// Whoever should not be reached.
struct Third {
    address: SocketAddr,
    visits: Arc<AtomicU32>,
}

impl Third {
    /// Listens until our process ends.
    fn start() -> Result<Self> {
        let listener = TcpListener::bind((GATEWAY, 0))?;
        let (address, visits) = (listener.local_addr()?, Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&visits);
        thread::Builder::new().name("third".into()).spawn(move || {
            for mut stream in listener.incoming().flatten() {
                counted.fetch_add(1, SeqCst);
                let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                );
            }
        })?;
        Ok(Self { address, visits })
    }

    fn visits(&self) -> u32 {
        self.visits.load(SeqCst)
    }

    fn announce(&self, stage: &mut Stage) -> Result<()> {
        let port = self.address.port();
        stage.launcher.service(
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": "third", "namespace": "default"},
                "spec": {"ports": [{"port": 80, "name": "http", "targetPort": port}]},
            }),
            SERVICE,
        )?;
        stage.launcher.object(&json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "third-0", "namespace": "default", "labels": {SLICE_SERVICE_NAME: "third"}},
            "addressType": "IPv4", "ports": [{"port": port, "name": "http", "protocol": "TCP"}],
            "endpoints": [{"addresses": [GATEWAY.to_string()], "conditions": {"ready": true}}],
        }))
    }

    /// Else it would prove nothing that nobody reaches it otherwise.
    fn is_reached_by_its_address(&self, client: Visitor<'_>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let host = format!("Host: {NAME}");
        loop {
            // Until its proxy knows the Service, the connection leads to an address that nobody has.
            let outcome = client.ask((SERVICE, 80).into(), "GET /", &[&host]);
            let served = matches!(&outcome, Ok(outcome) if outcome.status() == Some(200));
            if served && self.visits() > 0 {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the third party's Service is not served: {outcome:?}"
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}
