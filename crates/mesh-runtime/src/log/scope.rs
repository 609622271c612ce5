//! Scopes: names for parts of a program, each with its level.

use tracing_subscriber::filter::Targets;

use super::{InvalidLevels, Level, parse_levels};

/// Which flag a scope obeys. A sidecar is two programs in Istio, and each has a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// The agent and the control plane: `--log_output_level`.
    Istio,
    /// The data path: `--proxyLogLevel` and `--proxyComponentLogLevel`.
    Envoy,
}

/// A part of a program, under the name that Istio or Envoy has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Its name, such as `upstream`.
    pub name: &'static str,
    /// The flag that it obeys.
    pub family: Family,
    /// The modules that it covers, such as `mesh_proxy::upstream`. May be empty for a name that is only tolerated.
    pub targets: &'static [&'static str],
}

/// There is no scope of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no log scope `{0}`")]
pub struct UnknownScope(pub String);

/// The level of every scope of a program.
#[derive(Clone, Debug)]
pub struct Levels {
    scopes: &'static [Scope],
    levels: Vec<Level>,
    istio: Level,
    ignored: Vec<String>,
}

/// What crates that are not ours may say at most unless the default is lower: their details drown ours.
const FOREIGN: Level = Level::Warning;
/// What every target of ours begins with.
const OURS: &str = "mesh";
/// Istio's scope for all that has none.
const DEFAULT: &str = "default";

impl Levels {
    /// The levels before any flag: Istio's default, info, and Envoy's as it is injected, warning.
    pub fn new(scopes: &'static [Scope]) -> Self {
        let levels = scopes.iter().map(|scope| initial(scope.family)).collect();
        Self {
            scopes,
            levels,
            istio: initial(Family::Istio),
            ignored: Vec::new(),
        }
    }

    /// Applies `--log_output_level`, such as `default:info,ads:debug`. `default` holds for scopes that are not named.
    ///
    /// # Errors
    /// If the value is malformed; nothing changes then.
    pub fn istio(mut self, flag: &str) -> Result<Self, InvalidLevels> {
        let (defaults, named): (Vec<_>, Vec<_>) = parse_levels(flag)?
            .into_iter()
            .partition(|(scope, _)| scope == DEFAULT || scope == "all");
        defaults
            .into_iter()
            .for_each(|(_, level)| self.set_all(Family::Istio, level));
        self.set_or_ignore(named);
        Ok(self)
    }

    /// Applies `--proxyLogLevel`, such as `warning`, and `--proxyComponentLogLevel`, such as `misc:error`.
    ///
    /// # Errors
    /// If either is malformed; nothing changes then.
    pub fn envoy(mut self, level: &str, components: &str) -> Result<Self, InvalidLevels> {
        let (level, components) = (level.trim().parse()?, parse_levels(components)?);
        self.set_all(Family::Envoy, level);
        self.set_or_ignore(components);
        Ok(self)
    }

    /// Names in the flags that are no scope of this program, for a warning: another data plane may have them.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    pub(super) fn list(&self) -> impl Iterator<Item = (&'static str, Level)> {
        self.scopes
            .iter()
            .zip(&self.levels)
            .map(|(scope, level)| (scope.name, *level))
    }

    pub(super) fn set_all(&mut self, family: Family, level: Level) {
        if family == Family::Istio {
            self.istio = level;
        }
        for (scope, its) in self.scopes.iter().zip(&mut self.levels) {
            if scope.family == family {
                *its = level;
            }
        }
    }

    pub(super) fn set(&mut self, name: &str, level: Level) -> Result<(), UnknownScope> {
        let index = self.scopes.iter().position(|scope| scope.name == name);
        let index = index.ok_or_else(|| UnknownScope(name.into()))?;
        self.levels[index] = level;
        Ok(())
    }

    pub(super) fn targets(&self) -> Targets {
        let scopes = self.scopes.iter().zip(&self.levels);
        let covered = scopes.flat_map(|(scope, level)| {
            scope.targets.iter().map(|target| (*target, level.filter()))
        });
        Targets::new()
            .with_default(self.istio.min(FOREIGN).filter())
            .with_target(OURS, self.istio.filter())
            .with_targets(covered)
    }

    fn set_or_ignore(&mut self, named: Vec<(String, Level)>) {
        for (name, level) in named {
            if self.set(&name, level).is_err() {
                self.ignored.push(name);
            }
        }
    }
}

fn initial(family: Family) -> Level {
    match family {
        Family::Istio => Level::Info,
        Family::Envoy => Level::Warning,
    }
}
