//! Regular expressions of RE2's dialect, run by a linear engine on bytes.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

/// Longest pattern, in bytes.
const MOST_PATTERN_BYTES: usize = 1024;
/// Largest compiled form, in bytes.
const MOST_PROGRAM_BYTES: usize = 64 << 10;

/// A regular expression that a whole text has to match.
///
/// Letters, digits and spaces are ASCII's, as in RE2. Two are equal if their patterns are.
#[derive(Clone)]
pub struct Regex {
    pattern: Box<str>,
    program: regex::bytes::Regex,
}

/// A pattern that is no regular expression, or too costly a one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRegex {
    /// The pattern is too long.
    #[error("is longer than {MOST_PATTERN_BYTES} bytes")]
    TooLong,
    /// Its compiled form is too large.
    #[error("needs more than {MOST_PROGRAM_BYTES} bytes once it is compiled")]
    TooLarge,
    /// It cannot be read.
    #[error("is no regular expression of ASCII text")]
    Syntax,
}

impl Regex {
    /// The expression of that pattern.
    ///
    /// # Errors
    /// If it cannot be read, or costs too much.
    pub fn new(pattern: &str) -> Result<Self, InvalidRegex> {
        let plain = readable(pattern)?;
        // By itself first, so that no stray parenthesis of its own ends the group that it is put into.
        compile(&plain)?;
        Ok(Self {
            pattern: pattern.into(),
            program: compile(&format!(r"\A(?:{plain})\z"))?,
        })
    }

    /// The pattern.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Whether all of `text` matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.program.is_match(text)
    }
}

pub(super) fn compile(pattern: &str) -> Result<regex::bytes::Regex, InvalidRegex> {
    let built = regex::bytes::RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(MOST_PROGRAM_BYTES)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => InvalidRegex::TooLarge,
        _ => InvalidRegex::Syntax,
    })
}

/// `pattern` as the engine reads it.
pub(super) fn readable(pattern: &str) -> Result<String, InvalidRegex> {
    match pattern.len() > MOST_PATTERN_BYTES {
        true => Err(InvalidRegex::TooLong),
        false => Ok(as_in_re2(pattern)),
    }
}

/// `pattern` with what is plain text inside RE2's `[…]`, but stands for operations on sets here, escaped.
fn as_in_re2(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut letters = pattern.chars().peekable();
    // The letter before, inside a class.
    let mut class: Option<Option<char>> = None;
    while let Some(letter) = letters.next() {
        match (letter, class) {
            ('\\', _) => {
                out.push(letter);
                out.extend(letters.next());
                class = class.map(|_| Some('\\'));
                continue;
            }
            ('[', None) => {
                out.push(letter);
                out.extend(letters.next_if_eq(&'^'));
                class = Some(None);
                // First in a class, these are plain text.
                match letters.next_if(|next| matches!(next, ']' | '-')) {
                    Some(first) => out.extend(['\\', first]),
                    None => continue,
                }
            }
            ('[', Some(_)) if letters.peek() == Some(&':') => {
                out.push(letter);
                for inner in letters.by_ref() {
                    out.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            (']', Some(_)) => {
                out.push(letter);
                class = None;
                continue;
            }
            ('[' | '&' | '~', Some(_)) | ('-', Some(Some('-'))) => out.extend(['\\', letter]),
            _ => out.push(letter),
        }
        class = class.map(|_| Some(letter));
    }
    out
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for Regex {}

impl Hash for Regex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pattern.hash(state);
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.pattern, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_must_match_as_in_re2() {
        for (pattern, yes, no) in [
            ("a|ab", "ab", "abc"),
            ("a.c", "abc", "a\nc"),
            ("(?i)get", "GeT", "GeTs"),
            (r"\d+", "12", "١٢"),
            (r"\w", "_", "é"),
            ("", "", "a"),
            ("^/a$", "/a", "/a/"),
            // Classes: plain text in RE2.
            ("[a[b]", "[", "]"),
            ("[a[b]c]", "[c]", "a"),
            ("[a&&b]", "&", "c"),
            ("[a~~b]", "~", "c"),
            ("[a-c--]", "-", "d"),
            ("[]a]", "]", "["),
            ("[^]a]", "b", "]"),
            ("[-a]", "-", "b"),
            ("[[:digit:]x]", "7", ":"),
            (r"[\]a]", "]", "b"),
        ] {
            let regex = Regex::new(pattern).unwrap_or_else(|e| panic!("{pattern} {e}"));
            assert!(regex.matches(yes.as_bytes()), "{pattern} {yes}");
            assert!(!regex.matches(no.as_bytes()), "{pattern} {no}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_match_by_byte() {
        let regex = Regex::new("a.c").expect("valid");
        assert!(regex.matches(b"a\xffc"));
    }

    #[test]
    fn bad_and_costly_ones_are_refused() {
        for (pattern, error) in [
            ("a)|(b".to_owned(), InvalidRegex::Syntax),
            ("(?<!a)b".to_owned(), InvalidRegex::Syntax),
            (r"(a)\1".to_owned(), InvalidRegex::Syntax),
            ("[".to_owned(), InvalidRegex::Syntax),
            ("((a{100}){100}){100}".to_owned(), InvalidRegex::TooLarge),
            ("a".repeat(1025), InvalidRegex::TooLong),
        ] {
            assert_eq!(Regex::new(&pattern).err(), Some(error), "{pattern}");
        }
    }
}
