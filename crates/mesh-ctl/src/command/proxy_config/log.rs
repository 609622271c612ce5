//! `meshctl proxy-config log`: what a running proxy logs.

use crate::args::{Admin, LogLevels, Pods};
use crate::failure::Failure;
use crate::fetch::Mesh;

const LOGGING: &str = "/logging";
/// What proxies log until told otherwise.
const DEFAULT_LEVEL: &str = "warning";
const LEVELS: [&str; 7] = [
    "trace", "debug", "info", "warning", "error", "critical", "off",
];

/// Sets the levels that were asked for, and prints those that hold then.
pub(super) fn run(
    pods: &Pods,
    levels: &LogLevels,
    admin: Admin,
    mesh: &Mesh,
) -> Result<String, Failure> {
    let changes = changes(levels)?;
    let labelled;
    let pods = match &pods.selector {
        Some(labels) => {
            labelled = mesh.labelled(labels)?;
            &labelled
        }
        None => &pods.typed,
    };
    let mut texts = Vec::new();
    for pod in pods {
        let proxy = mesh.proxy_at(pod, admin.proxy_admin_port)?;
        for change in &changes {
            proxy.post(change)?;
        }
        texts.push(format!(
            "{}:\n{}\n",
            proxy.name,
            proxy.post(LOGGING)?.trim_end()
        ));
    }
    Ok(texts.join("\n"))
}

/// The requests that bring the levels about: all loggers first, then single ones.
fn changes(levels: &LogLevels) -> Result<Vec<String>, Failure> {
    if levels.reset {
        return Ok(vec![format!("{LOGGING}?level={DEFAULT_LEVEL}")]);
    }
    let (mut all, mut single) = (Vec::new(), Vec::new());
    for typed in &levels.level {
        match typed.split_once([':', '=']) {
            None => all.push(format!("{LOGGING}?level={}", level(typed)?)),
            Some((logger, name)) => {
                single.push(format!("{}:{}", logger_name(logger)?, level(name)?))
            }
        }
    }
    if !single.is_empty() {
        all.push(format!("{LOGGING}?paths={}", single.join(",")));
    }
    Ok(all)
}

/// A level as proxies call it.
fn level(typed: &str) -> Result<&'static str, Failure> {
    let name = match typed.to_ascii_lowercase().as_str() {
        "warn" => "warning".to_owned(),
        "none" => "off".to_owned(),
        other => other.to_owned(),
    };
    LEVELS
        .into_iter()
        .find(|level| *level == name)
        .ok_or_else(|| {
            Failure::usage(format!("`{typed}` is no log level"))
                .hint(format!("levels are: {}", LEVELS.join(", ")))
        })
}

fn logger_name(typed: &str) -> Result<&str, Failure> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match !typed.is_empty() && typed.chars().all(known) {
        true => Ok(typed),
        false => Err(Failure::usage(format!("`{typed}` is no name of a logger"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(level: &[&str], reset: bool) -> Result<Vec<String>, Failure> {
        let level = level.iter().map(ToString::to_string).collect();
        changes(&LogLevels { level, reset })
    }

    #[test]
    fn all_loggers_are_set_before_single_ones() {
        let changes = asked(&["http:debug", "info", "rbac:warn"], false).unwrap();
        assert_eq!(
            changes,
            [
                "/logging?level=info",
                "/logging?paths=http:debug,rbac:warning"
            ]
        );
        assert_eq!(asked(&[], true).unwrap(), ["/logging?level=warning"]);
        assert_eq!(asked(&[], false).unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_no_level_is_refused_before_anything_is_asked() {
        for typed in ["loud", "http:loud", "a&b:debug", ":debug"] {
            let failure = asked(&[typed], false).unwrap_err();
            assert_eq!(failure.code, crate::failure::USAGE, "{typed}");
        }
    }
}
