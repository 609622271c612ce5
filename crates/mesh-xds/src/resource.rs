//! What xDS delivers, and the contract that each resource keeps.
//!
//! A resource is a value of `mesh-model`; this crate only gives it its form on the wire. The files beside this one
//! implement [`Resource`], one for each type. What decodes is executable: a message with anything in it that the model
//! cannot say is refused, or the part is listed as ignored, never dropped in silence.

use bytes::Bytes;

pub use crate::ads::ResourceType;
pub use crate::decode::{FieldError, Ignored, Invalid};

/// A value that xDS delivers under a name.
pub trait Resource: Sized {
    /// Its type.
    const KIND: ResourceType;
    /// Type URL of its message.
    const TYPE_URL: &'static str = Self::KIND.type_url();

    /// The name under which it is asked for.
    fn name(&self) -> &str;

    /// The protobuf bytes of its message (without the `Any` around it). Equal values give equal bytes.
    fn encode(&self) -> Bytes;

    /// The value of a message.
    ///
    /// # Errors
    /// If the bytes are no such message, or it says anything that we neither execute nor may leave out; all places at
    /// once, where they can be told apart.
    fn decode(bytes: &[u8]) -> Result<Decoded<Self>, Invalid>;
}

/// A decoded resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<T> {
    /// The resource.
    pub value: T,
    /// What its message says beyond that and which is safe to leave out.
    pub ignored: Vec<Ignored>,
}
