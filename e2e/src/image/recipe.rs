//! The images that we pack: the mesh's own, and those of the tests.

use super::{Image, Run, Tree, libraries, tree::find};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Puts the program `name` of `folder` into `/usr/local/bin`, without its debug information if the machine has the tool.
///
/// Debug information is most of a program that was built for tests, and images of tests live in memory.
fn own_program(tree: &mut Tree, folder: &Path, name: &str) -> Result<()> {
    let (from, to) = (folder.join(name), format!("/usr/local/bin/{name}"));
    let Ok(strip) = find("strip") else {
        return tree.program(&from, &to);
    };
    let stripped = tempfile::NamedTempFile::new()?;
    let mut command = Command::new(strip);
    command.arg("--strip-debug").arg("-o").arg(stripped.path());
    let status = command.arg(&from).status().context("strip")?;
    ensure!(status.success(), "strip {}: {status}", from.display());
    for library in libraries::of(&from)? {
        tree.copy(&library, &library)?;
    }
    tree.bytes(&to, fs::read(stripped.path())?, 0o755);
    Ok(())
}

/// What the mesh's image is pulled as where nothing else is said.
pub(crate) const MESH: &str = concat!("mesh-proxy:", env!("CARGO_PKG_VERSION"));
/// What the image of clients and of the echo app is pulled as.
pub(crate) const CLIENT: &str = "mesh-e2e:latest";

const PROXY_USER: &str = "1337:1337";
/// Programs of the mesh.
const PROGRAMS: [&str; 5] = [
    "mesh-init",
    "mesh-proxy",
    "mesh-discovery",
    "mesh-injector",
    "meshctl",
];
/// Programs that write the rules, in both variants.
const IPTABLES: [&str; 2] = ["xtables-nft-multi", "xtables-legacy-multi"];

/// The mesh's image: all programs, from the folder `programs`, and iptables; not root unless a pod says so.
///
/// It answers to the command names of Istio's proxy image, so that it can stand in its place.
pub(crate) fn mesh(programs: &Path) -> Result<Image> {
    let mut tree = Tree::new();
    for name in PROGRAMS {
        own_program(&mut tree, programs, name)?;
    }
    tree.link("/usr/local/bin/pilot-agent", "mesh-proxy");
    iptables(&mut tree)?;
    tree.folder("/etc/istio/proxy", 0o755, 1337);
    tree.folder("/var/lib/istio/data", 0o755, 1337);
    Ok(Image {
        name: MESH.parse()?,
        tree,
        run: Run {
            entry_point: vec!["/usr/local/bin/pilot-agent".into()],
            user: PROXY_USER.into(),
            ..Run::default()
        },
    })
}

/// Both variants of iptables under all their names, and the plugins that they load.
fn iptables(tree: &mut Tree) -> Result<()> {
    for (variant, program) in ["nft", "legacy"].iter().zip(IPTABLES) {
        let from = find(program)?;
        tree.program(&from, &format!("/usr/sbin/{program}"))?;
        for family in ["iptables", "ip6tables"] {
            for verb in ["", "-save", "-restore"] {
                tree.link(&format!("/usr/sbin/{family}-{variant}{verb}"), program);
                if *variant == "nft" {
                    tree.link(&format!("/usr/sbin/{family}{verb}"), program);
                }
            }
        }
    }
    let plugins = plugins()?;
    for entry in fs::read_dir(&plugins)? {
        // What they load themselves, iptables has loaded already.
        let path = entry?.path();
        tree.copy(&path, &path)?;
    }
    Ok(())
}

fn plugins() -> Result<PathBuf> {
    let multiarch = format!("/usr/lib/{}-linux-gnu/xtables", std::env::consts::ARCH);
    [&multiarch, "/usr/lib64/xtables", "/usr/lib/xtables"]
        .iter()
        .map(PathBuf::from)
        .find(|folder| folder.is_dir())
        .context("iptables has no folder of plugins here")
}

/// Debian's nginx in the place of `nginx:latest`: it starts, logs, serves its welcome page and ends as that one does.
pub(crate) fn nginx() -> Result<Image> {
    let mut tree = Tree::new();
    let program = find("nginx")?;
    tree.program(&program, "/usr/sbin/nginx")?;
    for name in ["sh", "cat"] {
        tree.installed(name)?;
    }
    let types = Path::new("/etc/nginx/mime.types");
    tree.copy(types, types)?;
    tree.text("/etc/nginx/nginx.conf", include_str!("recipe/nginx.conf"));
    tree.text(
        "/etc/nginx/conf.d/default.conf",
        include_str!("recipe/default.conf"),
    );
    tree.text(
        "/usr/share/nginx/html/index.html",
        include_str!("recipe/index.html"),
    );
    tree.folder("/var/lib/nginx", 0o755, 0);
    tree.link("/var/log/nginx/access.log", "/dev/stdout");
    tree.link("/var/log/nginx/error.log", "/dev/stderr");
    Ok(Image {
        name: "nginx:latest".parse()?,
        tree,
        run: Run {
            arguments: ["nginx", "-g", "daemon off;"].map(String::from).into(),
            stop_signal: "SIGQUIT".into(),
            ports: vec!["80/tcp".into()],
            ..Run::default()
        },
    })
}

/// A shell, curl, and this program with its echo app and its load.
pub(crate) fn client(programs: &Path) -> Result<Image> {
    let mut tree = Tree::new();
    for name in ["sh", "cat", "curl", "env", "getent", "id", "ls", "sleep"] {
        tree.installed(name)?;
    }
    own_program(&mut tree, programs, "mesh-e2e")?;
    Ok(Image {
        name: CLIENT.parse()?,
        tree,
        run: Run {
            arguments: ["mesh-e2e", "echo", "--port", "80"]
                .map(String::from)
                .into(),
            ..Run::default()
        },
    })
}

/// What holds a pod's namespaces: one static program.
pub(crate) fn pause(program: &Path, name: &str) -> Result<Image> {
    let mut tree = Tree::new();
    tree.program(program, "/pause")?;
    Ok(Image {
        name: name.parse()?,
        tree,
        run: Run {
            entry_point: vec!["/pause".into()],
            user: "65534:65534".into(),
            ..Run::default()
        },
    })
}
