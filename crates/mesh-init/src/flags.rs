//! The command line of `istio-iptables`: one table of settings drives the parser, the environment and the help text.
//!
//! This is the low side of the arguments: every value is still the text that was typed, with where it came from.
//! [`crate::config`] turns the text into meaning. A setting is taken from its flag, else from its environment variable
//! (the flag's name in upper case, `-` as `_`), else from its default; an empty variable counts as unset, because pod
//! templates cannot leave a variable out.

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

mod table;
pub use table::Key;
use table::{FLAGS, Flag, Form};

/// The subcommand's name, which is also the name under which a link to this program may be called.
const SUBCOMMAND: &str = "istio-iptables";

/// Where a setting's value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    CommandLine,
    /// This environment variable.
    Environment(String),
    /// The table of settings.
    Default,
}

/// One setting as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The value, unchecked.
    pub text: String,
    /// Where it came from.
    pub origin: Origin,
    /// How the setting is named to the user: `--flag`, or the variable if it has no flag.
    pub name: String,
}

/// Every setting as it was given, none of it checked yet.
#[derive(Clone, Debug)]
pub struct Settings(BTreeMap<Key, Given>);

impl Settings {
    /// Reads `args` (the first is the program's name) and, for what they leave out, `environment`.
    ///
    /// # Errors
    /// What clap reports: an unknown flag, a missing value, or a request for help or version.
    pub fn parse(
        args: impl IntoIterator<Item = OsString>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, clap::Error> {
        let matches = command().try_get_matches_from(with_subcommand(args))?;
        let given = matches.subcommand_matches(SUBCOMMAND);
        Ok(Self(
            FLAGS
                .iter()
                .map(|flag| (flag.key, flag.given(given, &environment)))
                .collect(),
        ))
    }

    /// The setting `key`.
    pub fn get(&self, key: Key) -> &Given {
        // Every key has its row in the table, so it is always there; each run reads all of them.
        &self.0[&key]
    }
}

impl Flag {
    /// The environment variable of this setting.
    fn env(&self) -> String {
        self.long.to_uppercase().replace('-', "_")
    }

    fn name(&self) -> String {
        match self.form {
            Form::Environment => self.env(),
            Form::Value(_) | Form::Switch => format!("--{}", self.long),
        }
    }

    fn given(
        &self,
        matches: Option<&ArgMatches>,
        environment: &impl Fn(&str) -> Option<String>,
    ) -> Given {
        let (text, origin) = self
            .typed(matches)
            .or_else(|| self.exported(environment))
            .unwrap_or_else(|| (self.default.to_owned(), Origin::Default));
        Given {
            text,
            origin,
            name: self.name(),
        }
    }

    fn typed(&self, matches: Option<&ArgMatches>) -> Option<(String, Origin)> {
        if matches!(self.form, Form::Environment) {
            return None;
        }
        let text = matches?.get_one::<String>(self.long)?;
        Some((text.clone(), Origin::CommandLine))
    }

    fn exported(&self, environment: &impl Fn(&str) -> Option<String>) -> Option<(String, Origin)> {
        std::iter::once(self.env())
            .chain(self.also_env.map(str::to_owned))
            .find_map(|name| {
                let text = environment(&name).filter(|text| !text.is_empty())?;
                Some((text, Origin::Environment(name)))
            })
    }

    fn arg(&self) -> Option<Arg> {
        let arg = Arg::new(self.long)
            .long(self.long)
            .help(self.help_text())
            .value_parser(ValueParser::string())
            .action(ArgAction::Set);
        let arg = match self.form {
            Form::Value(name) => arg.value_name(name),
            Form::Switch => arg
                .value_name("BOOL")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true"),
            Form::Environment => return None,
        };
        Some(match self.short {
            Some(short) => arg.short(short),
            None => arg,
        })
    }

    fn help_text(&self) -> String {
        let mut text = format!("{} [env: {}", self.help, self.env());
        if let Some(also) = self.also_env {
            text.push_str(", ");
            text.push_str(also);
        }
        text.push(']');
        if !self.default.is_empty() {
            text.push_str(&format!(" [default: {}]", self.default));
        }
        text
    }
}

/// The whole command line.
fn command() -> Command {
    Command::new("mesh-init")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Prepares a pod's network namespace for the mesh")
        .subcommand_required(true)
        .subcommand(
            Command::new(SUBCOMMAND)
                .about("Captures the pod's traffic for the sidecar by iptables rules")
                .after_help(environment_help())
                // As with Istio's own tool, the last of a repeated flag counts.
                .args_override_self(true)
                .args(FLAGS.iter().filter_map(Flag::arg)),
        )
}

fn environment_help() -> String {
    let mut text = String::from("Environment only:");
    for flag in FLAGS
        .iter()
        .filter(|flag| matches!(flag.form, Form::Environment))
    {
        text.push_str(&format!(
            "\n  {}  {} [default: {}]",
            flag.env(),
            flag.help,
            flag.default
        ));
    }
    text
}

/// Puts the subcommand in when the program is called by its name.
fn with_subcommand(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let called = args.first().and_then(|name| Path::new(name).file_name());
    if called == Some(OsStr::new(SUBCOMMAND)) {
        args.insert(1, SUBCOMMAND.into());
    }
    args
}

#[cfg(test)]
mod tests;
