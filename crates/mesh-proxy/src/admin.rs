//! Beside the path: what shows the proxy to people, tools and kubelets, and takes their few orders.
//!
//! Four sockets, one accept loop: the admin interface that Envoy has and `meshctl` reads, the agent's port, readiness
//! alone, and metrics alone. All of them take what they tell from one [`Facts`]. Nothing here is on the path of a
//! connection, and nothing here holds a lock that the path takes: pages are written on threads of their own, piece by
//! piece, so that a large one costs neither traffic nor memory.

pub mod facts; //       what there is to tell, and where it comes from
pub mod application; // the application's own probes and metrics
pub mod readiness; //   whether the proxy can serve, and if not, why

mod descriptor;
mod endpoint; //        the table of the admin interface
mod guard; //           who may ask
mod query; //           what was asked for
mod reply; //           what is answered
mod server; //          connections, few and not for ever
mod surface; //         which socket offers what //      messages as JSON, and the memory that takes

mod bootstrap; //       what the proxy started with, in Envoy's words
mod certs; //           /certs
mod clusters; //        /clusters
mod config_dump; //     /config_dump
mod ignored; //         /ignored
mod lifecycle; //       /ready, /healthcheck, /drain_listeners, /quitquitquit
mod listeners; //       /listeners
mod logging; //         /logging
mod names; //           /debug/ndsz
mod server_info; //     /server_info, /memory, /runtime, /hot_restart_version
pub(crate) mod scrape; // metrics of the pod, all in one
mod stats; //           /stats

pub use application::Application;
pub use facts::Facts;
pub use server::serve;
pub use surface::Surface;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
