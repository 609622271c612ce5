//! One resource, encoded once and shared by every connection that gets it.

use std::{
    fmt,
    hash::{Hash, Hasher},
    ops::Range,
    str::FromStr,
    sync::Arc,
};

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint};
use sha2::{Digest, Sha256};

use super::ResourceType;

/// The version of a resource: a hash of its content.
///
/// Equal content has equal versions in every replica and after every restart, so that a client that comes back with
/// what it holds is sent nothing twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(u64);

impl Version {
    /// The version of nothing: no resource has it, but for one chance in 2⁶⁴.
    pub(super) const NONE: Self = Self(0);

    /// The version of a resource with this payload.
    pub fn of(payload: &[u8]) -> Self {
        let digest = Sha256::digest(payload);
        Self(
            digest
                .iter()
                .take(8)
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Version {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// A resource ready for the wire. Cloning shares it; equality and hash are those of the name.
///
/// The bytes are those of `envoy.service.discovery.v3.Resource`, as the delta protocol sends it. The state-of-the-world
/// protocol sends the `Any` inside it, which is a part of the same bytes.
#[derive(Clone, Debug)]
pub struct SharedResource(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: Box<str>,
    version: Version,
    wire: Bytes,
    any: Range<usize>,
}

impl SharedResource {
    /// Encodes a resource: `payload` is the message of the type.
    pub fn new(kind: ResourceType, name: &str, payload: &[u8]) -> Self {
        Self::with_version(kind, name, Version::of(payload), payload)
    }

    /// As [`SharedResource::new`], with a version that is known already.
    pub(super) fn with_version(
        kind: ResourceType,
        name: &str,
        version: Version,
        payload: &[u8],
    ) -> Self {
        let any = encode_any(kind.type_url(), payload);
        let mut wire = BytesMut::with_capacity(any.len() + name.len() + 32);
        put_field(1, version.to_string().as_bytes(), &mut wire);
        put_field(2, &any, &mut wire);
        let end = wire.len();
        put_field(3, name.as_bytes(), &mut wire);
        Self(Arc::new(Inner {
            name: name.into(),
            version,
            wire: wire.freeze(),
            any: end - any.len()..end,
        }))
    }

    /// A name and a version that a client reported: no bytes.
    pub(super) fn reported(name: &str, version: Version) -> Self {
        Self(Arc::new(Inner {
            name: name.into(),
            version,
            wire: Bytes::new(),
            any: 0..0,
        }))
    }

    /// The name, unique in its type.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// The encoded `envoy.service.discovery.v3.Resource`.
    pub fn wire(&self) -> Bytes {
        self.0.wire.clone()
    }

    /// The encoded `google.protobuf.Any` inside it.
    pub fn any(&self) -> Bytes {
        self.0.wire.slice(self.0.any.clone())
    }

    /// The size on the wire, in bytes, framing included.
    pub fn wire_len(&self) -> usize {
        // One byte of key and at most five of length stand before each resource of a response.
        self.0.wire.len() + 6
    }

    /// Whether both are one allocation.
    pub(super) fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn has_bytes(&self) -> bool {
        !self.0.wire.is_empty()
    }
}

impl PartialEq for SharedResource {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for SharedResource {}

impl Hash for SharedResource {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

fn encode_any(type_url: &str, payload: &[u8]) -> BytesMut {
    let mut any = BytesMut::with_capacity(type_url.len() + payload.len() + 16);
    put_field(1, type_url.as_bytes(), &mut any);
    put_field(2, payload, &mut any);
    any
}

/// Writes a length-delimited field, which proto3 leaves out when it is empty.
fn put_field(tag: u32, content: &[u8], out: &mut BytesMut) {
    if content.is_empty() {
        return;
    }
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(content.len() as u64, out);
    out.put_slice(content);
}
