//! The settings of injection as they are now: read from files, which an installation mounts from its ConfigMaps, and read
//! again when they change.
//!
//! Files that cannot be read, or hold nonsense, leave the last good settings in force. Only new pods see a change.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use mesh_runtime::shutdown::Shutdown;

use super::metrics::Metrics;
use crate::{ProxyUser, Settings, Texts, Unreadable};

/// How often files are looked at. The kubelet swaps a mounted ConfigMap as a whole, so a half-written one is not seen.
const INTERVAL: Duration = Duration::from_secs(1);

/// The files; one that has not existed yet is all defaults.
#[derive(Debug, Clone)]
pub struct Files {
    /// Policy, selectors, templates.
    pub config: PathBuf,
    /// Values of the installation.
    pub values: PathBuf,
    /// `MeshConfig`.
    pub mesh: PathBuf,
}

/// What the command line says, over what the files say.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Revision of the control plane.
    pub revision: Option<String>,
    /// What to do with an application that runs as the proxy's user.
    pub proxy_user: Option<ProxyUser>,
}

/// Why settings are not in force.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {0}")]
    File(PathBuf, #[source] io::Error),
    /// A file that was there is not any more.
    #[error("{0} has disappeared (hint: an empty file asks for the defaults)")]
    Gone(PathBuf),
    /// What is in it cannot be understood.
    #[error(transparent)]
    Text(#[from] Unreadable),
}

/// The settings in force.
#[derive(Debug)]
pub struct Live {
    settings: ArcSwap<Settings>,
    native_sidecars: bool,
    kubelets: Kubelets,
    kubelets_are_new: AtomicBool,
    by_node: ArcSwap<BTreeMap<String, bool>>,
}

/// What pods get only where every kubelet of the cluster is new enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kubelets {
    /// A native sidecar, if they do not say.
    pub native_sidecars: bool,
    /// [`Settings::pre_stop_sleep`].
    pub pre_stop_sleep: u32,
}

impl Live {
    /// These settings, until they change; `kubelets` in addition as far as [`Live::set_kubelets`]
    /// says so.
    pub fn new(settings: Settings, kubelets: Kubelets) -> Self {
        Self {
            native_sidecars: settings.native_sidecars,
            settings: ArcSwap::from_pointee(settings),
            kubelets,
            kubelets_are_new: AtomicBool::new(false),
            by_node: ArcSwap::default(),
        }
    }

    /// The settings for one pod.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::clone(&self.settings.load());
        settings.native_sidecars = self.native_sidecars;
        // What is on every node or on none needs no look at a pod's own.
        if self.kubelets.native_sidecars && !self.native_sidecars {
            settings.kubelets = self.by_node.load_full();
        }
        if self.kubelets_are_new.load(Relaxed) {
            settings.native_sidecars |= self.kubelets.native_sidecars;
            settings.pre_stop_sleep = self.kubelets.pre_stop_sleep;
        }
        settings
    }

    /// Whether each kubelet runs native sidecars by default, and knows the hook `sleep`, by the name of its node. What all
    /// of them can holds for pods whose node is not known yet.
    pub fn set_kubelets(&self, by_node: BTreeMap<String, bool>) {
        let new = !by_node.is_empty() && by_node.values().all(|new| *new);
        self.by_node.store(Arc::new(by_node));
        if self.kubelets_are_new.swap(new, Relaxed) != new {
            tracing::info!(new, "kubelets");
        }
    }
}

/// Reads the files, again and again.
#[derive(Debug)]
pub struct Reader {
    files: Files,
    overrides: Overrides,
    seen: BTreeSet<PathBuf>,
    last: Result<Texts, String>,
}

impl Reader {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// If one exists and cannot be read or understood.
    pub fn open(files: Files, overrides: Overrides) -> Result<(Self, Settings), Error> {
        for file in [&files.config, &files.values, &files.mesh] {
            if !file.exists() {
                tracing::warn!(file = %file.display(), "does not exist: the defaults are in force");
            }
        }
        let mut seen = BTreeSet::new();
        let texts = files.read(&mut seen)?;
        let settings = overrides.read(&texts)?;
        let last = Ok(texts);
        Ok((
            Self {
                files,
                overrides,
                seen,
                last,
            },
            settings,
        ))
    }

    /// Keeps `live` up to date until the end.
    pub async fn run(mut self, live: Arc<Live>, metrics: Arc<Metrics>, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => self.look(&live, &metrics),
                () = shutdown.begun() => return,
            }
        }
    }

    /// Looks once; each change, and each new mistake, is logged once.
    fn look(&mut self, live: &Live, metrics: &Metrics) {
        let texts = self.files.read(&mut self.seen);
        let now = match &texts {
            Ok(texts) => Ok(texts.clone()),
            Err(error) => Err(error.to_string()),
        };
        if now == self.last {
            return;
        }
        match texts.and_then(|texts| Ok(self.overrides.read(&texts)?)) {
            Ok(settings) => {
                live.settings.store(Arc::new(settings));
                metrics.settings_stale.set(0);
                tracing::info!("the settings of injection have changed");
            }
            Err(error) => {
                metrics.settings_stale.set(1);
                metrics.settings_refused.increment();
                let error = anyhow::Error::new(error);
                tracing::error!(
                    error = format!("{error:#}"),
                    "the settings of injection cannot be read; the last good ones stay in force"
                );
            }
        }
        self.last = now;
    }
}

impl Files {
    /// The texts; a file that is in `seen`, where each is noted that exists, must not disappear.
    fn read(&self, seen: &mut BTreeSet<PathBuf>) -> Result<Texts, Error> {
        let mut read = |file: &PathBuf| match std::fs::read_to_string(file) {
            Ok(text) => {
                seen.insert(file.clone());
                Ok(text)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => match seen.contains(file) {
                true => Err(Error::Gone(file.clone())),
                false => Ok(String::new()),
            },
            Err(error) => Err(Error::File(file.clone(), error)),
        };
        Ok(Texts {
            config: read(&self.config)?,
            values: read(&self.values)?,
            mesh: read(&self.mesh)?,
        })
    }
}

impl Overrides {
    fn read(&self, texts: &Texts) -> Result<Settings, Unreadable> {
        let read = Settings::read(texts)?;
        for field in &read.unknown {
            tracing::warn!(field, "has no effect in this version");
        }
        let mut settings = read.value;
        if let Some(revision) = &self.revision {
            settings.revision.clone_from(revision);
        }
        if let Some(proxy_user) = self.proxy_user {
            settings.proxy_user = proxy_user;
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_and_nonsense_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let files = Files {
            config: path("config"),
            values: path("values"),
            mesh: path("mesh"),
        };
        let (mut reader, settings) =
            Reader::open(files, Overrides::default()).expect("no files are defaults");
        assert_eq!(settings, Settings::default());
        let live = Live::new(settings, Kubelets::default());
        let metrics = Metrics::default();

        std::fs::write(path("mesh"), "trustDomain: a\n").expect("written");
        reader.look(&live, &metrics);
        assert_eq!(live.settings().mesh.trust_domain, "a");

        std::fs::write(path("values"), "{").expect("written");
        std::fs::write(path("mesh"), "trustDomain: b\n").expect("written");
        reader.look(&live, &metrics);
        assert_eq!(live.settings().mesh.trust_domain, "a");

        std::fs::write(path("values"), "{\"revision\": \"r\"}").expect("written");
        reader.look(&live, &metrics);
        let now = live.settings();
        assert_eq!((&*now.mesh.trust_domain, &*now.revision), ("b", "r"));

        std::fs::write(
            path("config"),
            "templates:\n  mine: |\n    a: {{ nothing }}\n",
        )
        .expect("written");
        std::fs::write(path("mesh"), "trustDomain: c\n").expect("written");
        reader.look(&live, &metrics);
        reader.look(&live, &metrics);
        assert_eq!(live.settings().mesh.trust_domain, "b");
        let text = metrics.text();
        assert!(text.contains("mesh_injector_settings_stale 1\n"), "{text}");
        assert!(
            text.contains("mesh_injector_settings_refused_total 2\n"),
            "{text}"
        );

        std::fs::write(path("config"), "templates:\n  mine: |\n    metadata: {}\n")
            .expect("written");
        reader.look(&live, &metrics);
        assert_eq!(live.settings().mesh.trust_domain, "c");
        assert!(metrics.text().contains("mesh_injector_settings_stale 0\n"));
    }

    #[test]
    fn a_file_that_disappears_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let files = Files {
            config: path("config"),
            values: path("values"),
            mesh: path("mesh"),
        };
        std::fs::write(path("config"), "policy: disabled\n").expect("written");
        let (mut reader, settings) = Reader::open(files, Overrides::default()).expect("readable");
        let live = Live::new(settings, Kubelets::default());
        let metrics = Metrics::default();
        // One that came after the start, too.
        std::fs::write(path("mesh"), "trustDomain: a\n").expect("written");
        reader.look(&live, &metrics);
        for name in ["config", "mesh"] {
            let text = std::fs::read(path(name)).expect("there");
            std::fs::remove_file(path(name)).expect("removed");
            std::fs::write(path("values"), format!("revision: without-{name}\n")).expect("written");
            reader.look(&live, &metrics);
            let error = reader.last.as_ref().expect_err("that is said");
            assert!(
                error.contains(&format!("{name} has disappeared")),
                "{error}"
            );
            let now = live.settings();
            assert_eq!(
                (now.policy, &*now.mesh.trust_domain),
                (crate::Policy::Disabled, "a")
            );
            assert_ne!(now.revision, format!("without-{name}"));
            std::fs::write(path(name), text).expect("written");
        }
        std::fs::write(path("config"), "").expect("written");
        reader.look(&live, &metrics);
        assert_eq!(live.settings().policy, crate::Policy::Enabled);
    }

    #[test]
    fn kubelets_decide_beside_the_files() {
        let kubelets = Kubelets {
            native_sidecars: true,
            pre_stop_sleep: 5,
        };
        let live = Live::new(Settings::default(), kubelets);
        let seen = || {
            let settings = live.settings();
            let native = [None, Some("new"), Some("old"), Some("unknown")];
            let native = native.map(|node| settings.runs_native_sidecars(node));
            (native, settings.pre_stop_sleep)
        };
        let nodes = |nodes: &[(&str, bool)]| {
            live.set_kubelets(
                nodes
                    .iter()
                    .map(|(name, new)| ((*name).to_owned(), *new))
                    .collect(),
            );
        };
        assert_eq!(seen(), ([false; 4], 0));
        nodes(&[("new", true), ("old", true)]);
        assert_eq!(seen(), ([true; 4], 5));
        nodes(&[("new", true), ("old", false)]);
        assert_eq!(seen(), ([false, true, false, false], 0));
        nodes(&[]);
        assert_eq!(seen(), ([false; 4], 0));
        let never = Live::new(Settings::default(), Kubelets::default());
        never.set_kubelets([("new".to_owned(), true)].into());
        assert!(!never.settings().runs_native_sidecars(Some("new")));
    }
}
