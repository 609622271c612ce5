//! Scenarios: what must hold when something goes wrong, played in a sandbox.

mod clock; //   a sidecar whose clock is wrong
mod ends; //    the containers of a pod end, in any order
mod envoy; //   a plain Envoy as a sidecar
mod exposure; // what a pod's proxy shows to whom, and where it leads
mod footprint; // what a proxy holds
mod hostile; // what comes from outside and is no traffic of ours
mod loss; //    nothing is lost, nothing arrives twice
mod names; //   DNS of a pod
mod outage; //  the control plane is down
mod protocols; // each protocol in each direction

use anyhow::Result;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Which.
    #[arg(value_enum)]
    scenario: Scenario,
    /// The long form, as run by hand, instead of the short one.
    #[arg(long)]
    long: bool,
    /// Requests each second, where there is a load.
    #[arg(long, default_value_t = 500)]
    rate: u32,
}

/// All scenarios.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// A server is replaced and the control plane restarted under load: nothing fails, nothing arrives twice.
    Loss,
    /// A sidecar whose clock is two minutes wrong serves; one that is wrong by more than a day says that it is the time.
    Clock,
    /// The containers of a pod end in each order under load: nothing fails, and it can ask others until it is gone.
    Ends,
    /// A plain Envoy as the sidecar of a third pod: it takes all that is served, and speaks mutual TLS with ours.
    Envoy,
    /// Self-calls end, the proxy is no relay, orders and dumps are the pod's own, policy holds for the proxy's user too.
    Exposure,
    /// Garbage, half-open connections, huge headers and strangers' certificates: refused, counted, and forgotten.
    Hostile,
    /// Where DNS is captured, names of the mesh are answered by the sidecar, others by the pod's name server.
    Names,
    /// With the control plane down running pods serve, and a new one waits and says why.
    Outage,
    /// HTTP/1.1, HTTP/2, gRPC, WebSocket and TCP between mesh-proxy, a plain Envoy and a client without a sidecar.
    Protocols,
}

/// Plays a scenario.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    match options.scenario {
        Scenario::Loss => loss::play(options.long, options.rate)?,
        Scenario::Clock => clock::play()?,
        Scenario::Ends => ends::play(options.rate)?,
        Scenario::Envoy => envoy::play()?,
        Scenario::Exposure => exposure::play()?,
        Scenario::Hostile => hostile::play()?,
        Scenario::Names => names::play()?,
        Scenario::Outage => outage::play()?,
        Scenario::Protocols => protocols::play()?,
    }
    Ok(ExitCode::SUCCESS)
}
