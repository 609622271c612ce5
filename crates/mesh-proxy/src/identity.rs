//! Beside the path: who the workload is, and how it proves that.
//!
//! A token of the service account buys a certificate for a fresh key; both are renewed long before they expire. The key
//! is made here and leaves the process only over a Unix socket of the pod, where another data plane asks for it. While
//! renewal fails, what is in force stays in force; nothing falls back to plaintext.

pub mod backoff; // when to try again
pub mod control_plane; // the way there, as the settings name it
pub mod clock; // the wall clock, which may jump
pub mod own; // the certificate in force, for the control plane
pub mod renewal; // a certificate, and the next one in time
pub mod sds; // for other data planes of the pod
pub mod signing; // token and key → certificate

mod roots; // the roots of the mesh, from wherever they are known

pub use backoff::Backoff;
pub use clock::Clock;
pub use control_plane::{ControlPlane, control_plane};
pub use own::Own;
pub use renewal::{Renewal, Status};

#[cfg(test)]
pub(crate) mod fake_ca;
#[cfg(test)]
pub(crate) mod tests;
