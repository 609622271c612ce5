//! Where two texts differ, as `diff -u` prints it.

use std::fmt::Write;

/// Lines of agreement around a difference.
const CONTEXT: usize = 3;
/// Texts whose differing parts are larger than this many pairs of lines are shown as replaced, not compared line by
/// line.
const PAIRS: usize = 4_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    Keep,
    Remove,
    Add,
}

impl Edit {
    fn sign(self) -> char {
        match self {
            Self::Keep => ' ',
            Self::Remove => '-',
            Self::Add => '+',
        }
    }
}

/// The unified difference of two named texts; empty if there is none.
pub(crate) fn unified(old: (&str, &str), new: (&str, &str)) -> String {
    let (a, b): (Vec<_>, Vec<_>) = (old.1.lines().collect(), new.1.lines().collect());
    let edits = edits(&a, &b);
    let hunks = hunks(&edits);
    if hunks.is_empty() {
        return String::new();
    }
    let mut text = format!("--- {}\n+++ {}\n", old.0, new.0);
    for (start, end) in hunks {
        let count = |from: usize, to: usize, not: Edit| {
            edits[from..to]
                .iter()
                .filter(|(edit, _)| *edit != not)
                .count()
        };
        let (lines_a, lines_b) = (
            count(start, end, Edit::Add),
            count(start, end, Edit::Remove),
        );
        let first = |before: usize, lines: usize| if lines == 0 { before } else { before + 1 };
        let first_a = first(count(0, start, Edit::Add), lines_a);
        let first_b = first(count(0, start, Edit::Remove), lines_b);
        let _ = writeln!(text, "@@ -{first_a},{lines_a} +{first_b},{lines_b} @@");
        for (edit, line) in &edits[start..end] {
            let _ = writeln!(text, "{}{line}", edit.sign());
        }
    }
    text
}

/// Where to begin and end: every change with its context, joined where the contexts touch.
fn hunks(edits: &[(Edit, &str)]) -> Vec<(usize, usize)> {
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    let changes = edits
        .iter()
        .enumerate()
        .filter(|(_, (edit, _))| *edit != Edit::Keep);
    for (at, _) in changes {
        let (start, end) = (
            at.saturating_sub(CONTEXT),
            (at + 1 + CONTEXT).min(edits.len()),
        );
        match hunks.last_mut() {
            Some(last) if start <= last.1 => last.1 = end,
            _ => hunks.push((start, end)),
        }
    }
    hunks
}

/// The shortest way from `a` to `b`, line by line.
fn edits<'a>(a: &[&'a str], b: &[&'a str]) -> Vec<(Edit, &'a str)> {
    let head = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (rest_a, rest_b) = (&a[head..], &b[head..]);
    let tail = rest_a
        .iter()
        .rev()
        .zip(rest_b.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (mid_a, mid_b) = (
        &rest_a[..rest_a.len() - tail],
        &rest_b[..rest_b.len() - tail],
    );
    let keep = |lines: &[&'a str]| {
        lines
            .iter()
            .map(|line| (Edit::Keep, *line))
            .collect::<Vec<_>>()
    };
    let mut edits = keep(&a[..head]);
    edits.extend(middle(mid_a, mid_b));
    edits.extend(keep(&rest_a[rest_a.len() - tail..]));
    edits
}

fn middle<'a>(a: &[&'a str], b: &[&'a str]) -> Vec<(Edit, &'a str)> {
    let mut edits = Vec::new();
    let (mut i, mut j) = (0, 0);
    if a.len().saturating_mul(b.len()) <= PAIRS {
        let common = common(a, b);
        while i < a.len() && j < b.len() {
            if a[i] == b[j] {
                edits.push((Edit::Keep, a[i]));
                (i, j) = (i + 1, j + 1);
            } else if common[i + 1][j] >= common[i][j + 1] {
                edits.push((Edit::Remove, a[i]));
                i += 1;
            } else {
                edits.push((Edit::Add, b[j]));
                j += 1;
            }
        }
    }
    edits.extend(a[i..].iter().map(|line| (Edit::Remove, *line)));
    edits.extend(b[j..].iter().map(|line| (Edit::Add, *line)));
    edits
}

/// How many lines the rests of both texts have in common, for every pair of rests.
fn common(a: &[&str], b: &[&str]) -> Vec<Vec<u32>> {
    let mut common = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = match a[i] == b[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(unified(("a", "x\ny\n"), ("b", "x\ny\n")), "");
    }

    #[test]
    fn a_change_is_shown_with_its_context() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n";
        let new = "1\n2\n3\n4\nfive\n6\n7\n8\n";
        let expected = "--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n";
        assert_eq!(unified(("a", old), ("b", new)), expected);
    }

    #[test]
    fn distant_changes_are_apart_and_kept_lines_are_found() {
        let old: String = (0..20).map(|n| format!("{n}\n")).collect();
        let new = old.replace("2\n3\n", "x\n3\n").replace("\n18\n", "\n");
        let text = unified(("a", &old), ("b", &new));
        assert_eq!(text.matches("@@ -").count(), 2, "{text}");
        assert!(
            text.contains("-18\n") && text.contains("+x\n 3\n"),
            "{text}"
        );
    }

    #[test]
    fn a_text_can_appear_and_go() {
        assert_eq!(
            unified(("a", ""), ("b", "x\n")),
            "--- a\n+++ b\n@@ -0,0 +1,1 @@\n+x\n"
        );
        assert_eq!(
            unified(("a", "x\n"), ("b", "")),
            "--- a\n+++ b\n@@ -1,1 +0,0 @@\n-x\n"
        );
    }
}
