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
        self.works().err()
    }

    fn works(self) -> Outcome {
        match self {
            Self::Kind => {
                has("kind")?;
                has("kubectl")?;
                has_docker()?;
                system::obtainable(IMAGES)
            }
            Self::Node => {
                needs_root()?;
                for needs in [NETNS, IMAGES, NODE] {
                    system::obtainable(needs)?;
                }
                for filesystem in ["overlay", "cgroup2"] {
                    has_filesystem(filesystem)?;
                }
                kubernetes::available()
            }
            Self::Netns => {
                needs_root()?;
                system::obtainable(NETNS)
            }
            Self::Kubeconfig => has("kubectl"),
        }
    }
}

/// Plays the scenarios.
pub(crate) fn e2e(arguments: &[String]) -> Outcome {
    let (named, rest) = split(arguments)?;
    let provider = match named {
        Some(name) => Provider::named(&name)?,
        None => {
            let (provider, obstacles) = choose(Provider::obstacle)?;
            for obstacle in obstacles {
                println!("e2e: {obstacle}");
            }
            provider
        }
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

/// The first that has no obstacle, and why not those before it.
///
/// # Errors
/// If each has one.
fn choose(
    obstacle: impl Fn(Provider) -> Option<String>,
) -> Result<(Provider, Vec<String>), String> {
    let mut obstacles = Vec::new();
    for provider in Provider::TRIED {
        let Some(why) = obstacle(provider) else {
            return Ok((provider, obstacles));
        };
        let why = why.replace('\n', "; ");
        obstacles.push(format!("not {}: {why}", provider.name()));
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

/// Whether the kernel has a filesystem, or may get it as a module.
fn has_filesystem(name: &str) -> Outcome {
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let is_known = known
        .lines()
        .any(|line| line.trim_end().ends_with(&format!("\t{name}")));
    let module = || {
        let mut modprobe = Command::new(find("modprobe")?);
        let modprobe = modprobe.args(["--dry-run", "--quiet", name]);
        modprobe.status().ok().filter(|status| status.success())
    };
    match is_known || module().is_some() {
        true => Ok(()),
        false => Err(format!("the kernel has no {name}")),
    }
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
    fn the_first_that_works_is_chosen() {
        use Provider::{Kind, Netns, Node};
        let working = |works: &'static [Provider]| {
            choose(|provider| {
                let name = provider.name();
                (!works.contains(&provider)).then(|| format!("no {name}\nhint: get {name}"))
            })
        };
        let why = |name: &str| format!("not {name}: no {name}; hint: get {name}");
        assert_eq!(working(&[Netns, Node, Kind]), Ok((Kind, vec![])));
        assert_eq!(working(&[Netns, Node]), Ok((Node, vec![why("kind")])));
        assert_eq!(
            working(&[Netns]),
            Ok((Netns, vec![why("kind"), why("node")]))
        );
        let none = working(&[]).expect_err("none");
        assert_eq!(none.lines().count(), 4, "{none}");
        // A cluster of the caller's is touched only when it is named.
        assert!(!Provider::TRIED.contains(&Provider::Kubeconfig));
    }

    #[test]
    fn a_filesystem_is_known_by_its_whole_name() {
        assert_eq!(has_filesystem("proc"), Ok(()));
        assert!(has_filesystem("pro").is_err());
        assert!(has_filesystem("roc").is_err());
    }

    #[test]
    fn all_providers_have_names() {
        for provider in Provider::TRIED {
            assert_eq!(Provider::named(provider.name()), Ok(provider));
        }
        assert!(Provider::named("minikube").is_err());
    }
}
