//! Runs the mesh: where there is no Kubernetes, in pods that are network namespaces; and on a real Kubernetes.
//!
//! ```text
//! sandbox   a set of namespaces of our own, gone with our process
//! netns     pods in it: bridge, addresses, containers, tokens, what an API server and a kubelet would do
//! echo      the application that answers with what it was asked
//! client    a client of it that is strict about what comes back
//! load      an open-loop client that knows what it sent
//! ledger    what servers have seen of it
//! stranger  a client with a certificate of its choice
//! stage     the cluster that demo and scenarios play on
//! demo      the mesh's main job, shown step by step from live state
//! envoy     a plain Envoy as a pod's sidecar
//! bench     the proxy beside an Envoy that does the same job
//! differential  both asked the same, and what differs
//! scenario  what must hold when something goes wrong
//!
//! image     container images, packed without a container engine
//! node      a real Kubernetes of one node, in a sandbox
//! kubectl   what a person does to a cluster
//! cluster   a Kubernetes, whoever provides it
//! play      scenarios on a cluster
//! ```

mod bench;
mod client;
mod cluster;
mod demo;
mod differential;
mod echo;
mod envoy;
mod image;
mod kubectl;
mod ledger;
mod load;
mod netns;
mod node;
mod play;
mod sandbox;
mod scenario;
mod stage;
mod stranger;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "mesh-e2e", version, about)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the mesh's main job, step by step.
    Demo(demo::Options),
    /// Answer HTTP requests with what was asked (the demo's application).
    Echo(echo::Options),
    /// Talk to the echo app in one of several protocols, and judge what comes back.
    Client(client::Options),
    /// Send an open-loop load and report what became of it.
    Load(load::Options),
    /// Measure the proxy beside an Envoy that does the same job.
    Bench(bench::Options),
    /// Ask a real Envoy and the proxy the same, and tell what differs.
    Differential(differential::Options),
    /// Play a scenario in a sandbox and judge it.
    Scenario(scenario::Options),
    /// Play scenarios on a cluster.
    Play(play::Options),
    /// Pack the mesh's image into an archive.
    Image(image::Options),
    /// Hold a pod's namespaces (used by the launcher).
    #[command(hide = true)]
    Hold(netns::hold::Options),
}

fn main() -> ExitCode {
    match run(Command::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Demo(options) => sandbox::enter(|| demo::run(options)),
        Verb::Echo(options) => echo::run(options),
        Verb::Client(options) => client::run(options),
        Verb::Load(options) => load::run(options),
        Verb::Bench(options) => sandbox::enter(|| bench::run(options)),
        Verb::Differential(options) => differential::run(&options),
        Verb::Scenario(options) => sandbox::enter(|| scenario::run(options)),
        Verb::Play(options) => play::run(options),
        Verb::Image(options) => image::run(options),
        Verb::Hold(options) => netns::hold::run(options),
    }
}
