//! Plays scenarios on a cluster, whoever provides it, and says how each went.

mod netns; //   where there is no Kubernetes
mod pod; //     a pod as its node sees it
mod smoke; //   the cluster itself works
mod rules; //   the mesh's image lays the rules of a pod
mod outage; //  the API server is down
mod mesh; //    the mesh, installed
mod session; // the article's session
mod traffic; // a load, and servers that write down what arrives
mod rollout; // servers and control plane are replaced under load
mod wire; //    what is on the wire
mod encryption; // mutual TLS, and who is refused
mod lives; //   Jobs, init containers, StatefulSets
mod webhook; // the injector is away
mod certificates; // short lives, and a change of roots
mod readme; //  the README's quick start

use crate::{
    cluster::{Cluster, Kind, Named},
    netns::Programs,
    node::{Node, Parts},
    sandbox,
};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Who provides the cluster.
    #[arg(long, value_enum)]
    provider: Provider,
    /// Leave the cluster as it is after the scenarios, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// The long forms of the scenarios, as run by hand.
    #[arg(long)]
    long: bool,
    /// Folder of the binaries of Kubernetes (provider `node`).
    #[arg(long)]
    parts: Option<PathBuf>,
    /// The cluster to play on (provider `kubeconfig`); else the one that kubectl finds.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Where our images have been pushed: a registry and a path (provider `kubeconfig`).
    #[arg(long)]
    images: Option<String>,
    /// Scenarios whose names, or numbers of failure modes such as `f16`, contain this; `none` plays none.
    filter: Option<String>,
}

/// Who provides the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Provider {
    /// A real Kubernetes of one node on this machine.
    Node,
    /// A cluster made by kind.
    Kind,
    /// Any cluster that the caller names.
    Kubeconfig,
    /// Pods in network namespaces, without Kubernetes.
    Netns,
}

/// What is played.
struct Scenario {
    name: &'static str,
    /// The failure modes that it is about, by their numbers, separated by blanks; a filter may name one.
    rows: &'static str,
    /// Whether it can be played only where the node is ours alone.
    own_node: bool,
    play: fn(&dyn Cluster, &Form) -> Result<()>,
}

/// How it is played.
struct Form {
    /// As run by hand, rather than in CI.
    long: bool,
}

const ALL: &[Scenario] = &[
    Scenario {
        name: "smoke",
        rows: "",
        own_node: false,
        play: smoke::play,
    },
    Scenario {
        name: "rules",
        rows: "",
        own_node: false,
        play: rules::play,
    },
    Scenario {
        name: "api-outage",
        rows: "",
        own_node: true,
        play: outage::play,
    },
    Scenario {
        name: "session",
        rows: "",
        own_node: false,
        play: session::play,
    },
    Scenario {
        name: "readme",
        rows: "",
        own_node: false,
        play: readme::play,
    },
    Scenario {
        name: "rollout",
        rows: "f08 f14",
        own_node: true,
        play: rollout::play,
    },
    Scenario {
        name: "encryption",
        rows: "",
        own_node: false,
        play: encryption::play,
    },
    Scenario {
        name: "lives",
        rows: "f48",
        own_node: false,
        play: lives::play,
    },
    Scenario {
        name: "webhook",
        rows: "f20",
        own_node: false,
        play: webhook::play,
    },
    Scenario {
        name: "certificates",
        rows: "f16 f17",
        own_node: true,
        play: certificates::play,
    },
];

/// Plays what was asked for.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let say = |text: &str| println!("  {text}");
    if options.provider != Provider::Netns {
        // Before anything is started for it.
        chosen(options.filter.as_deref())?;
    }
    match options.provider {
        Provider::Netns => netns::play(options.filter.as_deref(), options.long),
        Provider::Node => sandbox::enter(|| {
            let parts = options.parts.as_deref().context("--parts is needed")?;
            let programs = Programs::beside_us()?;
            let start = Instant::now();
            println!("a Kubernetes of one node");
            let node = Node::start(Parts::find(parts)?, &programs.0, &say)?;
            println!("ready in {:.1} s", start.elapsed().as_secs_f32());
            on(&node, &options)
        }),
        Provider::Kind => {
            println!("a cluster made by kind");
            on(
                &Kind::create(&Programs::beside_us()?.0, options.keep, &say)?,
                &options,
            )
        }
        Provider::Kubeconfig => {
            let named = Named::new(options.kubeconfig.clone(), options.images.clone())?;
            on(&named, &options)
        }
    }
}

fn on(cluster: &dyn Cluster, options: &Options) -> Result<ExitCode> {
    let form = Form { long: options.long };
    let mut failed = false;
    for scenario in chosen(options.filter.as_deref())? {
        println!("== {}", scenario.name);
        if scenario.own_node && cluster.on_node("true").is_none() {
            println!(
                "skipped  {}: the nodes of this cluster are not ours",
                scenario.name
            );
            continue;
        }
        let start = Instant::now();
        let went = (scenario.play)(cluster, &form);
        let seconds = start.elapsed().as_secs_f32();
        match went {
            Ok(()) => println!("passed   {} ({seconds:.1} s)", scenario.name),
            Err(error) => {
                failed = true;
                println!("FAILED   {} ({seconds:.1} s): {error:#}", scenario.name);
            }
        }
    }
    if failed && let Some(logs) = cluster.logs() {
        println!("logs are kept in {}", save(&logs)?.display());
    }
    if options.keep {
        keep(cluster, options.provider == Provider::Node)?;
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Copies the logs beside this program, where they outlive the cluster; those of an earlier run go.
fn save(logs: &Path) -> Result<PathBuf> {
    let place = std::env::current_exe()?.with_file_name("e2e-logs");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).with_context(|| place.display().to_string())?;
    for entry in fs::read_dir(logs)? {
        let entry = entry?;
        fs::copy(entry.path(), place.join(entry.file_name()))?;
    }
    Ok(place)
}

fn chosen(filter: Option<&str>) -> Result<Vec<&'static Scenario>> {
    let filter = filter.unwrap_or_default();
    let chosen: Vec<_> = ALL
        .iter()
        .filter(|scenario| scenario.name.contains(filter) || scenario.rows.contains(filter))
        .collect();
    if chosen.is_empty() && filter != "none" {
        let names: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
        bail!(
            "no scenario is named like `{filter}`\nhint: there are {}",
            names.join(", ")
        );
    }
    Ok(chosen)
}

fn keep(cluster: &dyn Cluster, ends_with_us: bool) -> Result<()> {
    println!("{}", cluster.directions());
    if let Some(logs) = cluster.logs() {
        println!("logs: {}", logs.display());
    }
    if ends_with_us {
        println!("Ctrl-C ends it");
        loop {
            nix::unistd::pause();
        }
    }
    Ok(())
}
