//! What the machine has, and installing what it lacks.

use crate::chore::{Outcome, run};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A program that a chore needs.
pub(crate) struct Need {
    /// Name of the program.
    pub(crate) program: &'static str,
    /// Debian package that has it.
    pub(crate) package: &'static str,
}

/// What running pods in network namespaces takes.
pub(crate) const NETNS: &[Need] = &[
    Need {
        program: "iptables-restore",
        package: "iptables",
    },
    Need {
        program: "ip",
        package: "iproute2",
    },
    Need {
        program: "curl",
        package: "curl",
    },
];

/// What a wrong clock takes.
pub(crate) const CLOCK: &[Need] = &[Need {
    program: "faketime",
    package: "faketime",
}];

/// What answers in the benchmark.
pub(crate) const BACKEND: &[Need] = &[Need {
    program: "nginx",
    package: "nginx",
}];

/// What makes the load of the benchmark; it can do with either.
pub(crate) const LOADS: [&[Need]; 2] = [
    &[Need {
        program: "wrk",
        package: "wrk",
    }],
    &[Need {
        program: "h2load",
        package: "nghttp2-client",
    }],
];

/// What goes into images; the first is all that the mesh's own needs.
pub(crate) const IMAGES: &[Need] = &[
    Need {
        program: "xtables-nft-multi",
        package: "iptables",
    },
    Need {
        program: "nginx",
        package: "nginx",
    },
    Need {
        program: "curl",
        package: "curl",
    },
];

/// What runs a Kubernetes of one node, beside its own binaries.
pub(crate) const NODE: &[Need] = &[
    Need {
        program: "etcd",
        package: "etcd-server",
    },
    Need {
        program: "containerd",
        package: "containerd",
    },
    Need {
        program: "runc",
        package: "runc",
    },
    // Not `bridge`: iproute2 has a program of that name.
    Need {
        program: "host-local",
        package: "containernetworking-plugins",
    },
];

/// Packages that start a server where something manages services.
const SERVERS: [&str; 3] = ["nginx", "etcd-server", "containerd"];

/// Where `program` is, looking also where a user's PATH often does not.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = [
        "/usr/local/sbin",
        "/usr/sbin",
        "/sbin",
        "/usr/lib/cni",
        "/opt/cni/bin",
    ];
    let more = more.map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(more)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Whether we are root.
pub(crate) fn is_root() -> bool {
    // The owner of our own entry in /proc is our effective user.
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// The needs that are not met.
pub(crate) fn missing(needs: &'static [Need]) -> Vec<&'static Need> {
    needs
        .iter()
        .filter(|need| find(need.program).is_none())
        .collect()
}

/// Whether [`provide`] can meet `needs`, as far as can be seen without trying; else what to do.
pub(crate) fn obtainable(needs: &'static [Need]) -> Outcome {
    let packages: Vec<_> = missing(needs).iter().map(|need| need.package).collect();
    // A server's package starts the server where something manages services: that is the user's to decide.
    let starts =
        packages.iter().any(|p| SERVERS.contains(p)) && Path::new("/run/systemd/system").is_dir();
    if packages.is_empty() || (is_root() && find("apt-get").is_some() && !starts) {
        return Ok(());
    }
    let programs: Vec<_> = missing(needs).iter().map(|need| need.program).collect();
    Err(format!(
        "{} not found\nhint: as root: {}",
        programs.join(", "),
        install(&packages)
    ))
}

fn install(packages: &[&str]) -> String {
    let packages = packages.join(" ");
    format!("apt-get install -y --no-install-recommends {packages}")
}

/// Sees to it that `needs` are met: installs what is missing as root with apt, else says how to.
pub(crate) fn provide(needs: &'static [Need]) -> Outcome {
    obtainable(needs)?;
    let lacking = missing(needs);
    if lacking.is_empty() {
        return Ok(());
    }
    let programs: Vec<_> = lacking.iter().map(|need| need.program).collect();
    let packages: Vec<_> = lacking.iter().map(|need| need.package).collect();
    println!("{} not found: {}", programs.join(", "), install(&packages));
    let mut apt = Command::new("apt-get");
    // Run level 1 keeps a package from starting what it installs.
    let apt = apt
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1");
    run(Command::new("apt-get").args(["-qq", "update"]))?;
    run(apt
        .args(["-qq", "install", "-y", "--no-install-recommends"])
        .args(&packages))?;
    let still = missing(needs);
    if let Some(need) = still.first() {
        return Err(format!(
            "package {} did not bring {}",
            need.package, need.program
        ));
    }
    Ok(())
}
