//! Brings the rules of one address family from whatever is in place to what is wanted.
//!
//! Look, compare, write what differs in one run of iptables-restore, ask whether it is there. The starting state does
//! not matter: nothing, the same rules, rules of other flags, the half of a run that was killed. Removing the rules is
//! the same with nothing wanted.

use crate::backend::{Failure, Found, Survey, Tool, not_installed, preferred};
use crate::config::Variant;
use crate::log::Log;
use crate::restore::{self, Manner};
use crate::rules::{Chain, Family, RuleSet, Table};
use crate::saved::Owned;
use crate::verify;
use thiserror::Error;

/// How often to look again when what is in place changed between looking and writing.
const ATTEMPTS: usize = 5;

/// Why the rules are not in place.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("the {family} rules could not be written")]
    Tables { family: Family, source: Failure },
    #[error("no iptables variant can be used for {family}:{}", listed(failures))]
    NoBackend {
        family: Family,
        failures: Vec<Failure>,
    },
    #[error(
        "the {family} rules were written by {tool}, but are not all in place:{}",
        listed(wrong)
    )]
    NotInPlace {
        family: Family,
        tool: Tool,
        wrong: Vec<String>,
    },
}

impl Error {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Error::Tables { source, .. } => source.hint(),
            Error::NoBackend { failures, .. } => failures.iter().find_map(Failure::hint),
            Error::NotInPlace { .. } => Some(
                "another program is changing the same tables; let it finish and run this again"
                    .to_owned(),
            ),
        }
    }
}

fn listed(items: &[impl std::fmt::Display]) -> String {
    items.iter().map(|item| format!("\n  {item}")).collect()
}

/// How to bring rules into place.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Use this variant only.
    pub(crate) variant: Option<Variant>,
    /// Write even what is in place already.
    pub(crate) force: bool,
    /// Shut everything else out while rules that differ are replaced.
    pub(crate) guarded: bool,
}

/// What to make of an installed variant that cannot be read when rules are to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// There may be rules of ours: fail.
    Fails,
    /// There are none: a kernel without IPv6 has no IPv6 rules.
    IsEmpty,
}

/// One family's rules on the way: what is in place has been looked at, nothing has been changed.
pub(crate) struct Convergence {
    family: Family,
    survey: Survey,
    options: Options,
    log: Log,
}

impl Convergence {
    /// Looks at what is in place.
    pub(crate) fn new(family: Family, options: Options, log: Log) -> Self {
        let survey = Survey::take(family);
        for failure in &survey.failures {
            log.debug(format_args!("{family}: {failure}"));
        }
        Self {
            family,
            survey,
            options,
            log,
        }
    }

    /// Whether a chain of ours is in place.
    pub(crate) fn finds(&self, table: Table, chain: Chain) -> bool {
        self.survey
            .found
            .iter()
            .any(|found| found.saved.owned.has_chain(table.name(), chain))
    }

    /// Brings `want` into place.
    ///
    /// # Errors
    /// If no variant can be used, a program fails, or the rules are not found afterwards.
    pub(crate) fn put(mut self, want: &RuleSet) -> Result<(), Error> {
        let failures = std::mem::take(&mut self.survey.failures);
        let chosen = self.choose(failures)?;
        self.write(chosen, want)?;
        // Of the same rules on the other kernel interface the first would count, and nobody would keep it up to date.
        let variant = chosen.tool.variant();
        let mut others = self
            .survey
            .found
            .iter()
            .filter(|found| found.tool.variant() != variant);
        others.try_for_each(|found| self.clear(found))
    }

    /// Removes all that is ours.
    ///
    /// # Errors
    /// If a program fails, or something is left afterwards.
    pub(crate) fn remove(mut self, unreadable: Unreadable) -> Result<(), Error> {
        let mut failures = std::mem::take(&mut self.survey.failures);
        // A program that is not installed has written nothing.
        failures.retain(|failure| !matches!(failure, Failure::Missing { .. }));
        if let (Some(failure), Unreadable::Fails) = (failures.pop(), unreadable) {
            return Err(self.failed(failure));
        }
        self.survey
            .found
            .iter()
            .try_for_each(|found| self.clear(found))
    }

    fn write(&self, chosen: &Found, want: &RuleSet) -> Result<(), Error> {
        let manner = match self.options.force {
            true => Manner::Everything,
            false => Manner::Changes,
        };
        let (family, tool) = (self.family, chosen.tool);
        if !self.settle(chosen, want, manner)? {
            self.log.info(format_args!(
                "{family}: the rules are in place already ({tool}), nothing was written"
            ));
            return Ok(());
        }
        let wrong = verify::verify(&tool, want);
        if !wrong.is_empty() {
            return Err(Error::NotInPlace {
                family,
                tool,
                wrong,
            });
        }
        self.log
            .info(format_args!("{family}: the rules are in place ({tool})"));
        Ok(())
    }

    fn clear(&self, found: &Found) -> Result<(), Error> {
        if self.settle(found, &RuleSet::default(), Manner::Changes)? {
            self.log.info(format_args!(
                "{}: rules removed ({})",
                self.family, found.tool
            ));
        }
        Ok(())
    }

    /// The best variant that can write.
    fn choose(&self, mut failures: Vec<Failure>) -> Result<&Found, Error> {
        for found in preferred(&self.survey.found, self.options.variant) {
            // What holds our rules has shown that it can be written; what is forced shall speak for itself.
            if self.options.variant.is_some() || !found.saved.owned.is_empty() {
                return Ok(found);
            }
            match found.tool.probe() {
                Ok(()) => return Ok(found),
                Err(failure) => failures.push(failure),
            }
        }
        if let Some(variant) = self.options.variant {
            failures.push(not_installed(variant, self.family));
        }
        Err(Error::NoBackend {
            family: self.family,
            failures,
        })
    }

    /// Writes until what is in place has the shape of `want`. Returns whether anything was written.
    ///
    /// Between looking and writing someone else may write; then the text does not apply, or has put a jump in twice.
    fn settle(&self, found: &Found, want: &RuleSet, manner: Manner) -> Result<bool, Error> {
        let goal = Owned::from(want);
        let (mut have, mut manner) = (found.saved.owned.clone(), manner);
        for attempt in 1.. {
            let Some(text) = self.change(&have, want, manner) else {
                return Ok(attempt > 1);
            };
            self.log
                .debug(format_args!("{} --noflush:\n{text}", found.tool));
            let outcome = found.tool.restore(&text);
            let now = found
                .tool
                .saved()
                .map_err(|source| self.failed(source))?
                .owned;
            match outcome {
                Ok(()) if now.shape() == goal.shape() => return Ok(true),
                Err(failure) if now == have || attempt == ATTEMPTS => {
                    return Err(self.failed(failure));
                }
                Ok(()) if attempt == ATTEMPTS => break,
                Ok(()) | Err(_) => (have, manner) = (now, Manner::Changes),
            }
        }
        let wrong = vec![format!(
            "after {ATTEMPTS} attempts there are still other rules of the mesh"
        )];
        Err(Error::NotInPlace {
            family: self.family,
            tool: found.tool,
            wrong,
        })
    }

    fn change(&self, have: &Owned, want: &RuleSet, manner: Manner) -> Option<String> {
        let text = restore::change(have, want, manner)?;
        let replaces = !have.is_empty();
        Some(match self.options.guarded && replaces {
            true => restore::guarded(&text),
            false => text,
        })
    }

    fn failed(&self, source: Failure) -> Error {
        Error::Tables {
            family: self.family,
            source,
        }
    }
}
