//! The admission webhook: the server of the program `mesh-injector`.
//!
//! ```text
//! tls ─▶ http ─▶ path ─▶ review ─▶ the pipeline of this crate ─▶ a JSON patch
//!  ▲               ▲
//!  certificate     live     ◀─ files (ConfigMaps), nodes (which kubelets run native sidecars)
//!  ▲
//!  authority, roots ─▶ registration (the caBundle of our own webhook configuration)
//! ```
//!
//! A review is answered from memory: nothing that it needs is asked for while the API server waits.

pub mod app; // wiring
pub mod authority; // a certificate from the mesh's authority
pub mod certificate; // the certificate that port 15017 shows
pub mod config; // settings of the process
pub mod http; // requests and their limits
pub mod live; // the settings of injection, as they are now
pub mod metrics; // what is counted
pub mod nodes; // whether kubelets run native sidecars
pub mod path; // what the path of the webhook's URL says
pub mod places; // how many connections there may be
pub mod registration; // the caBundle of our webhook configuration
pub mod review; // one AdmissionReview
pub mod roots; // what the API server should trust
pub mod tls; // connections
pub mod trust; // what a bundle of roots trusts
