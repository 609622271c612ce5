//! Puts the whole capture in place or takes it away: both families' rules, and the routes beside them.
//!
//! Each family is looked at before anything is changed. Routes that TPROXY has left are known by its rules, so they go
//! before the rules do: a run that is killed in between is recognised by the next one.

use crate::apply::{self, Convergence, Options, Unreadable};
use crate::backend::Failure;
use crate::config::{Capture, Tproxy};
use crate::log::Log;
use crate::routes::{self, Step};
use crate::rules::{Chain, Family, RuleSet, Table};
use thiserror::Error;

const BOTH: [Family; 2] = [Family::V4, Family::V6];

/// Why the capture is not as it should be.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("the pod's traffic is not captured as asked")]
    Rules(#[source] apply::Error),
    #[error("the addresses and routes beside the rules could not be set")]
    Routes(#[source] Failure),
}

impl Error {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Error::Rules(error) => error.hint(),
            Error::Routes(failure) => failure.hint(),
        }
    }
}

/// Puts `capture` in place.
pub(crate) fn apply(capture: &Capture, options: Options, log: Log) -> Result<(), Error> {
    let [v4, v6] = BOTH.map(|family| Convergence::new(family, options, log));
    let (families, tproxy) = (Family::captured(capture), capture.transparent());
    if tproxy.is_none() {
        remove_routes(stale_routes(&v4, &v6, capture), log)?;
    }
    report(
        &routes::apply(families, tproxy).map_err(Error::Routes)?,
        log,
    );
    for (family, convergence) in BOTH.into_iter().zip([v4, v6]) {
        let outcome = match families.contains(&family) {
            true => convergence.put(&RuleSet::capture(capture, family)),
            false => convergence.remove(Unreadable::IsEmpty),
        };
        outcome.map_err(Error::Rules)?;
    }
    Ok(())
}

/// Removes everything that is ours, whatever flags it was put in place with.
pub(crate) fn clean_up(capture: &Capture, log: Log) -> Result<(), Error> {
    let [v4, v6] = BOTH.map(|family| Convergence::new(family, Options::default(), log));
    let stale = || stale_routes(&v4, &v6, capture);
    remove_routes(capture.transparent().or_else(stale), log)?;
    report(&routes::remove_address().map_err(Error::Routes)?, log);
    for convergence in [v4, v6] {
        convergence
            .remove(Unreadable::Fails)
            .map_err(Error::Rules)?;
    }
    log.info(format_args!("nothing of the mesh is left"));
    Ok(())
}

/// The routes that belong to TPROXY rules in place.
fn stale_routes(v4: &Convergence, v6: &Convergence, capture: &Capture) -> Option<Tproxy> {
    let in_place = |family: &Convergence| family.finds(Table::Mangle, Chain::Tproxy);
    (in_place(v4) || in_place(v6)).then_some(capture.tproxy)
}

fn remove_routes(tproxy: Option<Tproxy>, log: Log) -> Result<(), Error> {
    if let Some(tproxy) = tproxy {
        report(&routes::remove(tproxy).map_err(Error::Routes)?, log);
    }
    Ok(())
}

fn report(steps: &[Step], log: Log) {
    for step in steps {
        log.info(format_args!("{step}"));
    }
}
