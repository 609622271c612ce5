//! Sidecar injection: a pod comes in, the same pod with its proxy goes out.
//!
//! ```text
//! selection   would the API server call the webhook for this pod?     (labels of namespace and pod)
//! decision    does the pod get a proxy, and why or why not?
//! annotations what the pod's annotations ask for, all errors at once
//! strip       what an earlier injection added is taken out again
//! overrides   the user's own fields of injected containers are set aside
//! template    istio-init, istio-proxy, their volumes and environment
//! custom      the templates of the mesh's owner, for Go's templates (gotemplate)
//! layers      which templates a pod gets, laid over it in their order (merge)
//! placement   where the containers go: classic, proxy first, native sidecar
//! rewrite     the application's probes and metrics, now served through the agent
//! pre_stop    servers end a moment after their endpoints are taken away
//! ```
//!
//! [`inject()`] is that pipeline for one pod; [`kube_inject()`] runs it over the workloads of a manifest. All of that
//! is pure: no cluster is asked, no file is read. The webhook, `meshctl kube-inject` and the demo all call it, so that
//! what is tested here is what pods get. Only [`webhook`], the server of the program `mesh-injector`, touches the world.
//!
//! A pod is edited as JSON, never rebuilt from its type: fields that this version does not know survive.

mod annotations;
mod check;
mod custom;
mod decision;

mod gotemplate;
mod inject;
mod invalid;
mod json;
mod kube_inject;
mod layers;
mod metadata;
mod merge;
mod metrics;
mod namespace;
mod node;
mod overrides;
mod placement;
mod pre_stop;
mod probes;
mod quantity;
mod selection;
mod selector;
mod settings;
mod status;
mod strip;
mod template;
pub mod webhook;
mod workload;

pub use custom::Templates;
pub use decision::{Decision, Skip, Why, decide};
pub use inject::{Injected, Outcome, inject, inject_json};
pub use invalid::{Invalid, Problem};
pub use kube_inject::{KubeInjected, Refused, kube_inject};
pub use namespace::NamespaceFacts;
pub use selection::{Entry, IGNORED_NAMESPACES, NotSelected, select};
pub use settings::{
    Capture, Images, Policy, ProxyContainer, ProxyUser, Readiness, Resources, Settings, Texts,
    Unreadable,
};
pub use status::SidecarStatus;
pub use workload::Workload;
