//! `/logging`: levels of the log, by scope.

use super::{Facts, query::Query, reply::Reply};
use mesh_runtime::log::{Family, Level, Logging};
use std::{fmt::Write, sync::Arc};

/// Sets what the query asks for, nothing if it asks for nothing, and lists all levels as Envoy does.
pub(super) fn answer(facts: &Arc<Facts>, query: &Query) -> Reply {
    if let Err(why) = set(&facts.logging, query) {
        return Reply::bad_request(why);
    }
    let mut out = String::from("active loggers:\n");
    for (scope, level) in facts.logging.levels() {
        let _ = writeln!(out, "  {scope}: {level}");
    }
    Reply::text(out)
}

/// All changes or none: whatever can't be understood is found before anything is set.
fn set(logging: &Logging, query: &Query) -> Result<(), String> {
    let mut changes: Vec<(Option<String>, Level)> = Vec::new();
    for (name, value) in query.pairs() {
        let level = || value.parse::<Level>().map_err(|error| error.to_string());
        match name {
            "level" => changes.push((None, level()?)),
            "paths" => {
                let levels = mesh_runtime::log::parse_levels(value).map_err(|e| e.to_string())?;
                changes.extend(
                    levels
                        .into_iter()
                        .map(|(scope, level)| (Some(scope), level)),
                );
            }
            scope => changes.push((Some(scope.to_owned()), level()?)),
        }
    }
    let known = logging.levels();
    let unknown = changes
        .iter()
        .filter_map(|(scope, _)| scope.as_deref())
        .find(|scope| !known.iter().any(|(name, _)| name == scope));
    if let Some(scope) = unknown {
        return Err(format!(
            "there is no log scope `{scope}`\nhint: POST /logging lists them"
        ));
    }
    for (scope, level) in changes {
        match scope {
            Some(scope) => logging
                .set(&scope, level)
                .map_err(|error| error.to_string())?,
            None => logging.set_all(Family::Envoy, level),
        }
    }
    Ok(())
}
