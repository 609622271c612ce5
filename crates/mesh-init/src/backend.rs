//! The iptables programs: their names, what they can do, and running them.
//!
//! They come in two variants, one for each of the kernel's interfaces: the legacy programs speak to `ip_tables`, the
//! others to `nf_tables`. Which to use is [`survey`]'s business. They are run with a C locale, because [`failure`] reads
//! what they say.

use crate::config::Variant;
use crate::rules::{Family, Table};
use crate::saved::Saved;
use std::fmt;
use std::io::{self, Write};
use std::process::{Command, Output, Stdio};

mod capability;
mod failure;
mod survey;

pub(crate) use capability::{Capability, held};
pub(crate) use failure::Failure;
pub(crate) use survey::{Found, Survey, not_installed, preferred};

/// How long a program waits for another one's lock, in seconds.
const LOCK_WAIT_SECONDS: u32 = 30;

/// The names under which the programs come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    Legacy,
    Nft,
    /// Without a suffix: whichever variant the system has chosen.
    Plain,
}

/// The three programs of one naming and family.
#[derive(Clone, Copy, Debug)]
struct Programs {
    ask: &'static str,
    save: &'static str,
    restore: &'static str,
}

const fn programs(naming: Naming, family: Family) -> Programs {
    let (ask, save, restore) = match (family, naming) {
        (Family::V4, Naming::Legacy) => (
            "iptables-legacy",
            "iptables-legacy-save",
            "iptables-legacy-restore",
        ),
        (Family::V4, Naming::Nft) => ("iptables-nft", "iptables-nft-save", "iptables-nft-restore"),
        (Family::V4, Naming::Plain) => ("iptables", "iptables-save", "iptables-restore"),
        (Family::V6, Naming::Legacy) => (
            "ip6tables-legacy",
            "ip6tables-legacy-save",
            "ip6tables-legacy-restore",
        ),
        (Family::V6, Naming::Nft) => (
            "ip6tables-nft",
            "ip6tables-nft-save",
            "ip6tables-nft-restore",
        ),
        (Family::V6, Naming::Plain) => ("ip6tables", "ip6tables-save", "ip6tables-restore"),
    };
    Programs { ask, save, restore }
}

/// One installed variant for one family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    naming: Naming,
    variant: Variant,
    family: Family,
    /// Whether iptables-restore can wait for the lock (1.6.2 and later).
    waits: bool,
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.ask_program())
    }
}

impl Tool {
    /// Finds out about the programs of this naming; `None` if they are not installed.
    fn find(naming: Naming, family: Family) -> Result<Option<Self>, Failure> {
        let program = programs(naming, family).ask;
        let output = match run(program, &["--version"], None) {
            Ok(output) => output,
            Err(Failure::Missing { .. }) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let banner = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = version(&banner).ok_or(Failure::NoVersion {
            program,
            said: banner.clone(),
        })?;
        let variant = match banner.contains("(nf_tables)") {
            true => Variant::Nft,
            false => Variant::Legacy,
        };
        Ok(Some(Self {
            naming,
            variant,
            family,
            waits: version >= [1, 6, 2],
        }))
    }

    /// The program that answers questions about single rules.
    pub(crate) fn ask_program(&self) -> &'static str {
        programs(self.naming, self.family).ask
    }

    pub(crate) fn variant(&self) -> Variant {
        self.variant
    }

    fn needs(&self) -> &'static [Capability] {
        match self.variant {
            Variant::Legacy => &[Capability::NetAdmin, Capability::NetRaw],
            Variant::Nft => &[Capability::NetAdmin],
        }
    }

    /// What is in place.
    pub(crate) fn saved(&self) -> Result<Saved, Failure> {
        let program = programs(self.naming, self.family).save;
        let output = run(program, &[], None)?;
        if !output.status.success() {
            return Err(failure::explain(program, self.needs(), &output, ""));
        }
        Ok(Saved::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Carries out `text`, one transaction a table.
    pub(crate) fn restore(&self, text: &str) -> Result<(), Failure> {
        let program = programs(self.naming, self.family).restore;
        let wait = format!("--wait={LOCK_WAIT_SECONDS}");
        let args = ["--noflush", wait.as_str()];
        let args = if self.waits { &args[..] } else { &args[..1] };
        let output = run(program, args, Some(text))?;
        if !output.status.success() {
            return Err(failure::explain(program, self.needs(), &output, text));
        }
        Ok(())
    }

    /// Has the kernel take a rule and drop it again in one transaction, which proves that rules can be written.
    ///
    /// Nothing remains of it, however it is cut short.
    pub(crate) fn probe(&self) -> Result<(), Failure> {
        const HARMLESS: &str = "INPUT -p 255 -j RETURN";
        let table = Table::Nat.name();
        self.restore(&format!("*{table}\n-A {HARMLESS}\n-D {HARMLESS}\nCOMMIT\n"))
    }
}

/// Runs `ip` and returns what it printed.
pub(crate) fn ip(args: &[&str]) -> Result<String, Failure> {
    const PROGRAM: &str = "ip";
    let output = run(PROGRAM, args, None)?;
    if !output.status.success() {
        return Err(failure::explain(
            PROGRAM,
            &[Capability::NetAdmin],
            &output,
            "",
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program to its end, with `input` on its standard input.
fn run(program: &'static str, args: &[&str], input: Option<&str>) -> Result<Output, Failure> {
    let mut child = Command::new(program)
        .args(args)
        .env("LC_ALL", "C")
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Failure::Missing { program },
            _ => Failure::Run { program, source },
        })?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // A program that gives up early closes its end; why it did is in its exit status and on its stderr.
        let _ = stdin.write_all(input.as_bytes());
    }
    child
        .wait_with_output()
        .map_err(|source| Failure::Run { program, source })
}

/// The version in a banner like `iptables v1.8.9 (nf_tables)`.
fn version(banner: &str) -> Option<[u32; 3]> {
    let number = banner.split_whitespace().nth(1)?.strip_prefix('v')?;
    let mut parts = number.split('.').map(|part| part.parse().ok());
    Some([
        parts.next()??,
        parts.next()??,
        parts.next().flatten().unwrap_or(0),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(version("iptables v1.8.9 (nf_tables)\n"), Some([1, 8, 9]));
        assert_eq!(version("ip6tables v1.6.1\n"), Some([1, 6, 1]));
        assert_eq!(version("iptables v1.8 (legacy)"), Some([1, 8, 0]));
        assert_eq!(version("no such thing"), None);
    }
}
