//! `meshctl install`, `meshctl uninstall`, `meshctl manifest generate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to install.
#[derive(Debug, Args)]
pub(crate) struct Wanted {
    /// Options in YAML (an IstioOperator, or only its spec); `-` is standard input. Later ones go over earlier ones
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// One option over those of the files; they are listed below
    #[arg(short, long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Revision of the control plane; several may run side by side
    #[arg(short, long, value_name = "NAME")]
    pub(crate) revision: Option<String>,
}

/// The fields of `--set` and of files. A test keeps the list complete.
pub(crate) const OPTIONS: &str = "\
Options (--set, or fields of a file):
  hub               where the image comes from, such as registry.example.org/mesh
  tag               its version. Default: that of this program
  image             its name, or the whole of it
  imagePullPolicy   Always, IfNotPresent or Never
  revision          as --revision
  tags              further names of this revision that namespaces may be labelled with: [\"prod\"]
  discovery, injector
                    .replicas (default 2), .resources, .arguments
  meshConfig        Istio's MeshConfig, such as meshConfig.accessLogFile=/dev/stdout
  values            Istio's values, such as values.global.proxy.holdApplicationUntilProxyStarts=true;
                    templates of injection: values.sidecarInjectorWebhook.templates, .aliases, .defaultTemplates";

const INSTALL: &str = "
Examples:
  meshctl install --set hub=registry.example.org/mesh
  meshctl install -f options.yaml --set discovery.replicas=3 --dry-run
  meshctl install --revision canary                          beside the one that is there

Then label the namespaces whose pods belong to the mesh, and make their pods anew:
  kubectl label namespace NAME istio-injection=enabled       (or istio.io/rev=canary)
  kubectl -n NAME rollout restart deployment";

const UNINSTALL: &str = "\
Pods keep their sidecars until they are made anew. Examples:
  meshctl uninstall --revision canary      one revision; certificate authority, policies and namespace stay
  meshctl uninstall --purge --dry-run      what would go if everything went";

const GENERATE: &str = "
Examples:
  meshctl manifest generate --set hub=registry.example.org/mesh > mesh.yaml
  meshctl manifest generate -f options.yaml | kubectl diff -f -";

fn with_options(text: &str) -> String {
    format!("{OPTIONS}\n{text}")
}

/// `meshctl install`.
#[derive(Debug, Args)]
#[command(after_help = with_options(INSTALL))]
pub(crate) struct Install {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// Lets the API server check everything and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Longest wait until all is ready, such as 90s or 5m; 0s does not wait
    #[arg(long, value_name = "DURATION", default_value = "300s")]
    pub(crate) readiness_timeout: jiff::SignedDuration,
    /// Takes over the objects of another mesh that is installed there
    #[arg(long)]
    pub(crate) force: bool,
    /// Asks nothing (it never does; for scripts written for istioctl)
    #[arg(short = 'y', long = "skip-confirmation", hide = true)]
    pub(crate) skip_confirmation: bool,
}

/// `meshctl uninstall`.
#[derive(Debug, Args)]
#[command(after_help = UNINSTALL, group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Uninstall {
    /// The revision to remove; `default` for the one without a name
    #[arg(short, long, value_name = "NAME", group = "what")]
    pub(crate) revision: Option<String>,
    /// Removes everything: all revisions, the certificate authority, the definitions with every object of them, the
    /// namespace. What was there before stays, and so do definitions that another control plane uses
    #[arg(long, group = "what")]
    pub(crate) purge: bool,
    /// Only tells what would go
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Does not ask
    #[arg(short = 'y', long = "skip-confirmation")]
    pub(crate) skip_confirmation: bool,
}

/// `meshctl manifest`.
#[derive(Debug, Subcommand)]
pub(crate) enum Manifest {
    /// Prints what `install` would apply
    #[command(after_help = with_options(GENERATE))]
    Generate {
        #[command(flatten)]
        wanted: Wanted,
    },
}

#[cfg(test)]
mod tests {
    use crate::install::options::Options;

    #[test]
    fn every_option_is_listed() {
        let all = serde_json::to_value(Options::default()).expect("JSON");
        let listed: Vec<&str> = super::OPTIONS.split_whitespace().collect();
        for (name, value) in all.as_object().expect("fields") {
            let is_listed = listed.iter().any(|word| word.trim_end_matches(',') == name);
            assert!(is_listed, "{name}");
            if matches!(name.as_str(), "discovery" | "injector") {
                for part in value.as_object().expect("fields").keys() {
                    let part = format!(".{part}");
                    assert!(
                        listed.iter().any(|word| word.trim_end_matches(',') == part),
                        "{part}"
                    );
                }
            }
        }
    }
}
