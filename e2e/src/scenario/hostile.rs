//! What comes from outside and is no traffic of ours: garbage, half-open connections, huge headers, strangers'
//! certificates. Each is refused in words or by a close, counted, and forgotten: memory and descriptors go back.

use super::footprint::Footprint;
use crate::{
    netns::{Programs, container::User},
    stage::{CLIENT, SERVER, SERVER_ADDRESS, Stage},
    stranger::{ask, leaf},
};
use anyhow::{Context, Result, bail, ensure};
use mesh_model::port;
use rcgen::{CertificateParams, Issuer, KeyPair};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

/// Connections of each kind.
const EACH: usize = 100;
/// How long a refusal may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long memory and descriptors may take to go back.
const RECOVERY: Duration = Duration::from_secs(10);

/// Plays it.
pub(crate) fn play() -> Result<()> {
    let stage = Stage::set(&Programs::beside_us()?, &|text| println!("{text}"))?;
    // So many that each worker has its connections to the application and from the client; and a little of everything
    // that follows, so that what is made once, at first use, is not taken for a leak.
    (0..40).try_for_each(|_| serves(&stage)).context("before")?;
    attack(&stage, 4)?;
    std::thread::sleep(Duration::from_secs(3));
    let before = Footprint::of(&stage, SERVER)?;
    println!("before: {before:?}");
    attack(&stage, EACH)?;
    (0..40)
        .try_for_each(|_| serves(&stage))
        .context("afterwards")?;
    forgotten(&stage, &before)
}

fn attack(stage: &Stage, each: usize) -> Result<()> {
    let inbound = SocketAddr::from((SERVER_ADDRESS, 80));
    garbage(inbound, each)?;
    garbage((SERVER_ADDRESS, port::INBOUND).into(), each)?;
    garbage((stage.pod(CLIENT)?.address, port::OUTBOUND).into(), each)?;
    half_open(inbound, each)?;
    huge_header(inbound)?;
    strangers(stage, inbound)
}

/// The client is served.
pub(super) fn serves(stage: &Stage) -> Result<()> {
    let mut curl = Command::new("curl");
    curl.args([
        "-sS",
        "--max-time",
        "5",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "http://nginx.test",
    ]);
    let status = stage.in_pod(CLIENT, User::APPLICATION, &mut curl)?;
    ensure!(status == "200", "a good request is answered with {status}");
    Ok(())
}

/// Random bytes, some of which begin like TLS or like HTTP. The connection must end, whatever it is taken for.
fn garbage(at: SocketAddr, each: usize) -> Result<()> {
    for number in 0..each {
        let mut bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
            .take(512)
            .collect();
        let start: &[u8] = [
            &b"\x16\x03\x01\x02\x00"[..],
            b"GET ",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"",
        ][number % 4];
        bytes.splice(0..start.len(), start.iter().copied());
        let mut stream =
            TcpStream::connect_timeout(&at, PATIENCE).with_context(|| at.to_string())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // It may be refused before all of it is written.
        let _ = stream
            .write_all(&bytes)
            .and_then(|()| stream.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        match stream.take(1 << 20).read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => bail!("garbage to {at} is not refused within {PATIENCE:?}: {error}"),
        }
    }
    println!("{each} × garbage to {at}: refused");
    Ok(())
}

/// Connections that begin something and stay silent, then leave.
fn half_open(at: SocketAddr, each: usize) -> Result<()> {
    let mut open = Vec::new();
    for number in 0..each {
        let mut stream = TcpStream::connect_timeout(&at, PATIENCE)?;
        stream.write_all(
            [
                &b""[..],
                b"GET / HT",
                b"\x16\x03\x01\x02",
                b"POST / HTTP/1.1\r\nHost: a\r\n",
            ][number % 4],
        )?;
        open.push(stream);
    }
    std::thread::sleep(Duration::from_secs(1));
    drop(open);
    println!("{each} × half-open to {at}");
    Ok(())
}

/// More header than any budget allows: refused in words, without being read to its end.
fn huge_header(at: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&at, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: nginx.test\r\nx-huge: {}\r\n\r\n",
        "a".repeat(1 << 20)
    );
    // It may be refused before all of it is written.
    let _ = stream.write_all(request.as_bytes());
    let mut status = [0; 12];
    stream.read_exact(&mut status).context("no answer")?;
    ensure!(
        &status == b"HTTP/1.1 431",
        "a header of 1 MiB is answered with {}",
        status.escape_ascii()
    );
    println!("a header of 1 MiB: 431");
    Ok(())
}

/// Certificates that the server's proxy must not take.
fn strangers(stage: &Stage, at: SocketAddr) -> Result<()> {
    let ours = authority(stage)?;
    let theirs = KeyPair::generate()?;
    let theirs = Issuer::new(CertificateParams::default(), theirs);
    let now = jiff::Timestamp::now();
    let good = "spiffe://cluster.local/ns/test/sa/default";
    let refused = [
        ("of an unknown authority", leaf(&theirs, good, now)?),
        (
            "of another trust domain",
            leaf(&ours, "spiffe://elsewhere/ns/test/sa/default", now)?,
        ),
        (
            "that has expired",
            leaf(&ours, good, now - jiff::SignedDuration::from_hours(48))?,
        ),
    ];
    for (what, identity) in refused {
        let before = refusals(stage)?;
        let error = ask(at, Some(identity))
            .err()
            .with_context(|| format!("a certificate {what} is taken"))?;
        counted(stage, before).with_context(|| format!("a certificate {what}"))?;
        println!("a certificate {what}: {error:#}");
    }
    let before = refusals(stage)?;
    let error = ask(at, None)
        .err()
        .context("a client without a certificate is taken")?;
    counted(stage, before).context("a client without a certificate")?;
    println!("no certificate: {error:#}");
    let identity = leaf(&ours, good, now)?;
    ask(at, Some(identity)).context("a good certificate is refused")?;
    println!("a good certificate: taken");
    Ok(())
}

fn authority(stage: &Stage) -> Result<Issuer<'static, KeyPair>> {
    let folder = stage.launcher.ca_folder();
    let key = KeyPair::from_pem(&fs::read_to_string(folder.join("ca-key.pem"))?)?;
    let certificate = fs::read_to_string(folder.join("ca-cert.pem"))?;
    Ok(Issuer::from_ca_cert_pem(&certificate, key)?)
}

/// TLS handshakes that the server's proxy has refused.
fn refusals(stage: &Stage) -> Result<u64> {
    let mut curl = Command::new("curl");
    let url = format!(
        "http://127.0.0.1:{}/stats?filter=ssl_connection_error",
        port::ADMIN
    );
    let text = stage.in_pod(
        SERVER,
        User::APPLICATION,
        curl.args(["-sS", "--max-time", "5", &url]),
    )?;
    let value = text
        .lines()
        .find_map(|line| line.split_once(": ")?.1.trim().parse().ok());
    value.with_context(|| format!("no counter ssl_connection_error: {text}"))
}

fn counted(stage: &Stage, before: u64) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while refusals(stage)? == before {
        ensure!(Instant::now() < deadline, "the refusal is not counted");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn forgotten(stage: &Stage, before: &Footprint) -> Result<()> {
    let deadline = Instant::now() + RECOVERY;
    loop {
        let now = Footprint::of(stage, SERVER)?;
        if now.is_back(before) {
            println!("afterwards: {now:?}");
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "not forgotten after {RECOVERY:?}: {now:?}, before {before:?}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}
