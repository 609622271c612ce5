//! Messages as JSON, and the memory that takes.
//!
//! The descriptors are megabytes, wanted for moments: they are loaded for one page and given back after it, to the
//! operating system too, which the allocator would otherwise do only when it is next short.

use super::reply::Reply;
use crate::memory;
use http::StatusCode;
use mesh_xds::json::{Pool, PrintError, Style};
use prost::{Message, Name};
use serde_json::Value;

/// The descriptors, for as long as a page is written. To be dropped on the thread that loaded them.
pub(super) struct Descriptors(Option<Pool>);

impl Descriptors {
    /// Loads them: tens of milliseconds of CPU.
    pub(super) fn load() -> Self {
        Self(Some(Pool::load()))
    }

    /// A message by its full name, in Envoy's style.
    pub(super) fn print(&self, full_name: &str, bytes: &[u8]) -> Result<Value, PrintError> {
        match &self.0 {
            Some(pool) => pool.print(full_name, bytes, Style::Envoy),
            None => Err(PrintError::UnknownType(full_name.to_owned())),
        }
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        self.0 = None;
        memory::give_back();
    }
}

/// The page that is one message.
pub(super) fn page<M: Message + Name>(message: &M) -> Reply {
    page_with(message, |_| {})
}

/// The same, with a change.
pub(super) fn page_with<M: Message + Name>(message: &M, change: impl FnOnce(&mut Value)) -> Reply {
    let printed = Descriptors::load().print(&M::full_name(), &message.encode_to_vec());
    match printed {
        Ok(mut json) => {
            change(&mut json);
            Reply::json(&json)
        }
        Err(error) => Reply::refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
