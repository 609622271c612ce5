//! `meshctl admin log`: what running control planes log.

use serde::{Deserialize, Serialize};

use super::Open;
use crate::args::{ControlPlane, ControlPlaneLog, ScopesOutput};
use crate::failure::Failure;
use crate::fetch::{self, Discovery, Mesh};
use crate::view::columns::columns;
use crate::view::document;

/// Where a control plane tells its scopes, and takes their levels.
const SCOPES: &str = "/scopej/";
/// What it logs until told otherwise.
const DEFAULT_LEVEL: &str = "info";
const LEVELS: [&str; 6] = ["none", "error", "warn", "info", "debug", "trace"];
const PADDING: usize = 5;

/// A scope, as a control plane tells it.
#[derive(Debug, Serialize, Deserialize)]
struct Scope {
    name: String,
    #[serde(default)]
    description: String,
    output_level: String,
    #[serde(default)]
    stack_trace_level: String,
}

/// A wanted level, of one scope or of all.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    scope: Option<&'a str>,
    level: &'static str,
}

pub(super) fn run(command: &ControlPlane, mesh: Open<'_>) -> Result<String, Failure> {
    let ControlPlane::Log(args) = command;
    let wanted = wanted(args)?;
    let mesh = mesh()?;
    let planes = planes(args, &mesh)?;
    let mut texts = Vec::new();
    for plane in &planes {
        let scopes = set(plane, &wanted)?;
        let text = match args.output {
            ScopesOutput::Short => table(&scopes),
            ScopesOutput::Json => document::json(&json(&scopes)),
            ScopesOutput::Yaml => document::yaml(&json(&scopes)),
        };
        texts.push(match planes.len() {
            1 => text,
            _ => format!("{}:\n{text}", plane.name()),
        });
    }
    Ok(texts.join("\n"))
}

fn planes(args: &ControlPlaneLog, mesh: &Mesh) -> Result<Vec<Discovery>, Failure> {
    if let Some(pod) = &args.pod {
        return Ok(vec![mesh.discovery(Some(pod))?]);
    }
    let mut planes = mesh.discoveries()?;
    if let Some(wanted) = &args.revision {
        planes.retain(|plane| {
            let pod = plane.pod.as_ref();
            pod.and_then(|pod| pod.revision.as_ref()) == Some(wanted)
        });
        if planes.is_empty() {
            let message = format!("no control plane of revision {wanted} is ready");
            return Err(anyhow::Error::msg(message).into());
        }
    }
    Ok(planes)
}

/// Sets the levels, and gives those that hold then. Nothing is set where there is no such scope.
fn set(plane: &Discovery, wanted: &[Wanted<'_>]) -> Result<Vec<Scope>, Failure> {
    let scopes = scopes(plane)?;
    let known = |name: &str| scopes.iter().any(|scope| scope.name == name);
    for one in wanted.iter().filter_map(|wanted| wanted.scope) {
        if !known(one) {
            let names: Vec<_> = scopes.iter().map(|scope| scope.name.as_str()).collect();
            let message = format!("{} has no scope `{one}`", plane.name());
            return Err(Failure::usage(message).hint(format!("scopes are: {}", names.join(", "))));
        }
    }
    if wanted.is_empty() {
        return Ok(scopes);
    }
    for Wanted { scope, level } in wanted {
        let meant = scopes.iter().map(|one| one.name.as_str());
        for name in meant.filter(|name| scope.is_none_or(|wanted| wanted == *name)) {
            let body = serde_json::json!({"name": name, "output_level": level});
            plane.put(&format!("{SCOPES}{name}"), &body)?;
        }
    }
    self::scopes(plane)
}

fn scopes(plane: &Discovery) -> Result<Vec<Scope>, Failure> {
    let answer = plane.get(SCOPES).map_err(|error| match error {
        fetch::Error::Http(fetch::HttpError::Refused { status, .. }) if status == 404 => {
            Failure::from(error).hint("it is of a version that cannot change its log while it runs")
        }
        other => other.into(),
    })?;
    serde_json::from_str(&answer).map_err(|error| {
        let what = format!("the control plane's answer to {SCOPES} is not understood");
        Failure::bad_data(anyhow::Error::new(error).context(what))
    })
}

/// What was typed: levels for all scopes before those of single ones.
fn wanted(args: &ControlPlaneLog) -> Result<Vec<Wanted<'_>>, Failure> {
    if args.reset {
        return Ok(vec![Wanted {
            scope: None,
            level: DEFAULT_LEVEL,
        }]);
    }
    let mut wanted = Vec::new();
    for typed in &args.level {
        let (scope, name) = match typed.split_once(':') {
            None | Some(("all", _)) => (None, typed.trim_start_matches("all:")),
            Some((scope, name)) => (Some(scope), name),
        };
        wanted.push(Wanted {
            scope,
            level: level(name)?,
        });
    }
    wanted.sort_by_key(|one| one.scope.is_some());
    Ok(wanted)
}

fn level(typed: &str) -> Result<&'static str, Failure> {
    let name = match typed.to_ascii_lowercase().as_str() {
        "warning" => "warn".to_owned(),
        "off" => "none".to_owned(),
        "fatal" => "error".to_owned(),
        other => other.to_owned(),
    };
    let found = LEVELS.into_iter().find(|level| *level == name);
    found.ok_or_else(|| {
        Failure::usage(format!("`{typed}` is no log level"))
            .hint(format!("levels are: {}", LEVELS.join(", ")))
    })
}

fn json(scopes: &[Scope]) -> serde_json::Value {
    serde_json::to_value(scopes).unwrap_or_default()
}

fn table(scopes: &[Scope]) -> String {
    let header = [
        "ACTIVE SCOPE",
        "DESCRIPTION",
        "LOG LEVEL",
        "STACK TRACE LEVEL",
    ];
    let rows = scopes.iter().map(|scope| {
        [
            &scope.name,
            &scope.description,
            &scope.output_level,
            &scope.stack_trace_level,
        ]
        .map(String::clone)
        .to_vec()
    });
    let header = header.map(str::to_owned).to_vec();
    columns(
        &std::iter::once(header).chain(rows).collect::<Vec<_>>(),
        PADDING,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(level: &[&str], reset: bool) -> ControlPlaneLog {
        ControlPlaneLog {
            pod: None,
            level: level.iter().map(ToString::to_string).collect(),
            reset,
            revision: None,
            output: ScopesOutput::Short,
        }
    }

    #[test]
    fn levels_of_all_scopes_are_set_before_those_of_single_ones() {
        let set = |scope, level| Wanted { scope, level };
        let typed = args(&["ads:debug", "all:warn", "error"], false);
        let want = [
            set(None, "warn"),
            set(None, "error"),
            set(Some("ads"), "debug"),
        ];
        assert_eq!(wanted(&typed).expect("levels"), want);
        assert_eq!(
            wanted(&args(&[], true)).expect("levels"),
            [set(None, "info")]
        );
        assert!(wanted(&args(&[], false)).expect("nothing").is_empty());
        for typed in ["loud", "ads:loud", "ads:"] {
            let failure = wanted(&args(&[typed], false)).expect_err(typed).code;
            assert_eq!(failure, crate::failure::USAGE);
        }
    }
}
