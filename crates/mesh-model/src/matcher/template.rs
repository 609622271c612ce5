//! Templates of paths, such as `/cart/*/items` or `/files/{name=**}`.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

/// Most operators of a template, as in Envoy.
const MOST_OPERATORS: usize = 5;

/// A path in which parts are left open (Envoy `UriTemplateMatchConfig`). `*` is one letter or more of one segment, `**`
/// any letters of any segments and stands last; a variable in braces is one of the two, or a path with them. Two are equal
/// if their texts are.
#[derive(Clone)]
pub struct PathTemplate {
    text: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Box<str>),
    /// Letters of one segment, at least one.
    Segment,
    /// Any letters of paths.
    Rest,
}

/// A text that is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// It does not start with a slash.
    #[error("does not start with a slash")]
    NoSlash,
    /// It has a letter that no path has, or none of its own.
    #[error("has {0:?} where no such letter can stand")]
    Letter(char),
    /// A brace has no other.
    #[error("has a brace without its other")]
    Brace,
    /// A variable has no name, or one that is taken.
    #[error("has a variable without a name of its own")]
    Name,
    /// Something is left open behind `**`.
    #[error("has something left open behind `**`")]
    BehindRest,
    /// Two parts that are left open touch each other.
    #[error("leaves two parts open that nothing divides")]
    Undivided,
    /// Too much is left open.
    #[error("leaves more than {MOST_OPERATORS} parts open")]
    TooMany,
}

impl PathTemplate {
    /// The template of that text.
    ///
    /// # Errors
    /// If it is none.
    pub fn new(text: &str) -> Result<Self, InvalidTemplate> {
        if !text.starts_with('/') {
            return Err(InvalidTemplate::NoSlash);
        }
        let mut parser = Parser::default();
        parser.read(text, true)?;
        let open = |part: &Part| !matches!(part, Part::Text(_));
        let parts = parser.parts;
        if parts.iter().filter(|part| open(part)).count() > MOST_OPERATORS {
            return Err(InvalidTemplate::TooMany);
        }
        if parts.windows(2).any(|two| two.iter().all(open)) {
            return Err(InvalidTemplate::Undivided);
        }
        let rest = parts.iter().position(|part| matches!(part, Part::Rest));
        if rest.is_some_and(|rest| parts[rest + 1..].iter().any(open)) {
            return Err(InvalidTemplate::BehindRest);
        }
        Ok(Self {
            text: text.into(),
            parts: parts.into(),
        })
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether all of `path`, which is without its query, is of this form.
    pub fn matches(&self, path: &str) -> bool {
        matches(&self.parts, path.as_bytes())
    }
}

/// Each segment that is left open takes as little as it can; where what follows does not fit, the last of them takes one
/// letter more. An earlier one never has to: what stands between them was found as early as it can be.
fn matches(parts: &[Part], path: &[u8]) -> bool {
    let (mut next, mut at) = (0, 0);
    // Place behind the last segment that is open, and what it has taken up to.
    let mut open: Option<(usize, usize)> = None;
    loop {
        let fits = match parts.get(next) {
            None if at == path.len() => return true,
            None => None,
            Some(Part::Text(text)) => {
                let found = path[at..].starts_with(text.as_bytes());
                found.then(|| at + text.len())
            }
            Some(Part::Segment) => {
                let taken = longer(path, at);
                open = taken.map(|at| (next + 1, at)).or(open);
                taken
            }
            // No letter that it can't take could be taken by anything before it.
            Some(Part::Rest) => return rest(&parts[next + 1..], &path[at..]),
        };
        if let Some(end) = fits {
            (next, at) = (next + 1, end);
        } else if let Some((behind, taken)) = open.take()
            && let Some(end) = longer(path, taken)
        {
            (next, at) = (behind, end);
            open = Some((behind, end));
        } else {
            return false;
        }
    }
}

fn longer(path: &[u8], at: usize) -> Option<usize> {
    path.get(at).filter(|b| is_letter(**b)).map(|_| at + 1)
}

fn rest(behind: &[Part], path: &[u8]) -> bool {
    let end: &[u8] = match behind {
        [Part::Text(end)] => end.as_bytes(),
        _ => b"",
    };
    let letters = path.strip_suffix(end);
    letters.is_some_and(|all| all.iter().all(|b| *b == b'/' || is_letter(*b)))
}

/// What a segment of a path may hold: RFC 3986's `pchar` without the asterisk.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=".contains(&byte)
}

#[derive(Default)]
struct Parser {
    parts: Vec<Part>,
    names: Vec<String>,
}

impl Parser {
    fn read(&mut self, text: &str, outermost: bool) -> Result<(), InvalidTemplate> {
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            rest = match letter {
                '*' => match rest.strip_prefix("**") {
                    Some(after) => {
                        self.parts.push(Part::Rest);
                        after
                    }
                    None => {
                        self.parts.push(Part::Segment);
                        &rest[1..]
                    }
                },
                '{' if outermost => {
                    let inside = rest[1..].split_once('}');
                    let (variable, after) = inside.ok_or(InvalidTemplate::Brace)?;
                    self.variable(variable)?;
                    after
                }
                '{' | '}' => return Err(InvalidTemplate::Brace),
                '/' => self.text(rest, 1),
                _ if u8::try_from(letter).is_ok_and(is_letter) => self.text(rest, 1),
                _ => return Err(InvalidTemplate::Letter(letter)),
            };
        }
        Ok(())
    }

    fn text<'a>(&mut self, rest: &'a str, length: usize) -> &'a str {
        let (text, after) = rest.split_at(length);
        match self.parts.last_mut() {
            Some(Part::Text(last)) => *last = format!("{last}{text}").into(),
            _ => self.parts.push(Part::Text(text.into())),
        }
        after
    }

    fn variable(&mut self, variable: &str) -> Result<(), InvalidTemplate> {
        let (name, pattern) = match variable.split_once('=') {
            Some((name, pattern)) => (name, pattern),
            None => (variable, "*"),
        };
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let good = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(word);
        if !good || pattern.is_empty() || self.names.iter().any(|taken| taken == name) {
            return Err(InvalidTemplate::Name);
        }
        self.names.push(name.into());
        self.read(pattern, false)
    }
}

impl PartialEq for PathTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PathTemplate {}

impl Hash for PathTemplate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_of_the_form_as_in_envoy() {
        for (template, yes, no) in [
            ("/cart/*/items", "/cart/7/items", "/cart/7/8/items"),
            ("/cart/*/items", "/cart/a%2Fb/items", "/cart//items"),
            ("/cart/*", "/cart/7", "/cart/"),
            ("/cart/**", "/cart/", "/cart"),
            ("/cart/**", "/cart/7/8", "/cart/7*8"),
            ("/v/*/*/*.m4s", "/v/1/hls/1.2.m4s", "/v/1/hls/1.m4s/"),
            ("/**.mpd", "/a/b/c.mpd", "/a/b/c.mpd.x"),
            ("/{name}/x", "/a/x", "/a/b/x"),
            ("/{name=a/*}/x", "/a/b/x", "/b/b/x"),
            ("/{name=**}", "/a/b", "a"),
            ("/v{version}/{id}.json", "/v2/4.5.json", "/v/4.json"),
            ("/*aab", "/aaab", "/aab"),
            ("/*ab*b", "/aababb", "/aaba"),
            ("/a", "/a", "/a/"),
        ] {
            let parsed = PathTemplate::new(template).unwrap_or_else(|e| panic!("{template} {e}"));
            assert!(parsed.matches(yes), "{template} {yes}");
            assert!(!parsed.matches(no), "{template} {no}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (text, want) in [
            ("a", InvalidTemplate::NoSlash),
            ("/a b", InvalidTemplate::Letter(' ')),
            ("/a?b", InvalidTemplate::Letter('?')),
            ("/é", InvalidTemplate::Letter('é')),
            ("/{a", InvalidTemplate::Brace),
            ("/a}", InvalidTemplate::Brace),
            ("/{a={b}}", InvalidTemplate::Brace),
            ("/{}", InvalidTemplate::Name),
            ("/{a}/{a}", InvalidTemplate::Name),
            ("/**/*", InvalidTemplate::BehindRest),
            ("/***", InvalidTemplate::Undivided),
            ("/*/*/*/*/*/*", InvalidTemplate::TooMany),
        ] {
            assert_eq!(PathTemplate::new(text).err(), Some(want), "{text}");
        }
    }
}
