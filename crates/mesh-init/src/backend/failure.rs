//! Why an iptables program failed, in words that say what is missing and what to do about it.
//!
//! The programs have five exit codes and say the rest in prose; [`explain`] reads that prose. What it does not
//! recognise is shown as it is.

use super::capability::{Capability, held};
use std::io;
use std::process::Output;
use thiserror::Error;

/// Why a program failed.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("the program `{program}` is not installed")]
    Missing { program: &'static str },
    #[error("the program `{program}` cannot be run")]
    Run {
        program: &'static str,
        source: io::Error,
    },
    #[error("`{program} --version` does not name a version: {said:?}")]
    NoVersion { program: &'static str, said: String },
    #[error("`{program}` needs {capability}, which this process does not have")]
    Capability {
        program: &'static str,
        capability: Capability,
    },
    #[error(
        "the kernel did not let `{program}` in, though this process has the capabilities: {said}"
    )]
    Refused { program: &'static str, said: String },
    #[error("`{program}` knows no {kind} `{name}`: its plugin is missing from the image")]
    Plugin {
        program: &'static str,
        kind: &'static str,
        name: String,
    },
    #[error("the kernel has no {kind} `{name}` for `{program}`: the module {module} is missing")]
    Module {
        program: &'static str,
        kind: &'static str,
        name: String,
        module: String,
    },
    #[error("`{program}` cannot open its lock file: {said}")]
    LockFile { program: &'static str, said: String },
    #[error("another program has held the lock of `{program}` for too long: {said}")]
    Busy { program: &'static str, said: String },
    #[error("`{program}` does not fit the running kernel: {said}")]
    Version { program: &'static str, said: String },
    #[error("`{program}` refused `{line}`: {said}")]
    Line {
        program: &'static str,
        line: String,
        said: String,
    },
    #[error("`{program}` failed ({status}): {said}")]
    Other {
        program: &'static str,
        status: std::process::ExitStatus,
        said: String,
    },
}

impl Failure {
    /// What the user can do.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Failure::Missing { program } | Failure::NoVersion { program, .. } => {
                let package = if *program == "ip" { "iproute2" } else { "iptables" };
                format!("install the package `{package}` in the image, or see that `{program}` is in PATH")
            }
            Failure::Capability { capability, .. } => format!(
                "give the container {} (securityContext.capabilities.add), or let the CNI plugin do this step",
                capability.to_string().trim_start_matches("CAP_")
            ),
            Failure::Refused { .. } => {
                "in a user namespace the network namespace must belong to it; seccomp or an LSM may also forbid this"
                    .to_owned()
            }
            Failure::Module { module, .. } => {
                format!("run `modprobe {module}` on the node, or choose another variant by --force-iptables-binary")
            }
            Failure::Plugin { .. } => "install the complete iptables package in the image".to_owned(),
            Failure::LockFile { .. } => {
                "run as root with a writable /run, or set XTABLES_LOCKFILE to a writable path".to_owned()
            }
            Failure::Busy { .. } => "run this again; it continues where it was stopped".to_owned(),
            Failure::Version { .. } => "use iptables programs as new as the node's kernel".to_owned(),
            Failure::Run { .. } | Failure::Line { .. } | Failure::Other { .. } => return None,
        })
    }
}

/// What `program`, which needs the capabilities `needs`, meant by failing on `input`.
pub(super) fn explain(
    program: &'static str,
    needs: &[Capability],
    output: &Output,
    input: &str,
) -> Failure {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said = Said {
        program,
        needs,
        text: stderr.trim(),
    };
    said.lock_file()
        .or_else(|| said.permission())
        .or_else(|| said.plugin())
        .or_else(|| said.module())
        .or_else(|| said.by_code(output.status.code()?))
        .or_else(|| said.line(input))
        .unwrap_or_else(|| Failure::Other {
            program,
            status: output.status,
            said: said.one_line(),
        })
}

/// What a program wrote to stderr.
struct Said<'a> {
    program: &'static str,
    needs: &'a [Capability],
    text: &'a str,
}

impl Said<'_> {
    fn has(&self, words: &str) -> bool {
        self.text.contains(words)
    }

    /// The text between two marks.
    fn between(&self, before: &str, after: char) -> Option<&str> {
        let (_, rest) = self.text.split_once(before)?;
        rest.split(after).next()
    }

    fn one_line(&self) -> String {
        let lines = self.text.lines().map(str::trim).filter(|line| {
            // Advice that leads nowhere from here.
            !line.is_empty() && !line.starts_with("Try `")
        });
        lines.collect::<Vec<_>>().join("; ")
    }

    fn lock_file(&self) -> Option<Failure> {
        let said = self.has("can't open lock file").then(|| self.one_line())?;
        Some(Failure::LockFile {
            program: self.program,
            said,
        })
    }

    fn permission(&self) -> Option<Failure> {
        let denied = [
            "Permission denied",
            "Operation not permitted",
            "must be root",
        ];
        if !denied.iter().any(|words| self.has(words)) {
            return self
                .missing_capability()
                .filter(|_| self.has("unable to initialize table"));
        }
        let refused = || Failure::Refused {
            program: self.program,
            said: self.one_line(),
        };
        Some(self.missing_capability().unwrap_or_else(refused))
    }

    fn missing_capability(&self) -> Option<Failure> {
        let capability = *self.needs.iter().find(|capability| !held(**capability))?;
        Some(Failure::Capability {
            program: self.program,
            capability,
        })
    }

    fn plugin(&self) -> Option<Failure> {
        ["match", "target"].into_iter().find_map(|kind| {
            let name = self
                .between(&format!("Couldn't load {kind} `"), '\'')?
                .to_owned();
            Some(Failure::Plugin {
                program: self.program,
                kind,
                name,
            })
        })
    }

    fn module(&self) -> Option<Failure> {
        if let Some(name) = self.between("Extension ", ' ') {
            let target = name.chars().all(|c| c.is_ascii_uppercase());
            let kind = if target { "target" } else { "match" };
            return Some(self.no_module(kind, name, format!("xt_{name}")));
        }
        let table = self
            .between("unable to initialize table '", '\'')
            .or_else(|| self.between("can't initialize iptables table `", '\''))
            .or_else(|| self.between("can't initialize ip6tables table `", '\''))?;
        let prefix = if self.program.starts_with("ip6") {
            "ip6table"
        } else {
            "iptable"
        };
        Some(self.no_module("table", table, format!("{prefix}_{table}")))
    }

    fn no_module(&self, kind: &'static str, name: &str, module: String) -> Failure {
        Failure::Module {
            program: self.program,
            kind,
            name: name.to_owned(),
            module,
        }
    }

    /// The exit codes of xtables that say more than “failed”.
    fn by_code(&self, code: i32) -> Option<Failure> {
        const VERSION_PROBLEM: i32 = 3;
        let (program, said) = (self.program, self.one_line());
        match code {
            VERSION_PROBLEM => Some(Failure::Version { program, said }),
            _ if self.has("xtables lock") => Some(Failure::Busy { program, said }),
            _ => None,
        }
    }

    /// The line of `input` that the program complains about.
    fn line(&self, input: &str) -> Option<Failure> {
        let number = self
            .between("line ", ' ')
            .or_else(|| self.between("line: ", '\n'))?;
        let number: usize = number
            .trim_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .ok()?;
        let line = input.lines().nth(number.checked_sub(1)?)?.to_owned();
        Some(Failure::Line {
            program: self.program,
            line,
            said: self.one_line(),
        })
    }
}

#[cfg(test)]
mod tests;
