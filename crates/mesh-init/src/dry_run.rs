//! What `--dry-run` prints: the texts and commands of a run on a pod that has nothing of ours yet, or, when cleaning
//! up, of one that has exactly these rules.
//!
//! Reads nothing of what is in place, because that takes the privileges which a dry run is for doing without.

use crate::config::{Action, Capture, Config};
use crate::restore::{self, Manner};
use crate::routes;
use crate::rules::{Family, RuleSet};
use crate::saved::Owned;
use std::fmt::Write;

/// The text.
pub fn text(config: &Config) -> String {
    match config.run.action {
        Action::Apply { .. } => applying(&config.capture),
        Action::CleanUp => cleaning_up(&config.capture),
        Action::Nothing => "# rules and routes stay as they are\n".to_owned(),
    }
}

fn applying(capture: &Capture) -> String {
    let mut text = String::new();
    for step in routes::all(Family::captured(capture), capture.transparent()) {
        line(&mut text, format_args!("# {step}"));
    }
    for family in Family::captured(capture) {
        let rules = RuleSet::capture(capture, *family);
        input(
            &mut text,
            *family,
            restore::change(&Owned::default(), &rules, Manner::Changes),
        );
    }
    text
}

fn cleaning_up(capture: &Capture) -> String {
    let mut text = String::new();
    for step in routes::all_removed(Family::captured(capture), capture.transparent()) {
        line(&mut text, format_args!("# {step}"));
    }
    for family in Family::captured(capture) {
        let have = Owned::from(&RuleSet::capture(capture, *family));
        input(
            &mut text,
            *family,
            restore::change(&have, &RuleSet::default(), Manner::Changes),
        );
    }
    text
}

fn input(text: &mut String, family: Family, change: Option<String>) {
    let program = match family {
        Family::V4 => "iptables-restore",
        Family::V6 => "ip6tables-restore",
    };
    line(text, format_args!("# {program} --noflush"));
    text.push_str(&change.unwrap_or_default());
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a String cannot fail");
}
