//! One running part and its log.

use super::Site;
use crate::netns::container::Process;
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// How many lines of a log are shown.
const SHOWN: usize = 12;

/// A part of the node. Ends when it is dropped.
pub(crate) struct Daemon {
    process: Process,
    log: PathBuf,
}

impl Site {
    /// Starts `command` with its output in the log of `name`.
    pub(super) fn daemon(&self, name: &str, command: &mut Command) -> Result<Daemon> {
        let log = self.logs.join(format!("{name}.log"));
        // A part that is started again goes on in its log.
        let file = fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| log.display().to_string())?;
        command.stdout(file.try_clone()?).stderr(file);
        let process = Process::spawn(name.to_owned(), command)?;
        Ok(Daemon { process, log })
    }

    /// Starts the part `name` with `flags`, each without its dashes.
    pub(super) fn part(&self, name: &str, flags: &[String]) -> Result<Daemon> {
        let mut command = Command::new(self.parts.path(name));
        self.daemon(
            name,
            command.args(flags.iter().map(|flag| format!("--{flag}"))),
        )
    }
}

impl Daemon {
    /// What to say if it has ended, which none should.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.process.ended()?;
        Some(format!(
            "{} has ended: {status}\n{}",
            self.process.name,
            self.tail()
        ))
    }

    /// The last lines of its log.
    pub(crate) fn tail(&self) -> String {
        format!("--- {}\n{}\n", self.process.name, last_lines(&self.log))
    }
}

fn last_lines(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}
