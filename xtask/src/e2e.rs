//! The scenarios on a cluster: who provides it, and what that takes.

use crate::{
    chore::{Outcome, Profile, build, run},
    demo::{PROGRAMS, launcher_command},
    kubernetes,
    system::{self, IMAGES, NETNS, NODE, find},
};
use std::{
    ffi::OsString,
    process::{Command, Stdio},
};

/// Who provides a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provider {
    Kind,
    Node,
    Netns,
    Kubeconfig,
}

impl Provider {
    /// In the order in which they are tried where none is named.
    const TRIED: [Self; 3] = [Self::Kind, Self::Node, Self::Netns];

    fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Node => "node",
            Self::Netns => "netns",
            Self::Kubeconfig => "kubeconfig",
        }
    }

    fn named(name: &str) -> Result<Self, String> {
        [Self::Kind, Self::Node, Self::Netns, Self::Kubeconfig]
            .into_iter()
            .find(|provider| provider.name() == name)
            .ok_or_else(|| {
                format!(
                    "`{name}` provides no cluster\nhint: --provider node, kind, kubeconfig or netns"
                )
            })
    }

    /// Why it can't work on this machine, as far as can be seen quickly.
    fn obstacle(self) -> Option<String> {
        let obstacle = match self {
            Self::Kind => has_docker().and_then(|()| has("kind")),
            Self::Node => needs_root().and_then(|()| kubernetes::available()),
            Self::Netns => needs_root(),
            Self::Kubeconfig => has("kubectl"),
        };
        obstacle.err()
    }
}

/// Plays the scenarios.
pub(crate) fn e2e(arguments: &[String]) -> Outcome {
    let (named, rest) = split(arguments)?;
    let provider = match named {
        Some(name) => Provider::named(&name)?,
        None => choose()?,
    };
    println!("e2e: provider {}", provider.name());
    let mut found: Vec<OsString> = vec!["--provider".into(), provider.name().into()];
    let programs = match provider {
        Provider::Node => {
            for needs in [NETNS, IMAGES, NODE] {
                system::provide(needs)?;
            }
            // Go's build beside cargo's.
            let parts = kubernetes::Ahead::start();
            let programs = build(PROGRAMS, Profile::Dev)?;
            let parts = parts.wait()?;
            found.extend(["--parts".into(), parts.into()]);
            programs
        }
        Provider::Netns => {
            system::provide(NETNS)?;
            build(PROGRAMS, Profile::Dev)?
        }
        Provider::Kind => {
            system::provide(IMAGES)?;
            build(PROGRAMS, Profile::Dev)?
        }
        Provider::Kubeconfig => build(PROGRAMS, Profile::Dev)?,
    };
    let launcher = programs.join("mesh-e2e");
    let mut command = match provider {
        Provider::Node | Provider::Netns => launcher_command(&launcher, "play")?,
        Provider::Kind | Provider::Kubeconfig => Command::new(&launcher),
    };
    run(command.arg("play").args(found).args(rest))
}

/// Takes `--provider NAME` or `--provider=NAME` out of the arguments.
fn split(arguments: &[String]) -> Result<(Option<String>, Vec<String>), String> {
    let (mut named, mut rest) = (None, Vec::new());
    let mut all = arguments.iter();
    while let Some(argument) = all.next() {
        if argument == "--provider" {
            named = Some(all.next().ok_or("--provider needs a name")?.clone());
        } else if let Some(name) = argument.strip_prefix("--provider=") {
            named = Some(name.to_owned());
        } else {
            rest.push(argument.clone());
        }
    }
    Ok((named, rest))
}

/// The first that works; says why not the others.
fn choose() -> Result<Provider, String> {
    let mut obstacles = Vec::new();
    for provider in Provider::TRIED {
        match provider.obstacle() {
            None => {
                for obstacle in obstacles {
                    println!("e2e: {obstacle}");
                }
                return Ok(provider);
            }
            Some(why) => {
                obstacles.push(format!(
                    "not {}: {}",
                    provider.name(),
                    why.replace('\n', "; ")
                ));
            }
        }
    }
    Err(format!("no provider works here\n{}", obstacles.join("\n")))
}

fn needs_root() -> Outcome {
    if system::is_root() || find("sudo").is_some() {
        Ok(())
    } else {
        Err("namespaces need root".into())
    }
}

fn has(program: &str) -> Outcome {
    find(program)
        .map(drop)
        .ok_or_else(|| format!("no {program}"))
}

/// Whether there is a daemon: a client alone may be installed without one.
fn has_docker() -> Outcome {
    has("docker")?;
    let mut info = Command::new("docker");
    let status = info
        .arg("info")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err("`docker info` fails".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_is_taken_out() {
        let words = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
        for (typed, named, rest) in [
            ("--provider node --keep", Some("node"), "--keep"),
            ("smoke --provider=kind", Some("kind"), "smoke"),
            ("smoke", None, "smoke"),
        ] {
            let got = split(&words(typed)).expect(typed);
            assert_eq!(got, (named.map(String::from), words(rest)), "{typed}");
        }
        assert!(split(&words("--provider")).is_err());
    }

    #[test]
    fn all_providers_have_names() {
        for provider in Provider::TRIED {
            assert_eq!(Provider::named(provider.name()), Ok(provider));
        }
        assert!(Provider::named("minikube").is_err());
    }
}
