//! The differences that are meant, read from the table that people read.
//!
//! ```text
//! | id | cases | fields | reason |
//! ```
//! `cases` and `fields` are names in which a `*` stands for any text; several are separated by commas.

use super::seen::Difference;
use anyhow::{Context, Result, ensure};
use std::{fs, path::Path};

/// The table.
pub(super) struct Listed(Vec<Row>);

struct Row {
    id: String,
    cases: Vec<String>,
    fields: Vec<String>,
    used: bool,
}

impl Row {
    fn covers(&self, case: &str, field: &str) -> bool {
        let is_one = |name: &str, patterns: &[String]| patterns.iter().any(|p| is_like(name, p));
        is_one(case, &self.cases) && is_one(field, &self.fields)
    }
}

impl Listed {
    /// # Errors
    /// If there is no such table, or a row of it has no reason.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        Self::parse(&text).with_context(|| file.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let mut rows = Vec::new();
        let mut inside = false;
        for line in text.lines() {
            let cells: Vec<_> = line
                .trim()
                .trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().replace('`', ""))
                .collect();
            match &cells[..] {
                [id, cases, fields, _] if id == "id" && cases == "cases" && fields == "fields" => {
                    inside = true;
                }
                [id, ..] if inside && id.starts_with("---") => {}
                [id, cases, fields, reason] if inside => {
                    ensure!(!reason.is_empty(), "{id}: there is no reason");
                    let names = |cell: &str| cell.split(',').map(|n| n.trim().to_owned()).collect();
                    rows.push(Row {
                        id: id.clone(),
                        cases: names(cases),
                        fields: names(fields),
                        used: false,
                    });
                }
                _ => inside = false,
            }
        }
        Ok(Self(rows))
    }

    /// Those of `differences` that are not listed.
    pub(super) fn judge<'a>(
        &mut self,
        case: &str,
        differences: &'a [Difference],
    ) -> Vec<&'a Difference> {
        let mut unlisted = Vec::new();
        for difference in differences {
            let rows = self.0.iter_mut();
            let mut rows = rows
                .filter(|row| row.covers(case, &difference.field))
                .peekable();
            if rows.peek().is_none() {
                unlisted.push(difference);
            }
            rows.for_each(|row| row.used = true);
        }
        unlisted
    }

    /// Rows that no case has shown.
    pub(super) fn unused(&self) -> Vec<&str> {
        let unused = self.0.iter().filter(|row| !row.used);
        unused.map(|row| row.id.as_str()).collect()
    }
}

/// Whether `name` is like `pattern`, in which `*` stands for any text.
fn is_like(name: &str, pattern: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return name == pattern;
    };
    let Some(rest) = name.strip_prefix(before) else {
        return false;
    };
    (0..=rest.len())
        .filter(|at| rest.is_char_boundary(*at))
        .any(|at| is_like(&rest[at..], after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (name, pattern, like) in [
            ("a", "a", true),
            ("a", "b", false),
            ("log.0.details", "log.*.details", true),
            ("log.0.details", "log.*.flags", false),
            ("retry-reset", "retry-*", true),
            ("anything", "*", true),
            ("", "*", true),
        ] {
            assert_eq!(is_like(name, pattern), like, "{name} {pattern}");
        }
    }

    #[test]
    fn a_row_without_reason_is_refused_and_prose_is_passed_over() {
        let table = "text | with | four | cells\n\n| id | cases | fields | reason |\n|---|---|---|---|\n| one | `a-*` | `0.body`, `0.status` | because |\n\nmore | of | it | here\n";
        let listed = Listed::parse(table).expect("a table");
        assert_eq!(listed.unused(), ["one"]);
        assert!(Listed::parse(&table.replace("because", "")).is_err());
    }
}
