//! What matches a regular expression, replaced.

use super::regex::{InvalidRegex, compile, readable};
use std::fmt;

/// Every part of a text that matches is replaced (Envoy `RegexMatchAndSubstitute`). Two are equal if they were written
/// alike.
#[derive(Clone)]
pub struct Substitution {
    pattern: Box<str>,
    replacement: Box<str>,
    program: regex::bytes::Regex,
    pieces: Box<[Piece]>,
}

/// A part of what is put in.
#[derive(Clone, Debug)]
enum Piece {
    Text(Box<str>),
    // What that group matched; zero: all of it.
    Group(usize),
}

/// A substitution that cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubstitution {
    /// The pattern cannot be used.
    #[error("the pattern {0}")]
    Pattern(InvalidRegex),
    /// A backslash stands before what is neither a digit nor a backslash.
    #[error("has a backslash before what is neither a digit nor a backslash")]
    Escape,
    /// A group is named that the pattern does not have.
    #[error("names group {0}, which the pattern does not have")]
    Group(usize),
}

impl Substitution {
    /// Replaces what matches `pattern` by `replacement`, in which `\1` is what the first group matched, and `\0` all of it.
    ///
    /// # Errors
    /// If the pattern cannot be used, or the replacement names what is not there.
    pub fn new(pattern: &str, replacement: &str) -> Result<Self, InvalidSubstitution> {
        let plain = readable(pattern).map_err(InvalidSubstitution::Pattern)?;
        let program = compile(&plain).map_err(InvalidSubstitution::Pattern)?;
        let pieces = pieces(replacement)?;
        let groups = program.captures_len();
        for piece in &pieces {
            match piece {
                Piece::Group(group) if *group >= groups => {
                    return Err(InvalidSubstitution::Group(*group));
                }
                _ => {}
            }
        }
        Ok(Self {
            pattern: pattern.into(),
            replacement: replacement.into(),
            program,
            pieces: pieces.into(),
        })
    }

    /// The pattern.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The replacement, as it was written.
    pub fn replacement(&self) -> &str {
        &self.replacement
    }

    /// `text` with all that matches replaced.
    pub fn apply(&self, text: &str) -> Vec<u8> {
        let put = |found: &regex::bytes::Captures<'_>| {
            let mut out = Vec::new();
            for piece in &self.pieces {
                match piece {
                    Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                    Piece::Group(group) => {
                        out.extend_from_slice(found.get(*group).map_or(b"", |m| m.as_bytes()));
                    }
                }
            }
            out
        };
        self.program.replace_all(text.as_bytes(), put).into_owned()
    }
}

fn pieces(replacement: &str) -> Result<Vec<Piece>, InvalidSubstitution> {
    let mut all = Vec::new();
    let mut text = String::new();
    let mut letters = replacement.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some('\\') => text.push('\\'),
            Some(digit @ '0'..='9') => {
                if !text.is_empty() {
                    all.push(Piece::Text(std::mem::take(&mut text).into()));
                }
                let group = digit.to_digit(10).map_or(0, |d| d as usize);
                all.push(Piece::Group(group));
            }
            _ => return Err(InvalidSubstitution::Escape),
        }
    }
    if !text.is_empty() {
        all.push(Piece::Text(text.into()));
    }
    Ok(all)
}

impl PartialEq for Substitution {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern && self.replacement == other.replacement
    }
}

impl Eq for Substitution {}

impl fmt::Debug for Substitution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} → {:?}", self.pattern, self.replacement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_matches_is_replaced_as_in_re2() {
        for (pattern, replacement, text, want) in [
            (
                "^/service/([^/]+)(/.*)$",
                r"\2/instance/\1",
                "/service/foo/v1/api",
                "/v1/api/instance/foo",
            ),
            ("one", "two", "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/two/zzz"),
            (
                "^(.*?)one(.*)$",
                r"\1two\2",
                "/xxx/one/yyy/one/zzz",
                "/xxx/two/yyy/one/zzz",
            ),
            ("(?i)/xxx/", "/yyy/", "/aaa/XxX/bbb", "/aaa/yyy/bbb"),
            ("b", r"[\0\\]", "abc", r"a[b\]c"),
            ("(x)?a", r"<\1>", "aa", "<><>"),
            ("b*", "-", "abbc", "-a-c-"),
            ("z", "y", "abc", "abc"),
        ] {
            let substitution = Substitution::new(pattern, replacement);
            let substitution = substitution.unwrap_or_else(|e| panic!("{pattern} {e}"));
            let got = substitution.apply(text);
            assert_eq!(String::from_utf8_lossy(&got), want, "{substitution:?}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for (pattern, replacement, error) in [
            ("(", "", InvalidSubstitution::Pattern(InvalidRegex::Syntax)),
            ("a", r"\1", InvalidSubstitution::Group(1)),
            ("a", r"\x", InvalidSubstitution::Escape),
            ("a", r"\", InvalidSubstitution::Escape),
        ] {
            assert_eq!(Substitution::new(pattern, replacement).err(), Some(error));
        }
    }
}
