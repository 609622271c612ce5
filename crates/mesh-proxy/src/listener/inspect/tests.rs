use super::*;
use mesh_model::listener::{ConnectionMatch, ListenerFilter};
use proptest::prelude::*;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::{future::pending, sync::Arc};
use tokio::{io::AsyncWriteExt, net::TcpListener};

fn listener(timeout: Duration, go_on: bool) -> Listener {
    let filter = |kind| ListenerFilter {
        kind,
        disabled: Some(ConnectionMatch::DestinationPort(15006..15007)),
    };
    Listener {
        use_original_dst: true,
        listener_filters: vec![
            filter(ListenerFilterKind::TlsInspector),
            filter(ListenerFilterKind::HttpInspector),
        ],
        listener_filters_timeout: timeout,
        continue_on_listener_filters_timeout: go_on,
        ..Listener::new("virtualInbound".into(), ([0, 0, 0, 0], 15006).into())
    }
}

fn hello_bytes(alpn: &[&str], server_name: &str) -> Vec<u8> {
    let mut config = ClientConfig::builder_with_provider(crate::tls::provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    let name = server_name.to_owned().try_into().expect("name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("client");
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).expect("hello");
    bytes
}

/// Both ends of a loopback connection: what the proxy accepted, and the client.
async fn pair() -> (TcpStream, TcpStream) {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let client = TcpStream::connect(server.local_addr().expect("address"));
    let (accepted, client) = tokio::join!(server.accept(), client);
    (accepted.expect("accepted").0, client.expect("connected"))
}

async fn inspect_bytes(
    bytes: &[u8],
    listener: &Listener,
    port: u16,
) -> Result<(Inspected, Bytes), Error> {
    let (mut accepted, mut client) = pair().await;
    client.write_all(bytes).await.expect("written");
    let destination = SocketAddr::new([10, 0, 0, 1].into(), port);
    inspect(
        &mut accepted,
        destination,
        "10.0.0.2:1".parse().expect("address"),
        listener,
        pending(),
    )
    .await
}

#[tokio::test]
async fn finds_tls_with_its_names_and_gives_every_byte_back() {
    let bytes = hello_bytes(&["istio-http/1.1", "istio"], "outbound_.80_._.Nginx.test");
    let (found, read) = inspect_bytes(&bytes, &listener(Duration::ZERO, true), 80)
        .await
        .expect("inspected");
    assert_eq!(found.transport, TransportProtocol::Tls);
    assert_eq!(
        found.server_name.as_deref(),
        Some("outbound_.80_._.nginx.test")
    );
    assert_eq!(found.application_protocols, ["istio-http/1.1", "istio"]);
    assert_eq!(read, bytes);
}

#[tokio::test]
async fn a_disabled_inspector_does_not_look() {
    let (found, read) = inspect_bytes(
        b"GET / HTTP/1.1\r\n",
        &listener(Duration::ZERO, true),
        15006,
    )
    .await
    .expect("ok");
    assert!(found.application_protocols.is_empty() && read.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_goes_on_as_opaque_or_is_closed() {
    const QUIET: Duration = Duration::from_secs(7);
    let (mut accepted, _client) = pair().await;
    let addresses = (
        "10.0.0.1:80".parse().expect("address"),
        "10.0.0.2:1".parse().expect("address"),
    );
    for (timeout, go_on, opaque, after) in [
        (0, true, true, QUIET),
        (0, false, true, QUIET),
        (100, true, true, Duration::from_millis(100)),
        (100, false, false, Duration::from_millis(100)),
        (20_000, false, true, QUIET),
    ] {
        let listener = listener(Duration::from_millis(timeout), go_on);
        let (start, quiet) = (Instant::now(), tokio::time::sleep(QUIET));
        let result = inspect(&mut accepted, addresses.0, addresses.1, &listener, quiet).await;
        assert_eq!(result.is_ok(), opaque, "{timeout} {go_on}");
        assert_eq!(start.elapsed().as_millis(), after.as_millis(), "{timeout}");
        if let Err(error) = result {
            assert!(matches!(error, Error::Timeout), "{error}");
        }
    }
}

/// What was said so far is waited for no longer than that, however patient the caller is with silence.
#[tokio::test(start_paused = true)]
async fn a_client_that_stops_in_the_middle_is_opaque() {
    let (mut accepted, mut client) = pair().await;
    client.write_all(b"GE").await.expect("written");
    let address = "10.0.0.1:80".parse().expect("address");
    let listener = listener(Duration::ZERO, true);
    let (start, quiet) = (Instant::now(), tokio::time::sleep(LONGEST_WAIT / 2));
    let (found, read) = inspect(&mut accepted, address, address, &listener, quiet)
        .await
        .expect("goes on");
    assert_eq!(
        (&read[..], found),
        (&b"GE"[..], Inspected::silent(address, address))
    );
    assert!(start.elapsed() >= LONGEST_WAIT, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_client_that_leaves_at_once_is_told_apart() {
    let (mut accepted, client) = pair().await;
    drop(client);
    let address = "10.0.0.1:80".parse().expect("address");
    let result = inspect(
        &mut accepted,
        address,
        address,
        &listener(Duration::ZERO, true),
        pending(),
    )
    .await;
    assert!(matches!(result, Err(Error::Closed)), "{result:?}");
}

proptest! {
    /// However the hello is cut, nothing is decided before it is whole, and then always the same.
    #[test]
    fn fragments_do_not_matter(cut in 0usize..600, alpn in prop::sample::select(vec!["h2", "istio-h2", "istio-peer-exchange"])) {
        let bytes = hello_bytes(&[alpn], "a.example.com");
        let cut = cut.min(bytes.len() - 1);
        prop_assert_eq!(hello::read(&bytes[..cut]), Hello::Incomplete);
        let Hello::Tls(found) = hello::read(&bytes) else { return Err(TestCaseError::fail("no hello")) };
        prop_assert_eq!(found.alpn, vec![alpn.to_owned()]);
    }

    /// No bytes make the inspectors panic.
    #[test]
    fn garbage_is_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), tls in any::<bool>()) {
        let mut bytes = bytes;
        if tls {
            bytes.splice(0..0, [22, 3, 1]);
        }
        let _ = hello::read(&bytes);
        let _ = request_line::read(&bytes);
    }
}
