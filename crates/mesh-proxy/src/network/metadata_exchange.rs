//! Istio's metadata exchange on TCP: where both sides negotiated `istio-peer-exchange`, each sends one message in front
//! of its first byte that says which workload it is.
//!
//! On the wire: the magic number and the message's length, four bytes each, big-endian; then a protobuf `Any` that holds
//! a `Struct` (as Istio's proxy extension of the same name).

use prost::Message;
use prost_types::{Any, Struct, Value, value::Kind};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use crate::telemetry::record::Workload;

/// ALPN protocol under which the exchange takes place.
pub const PROTOCOL: &str = "istio-peer-exchange";
/// Type of the message, as an `Any` names it.
const STRUCT: &str = "type.googleapis.com/google.protobuf.Struct";
const MAGIC: u32 = 0x3D23_0467;
/// A longer message is not read.
const MAX_LENGTH: u32 = 64 * 1024;
/// How long the peer's message may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why an exchange failed; the connection is then closed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream failed.
    #[error("metadata exchange")]
    Io(#[from] io::Error),
    /// The peer's message does not begin with the magic number.
    #[error("metadata exchange: {0:#010x} is not the magic number")]
    Magic(u32),
    /// The peer's message is too long.
    #[error("metadata exchange: a message of {0} bytes is longer than {MAX_LENGTH}")]
    Length(u32),
    /// The peer's message can't be read.
    #[error("metadata exchange: the message is no Any of a Struct")]
    Decode(#[source] prost::DecodeError),
    /// The peer's message did not come.
    #[error("metadata exchange timed out")]
    Timeout,
}

/// Sends `ours`, made by [`encode`], and reads the peer's.
///
/// # Errors
/// If the stream fails, or the peer's message is broken or does not come.
pub async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    ours: &[u8],
) -> Result<Workload, Error> {
    stream.write_all(ours).await?;
    stream.flush().await?;
    timeout(PATIENCE, read(stream))
        .await
        .map_err(|_| Error::Timeout)?
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Workload, Error> {
    let magic = stream.read_u32().await?;
    if magic != MAGIC {
        return Err(Error::Magic(magic));
    }
    let length = stream.read_u32().await?;
    if length > MAX_LENGTH {
        return Err(Error::Length(length));
    }
    let mut message = vec![0; length as usize];
    stream.read_exact(&mut message).await?;
    let any = Any::decode(&message[..]).map_err(Error::Decode)?;
    Ok(workload(
        &Struct::decode(&any.value[..]).map_err(Error::Decode)?,
    ))
}

/// The message that says who we are.
pub fn encode(metadata: &Struct) -> Vec<u8> {
    let any = Any {
        type_url: STRUCT.into(),
        value: metadata.encode_to_vec(),
    };
    let mut message = Vec::with_capacity(8 + any.encoded_len());
    message.extend(MAGIC.to_be_bytes());
    // A node's metadata is a few hundred bytes; it can't reach the 4 GiB that the length could not say.
    message.extend((any.encoded_len() as u32).to_be_bytes());
    any.encode(&mut message).expect("a Vec grows");
    message
}

/// Our metadata in the form that peers read: the keys of Istio's node metadata.
pub fn metadata(workload: &Workload) -> Struct {
    let text = |text: &str| Value {
        kind: Some(Kind::StringValue(text.into())),
    };
    let fields = |pairs: &[(&str, &str)]| Struct {
        fields: pairs
            .iter()
            .filter(|(_, v)| !v.is_empty())
            .map(|(k, v)| ((*k).to_owned(), text(v)))
            .collect(),
    };
    let labels = fields(&[
        ("app", &workload.app),
        ("version", &workload.version),
        (
            mesh_model::annotation::CANONICAL_NAME,
            &workload.canonical_name,
        ),
        (
            mesh_model::annotation::CANONICAL_REVISION,
            &workload.canonical_revision,
        ),
    ]);
    let mut all = fields(&[
        ("NAME", &workload.name),
        ("WORKLOAD_NAME", &workload.name),
        ("NAMESPACE", &workload.namespace),
        ("CLUSTER_ID", &workload.cluster),
    ]);
    all.fields.insert(
        "LABELS".into(),
        Value {
            kind: Some(Kind::StructValue(labels)),
        },
    );
    all
}

/// The workload that a peer's metadata describes; what it does not say stays empty.
pub fn workload(metadata: &Struct) -> Workload {
    let text = |of: &Struct, key: &str| match of.fields.get(key).and_then(|v| v.kind.as_ref()) {
        Some(Kind::StringValue(text)) => Arc::from(text.as_str()),
        _ => Arc::<str>::default(),
    };
    let labels = match metadata.fields.get("LABELS").and_then(|v| v.kind.as_ref()) {
        Some(Kind::StructValue(labels)) => labels.clone(),
        _ => Struct::default(),
    };
    Workload {
        name: text(metadata, "WORKLOAD_NAME"),
        namespace: text(metadata, "NAMESPACE"),
        canonical_name: text(&labels, mesh_model::annotation::CANONICAL_NAME),
        canonical_revision: text(&labels, mesh_model::annotation::CANONICAL_REVISION),
        app: text(&labels, "app"),
        version: text(&labels, "version"),
        cluster: text(metadata, "CLUSTER_ID"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    fn nginx() -> Workload {
        let [name, namespace, app] = ["nginx", "test", "web"].map(Arc::from);
        Workload {
            canonical_name: Arc::clone(&name),
            name,
            namespace,
            app,
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn both_sides_learn_who_the_other_is() {
        let (mut a, mut b) = duplex(4096);
        let (ours, theirs) = (
            encode(&metadata(&nginx())),
            encode(&metadata(&Workload::default())),
        );
        let (at_a, at_b) = tokio::join!(exchange(&mut a, &ours), exchange(&mut b, &theirs));
        assert_eq!(at_a.expect("exchanged"), Workload::default());
        assert_eq!(at_b.expect("exchanged"), nginx());
    }

    #[tokio::test(start_paused = true)]
    async fn broken_messages_are_refused() {
        for (bytes, want) in [
            (&b"GET / HTTP/1.1\r\n"[..], "is not the magic number"),
            (&[0x3D, 0x23, 0x04, 0x67, 0xff, 0, 0, 0], "is longer than"),
            (
                &[0x3D, 0x23, 0x04, 0x67, 0, 0, 0, 2, 0xff, 0xff],
                "no Any of a Struct",
            ),
            (&[0x3D, 0x23], "timed out"),
        ] {
            let (mut a, mut b) = duplex(4096);
            a.write_all(bytes).await.expect("written");
            let error = exchange(&mut b, b"").await.expect_err("refused");
            assert!(error.to_string().contains(want), "{error}");
        }
    }

    /// Written out by hand from the protocol: magic, length, `Any{type_url, value}` of an empty `Struct`.
    #[test]
    fn the_wire_form() {
        let message = encode(&Struct::default());
        let url = b"type.googleapis.com/google.protobuf.Struct";
        let mut want = vec![
            0x3D,
            0x23,
            0x04,
            0x67,
            0,
            0,
            0,
            url.len() as u8 + 2,
            0x0a,
            url.len() as u8,
        ];
        want.extend_from_slice(url);
        assert_eq!(message, want);
    }
}
