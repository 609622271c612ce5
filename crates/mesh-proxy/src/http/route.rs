//! Which route a request takes: virtual host by name, then the first route that matches.
//!
//! Tables are compiled when they arrive and published under their name; what a request needs of a route (slots,
//! header values, durations) is prepared here, once. Matching sees only the canonical host and path, decided before.

mod hash;
mod host;
mod internal_redirect;
mod matches;
mod mirror;
mod overrides;
mod path;
mod redirect;
mod rewrite;
mod table;
mod target;

pub(crate) use host::without_port;
pub(crate) use internal_redirect::{Followed, InternalRedirects, Step, becomes_get};
pub(crate) use matches::Matches;
pub(crate) use mirror::Mirror;
pub(crate) use overrides::{Override, Overrides};
pub use redirect::Redirect;
pub(in crate::http) use redirect::{is_https, same_place};
pub use table::{Action, DirectResponse, Forward, Route, RouteTable, VirtualHost};

#[cfg(test)]
pub(crate) use table::tests;

use crate::{
    slot::{Slot, Slots},
    telemetry::substitution::InvalidFormat,
    upstream::Clusters,
};
use mesh_model::{RouteName, route::RouteConfiguration};
use std::sync::Arc;

/// The slot of a route table, as connection managers hold it.
pub type RouteSlot = Slot<RouteName, RouteTable>;

/// All route tables of route discovery.
#[derive(Debug, Default)]
pub struct Routes {
    slots: Slots<RouteName, RouteTable>,
}

impl Routes {
    /// The slot of that name: empty until the table comes.
    pub fn slot(&self, name: &RouteName) -> Arc<RouteSlot> {
        self.slots.slot(name)
    }

    /// Puts a table in force. The next request uses it, on connections that are open too.
    ///
    /// # Errors
    /// If the value of a header has an operator that is not understood; then the table in force stays.
    pub fn apply(
        &self,
        configuration: &RouteConfiguration,
        clusters: &Clusters,
    ) -> Result<(), InvalidFormat> {
        let table = RouteTable::compile(configuration, clusters)?;
        self.slot(&configuration.name).set(Some(Arc::new(table)));
        Ok(())
    }

    /// Takes a table away.
    pub fn remove(&self, name: &RouteName) {
        self.slot(name).set(None);
    }
}
