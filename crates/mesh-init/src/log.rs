//! Progress on stderr, at the level that `--log_output_level` asks for.
//!
//! Standard output carries data only (the rules that `--dry-run` prints), so nothing here may write to it. The program
//! lives for milliseconds and has one thread of work; a value passed down is all the logger it needs.

use std::fmt;
use std::str::FromStr;

/// How much to say, in the words of Istio's `--log_output_level`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Nothing; what ends the program is still reported.
    None,
    /// Failures that do not end the program.
    Error,
    /// What the user asked for and does not get.
    Warn,
    /// What was changed, or that nothing had to be.
    #[default]
    Info,
    /// Every text handed to iptables and every choice made.
    Debug,
}

impl FromStr for Level {
    type Err = String;

    /// Reads `LEVEL` or a list of `SCOPE:LEVEL`; the scope `default` (or `all`) decides, the others are checked and left.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut level = Level::default();
        for item in text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let (scope, name) = item.split_once(':').unwrap_or(("default", item));
            let named = Level::named(name)
                .ok_or_else(|| format!("`{name}` is not one of none, error, warn, info, debug"))?;
            if matches!(scope, "default" | "all") {
                level = named;
            }
        }
        Ok(level)
    }
}

impl Level {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Level::None,
            "fatal" | "error" => Level::Error,
            "warn" => Level::Warn,
            "info" => Level::Info,
            "debug" => Level::Debug,
            _ => return None,
        })
    }
}

/// Writes lines at or below its level to stderr.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log(pub(crate) Level);

impl Log {
    pub(crate) fn warn(self, message: fmt::Arguments<'_>) {
        self.write(Level::Warn, "warning", message);
    }

    pub(crate) fn info(self, message: fmt::Arguments<'_>) {
        self.write(Level::Info, "info", message);
    }

    pub(crate) fn debug(self, message: fmt::Arguments<'_>) {
        self.write(Level::Debug, "debug", message);
    }

    fn write(self, level: Level, label: &str, message: fmt::Arguments<'_>) {
        if level <= self.0 {
            eprintln!("{label}: {message}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_scope_decides() {
        assert_eq!("default:info".parse(), Ok(Level::Info));
        assert_eq!("warn".parse(), Ok(Level::Warn));
        assert_eq!("xdsproxy:debug,default:error".parse(), Ok(Level::Error));
        assert_eq!("xdsproxy:debug".parse(), Ok(Level::Info));
        assert_eq!("".parse(), Ok(Level::Info));
    }

    #[test]
    fn an_unknown_level_is_named() {
        let refused = "default:loud".parse::<Level>().unwrap_err();
        assert!(refused.contains("`loud`"), "{refused}");
    }
}
