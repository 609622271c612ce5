//! Paths with variables (Envoy's URI templates).
//!
//! `/{tenant}/files/{path=**}.json` takes `/acme/files/a/b.json`. A star is one or more letters without a slash, two are
//! any letters. A path's variables may be put into another.

use std::{fmt, str::FromStr};

/// Most variables of a template.
const MOST_VARIABLES: usize = 5;
/// Most letters of a variable's name.
const MOST_LETTERS: usize = 16;

/// A template that takes paths. Two are equal if they were written alike.
#[derive(Clone)]
pub struct UriTemplate {
    text: Box<str>,
    program: regex::Regex,
}

/// A path that is made of a template's variables. Two are equal if they were written alike.
#[derive(Clone, PartialEq, Eq)]
pub struct TemplateRewrite {
    text: Box<str>,
    pieces: Box<[Piece]>,
}

#[derive(Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Variable(Box<str>),
}

/// What is no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// It does not begin with a slash.
    #[error("does not begin with a slash")]
    NoSlash,
    /// It has a letter that cannot stand there.
    #[error("has a segment that is neither text, nor a star, nor a variable")]
    Segment,
    /// A variable is not closed, or its name or match cannot be read.
    #[error("has a variable that cannot be read")]
    Variable,
    /// A variable's name is there twice.
    #[error("has a variable twice")]
    Repeated,
    /// It has too many variables.
    #[error("has more than {MOST_VARIABLES} variables")]
    TooMany,
    /// A star stands behind two stars.
    #[error("has a star behind two stars")]
    AfterGlob,
}

impl UriTemplate {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether all of `path`, without its query, is like it.
    pub fn matches(&self, path: &str) -> bool {
        self.program.is_match(path)
    }

    /// Whether it has all variables of `rewrite`.
    pub fn has_all_of(&self, rewrite: &TemplateRewrite) -> bool {
        let mut names = self.program.capture_names().flatten();
        let names: Vec<_> = names.by_ref().collect();
        rewrite.variables().all(|name| names.contains(&name))
    }

    /// `rewrite` with what the variables are in `path`; `None` if the path is not like the template.
    pub fn rewrite(&self, path: &str, rewrite: &TemplateRewrite) -> Option<String> {
        let found = self.program.captures(path)?;
        let pieces = rewrite.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => &**text,
            Piece::Variable(name) => found.name(name).map_or("", |m| m.as_str()),
        });
        Some(pieces.collect())
    }
}

impl FromStr for UriTemplate {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        let pattern = Parser::default().pattern(text)?;
        let program = regex::RegexBuilder::new(&pattern).unicode(false).build();
        Ok(Self {
            text: text.into(),
            program: program.map_err(|_| InvalidTemplate::Segment)?,
        })
    }
}

impl PartialEq for UriTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for UriTemplate {}

impl fmt::Debug for UriTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// Turns a template into a regular expression.
#[derive(Default)]
struct Parser {
    names: Vec<String>,
    globbed: bool,
}

impl Parser {
    fn pattern(mut self, text: &str) -> Result<String, InvalidTemplate> {
        let mut rest = text.strip_prefix('/').ok_or(InvalidTemplate::NoSlash)?;
        let mut out = String::from(r"\A/");
        while !rest.is_empty() {
            if let Some(variable) = rest.strip_prefix('{') {
                let (variable, after) =
                    variable.split_once('}').ok_or(InvalidTemplate::Variable)?;
                out += &self.variable(variable)?;
                rest = after;
            } else {
                rest = self.item(rest, &mut out)?;
            }
            match rest.strip_prefix('/') {
                Some(after) => {
                    out.push('/');
                    rest = after;
                }
                // What follows a star or a variable directly is the end.
                None if !rest.is_empty() => {
                    expect_text(rest)?;
                    out += &regex::escape(rest);
                    rest = "";
                }
                None => {}
            }
        }
        Ok(out + r"\z")
    }

    // A star, two stars, or text up to a slash; what follows it.
    fn item<'a>(&mut self, text: &'a str, out: &mut String) -> Result<&'a str, InvalidTemplate> {
        if let Some(rest) = text.strip_prefix("**") {
            self.glob(true)?;
            out.push_str(r"[a-zA-Z0-9\-._~%!$&'()+,;:@=/]*");
            return Ok(rest);
        }
        if let Some(rest) = text.strip_prefix('*') {
            self.glob(false)?;
            out.push_str(ONE_SEGMENT);
            return Ok(rest);
        }
        let (literal, _) = text.split_once('/').unwrap_or((text, ""));
        expect_text(literal)?;
        *out += &regex::escape(literal);
        Ok(&text[literal.len()..])
    }

    fn glob(&mut self, any: bool) -> Result<(), InvalidTemplate> {
        if self.globbed {
            return Err(InvalidTemplate::AfterGlob);
        }
        self.globbed = any;
        Ok(())
    }

    fn variable(&mut self, text: &str) -> Result<String, InvalidTemplate> {
        let (name, mut items) = match text.split_once('=') {
            Some((_, "")) => return Err(InvalidTemplate::Variable),
            Some((name, items)) => (name, items),
            None => (text, "*"),
        };
        expect_name(name)?;
        if self.names.iter().any(|other| other == name) {
            return Err(InvalidTemplate::Repeated);
        }
        if self.names.len() == MOST_VARIABLES {
            return Err(InvalidTemplate::TooMany);
        }
        self.names.push(name.to_owned());
        let mut out = format!("(?P<{name}>");
        loop {
            items = self.item(items, &mut out)?;
            match items.strip_prefix('/') {
                None if items.is_empty() => break,
                None | Some("") => return Err(InvalidTemplate::Variable),
                Some(rest) => items = rest,
            }
            out.push('/');
        }
        Ok(out + ")")
    }
}

const ONE_SEGMENT: &str = r"[a-zA-Z0-9\-._~%!$&'()+,;:@=]+";

fn expect_text(text: &str) -> Result<(), InvalidTemplate> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=".contains(&b);
    match !text.is_empty() && text.bytes().all(plain) {
        true => Ok(()),
        false => Err(InvalidTemplate::Segment),
    }
}

fn expect_name(name: &str) -> Result<(), InvalidTemplate> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match starts && plain && name.len() <= MOST_LETTERS {
        true => Ok(()),
        false => Err(InvalidTemplate::Variable),
    }
}

impl TemplateRewrite {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Variable(name) => Some(&**name),
        })
    }
}

impl FromStr for TemplateRewrite {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        if !text.starts_with('/') {
            return Err(InvalidTemplate::NoSlash);
        }
        if text.contains("//") {
            return Err(InvalidTemplate::Segment);
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, variable) = match rest.split_once('{') {
                Some((literal, after)) => (literal, Some(after)),
                None => (rest, None),
            };
            if !literal.is_empty() {
                literal
                    .split('/')
                    .filter(|part| !part.is_empty())
                    .try_for_each(expect_text)?;
                pieces.push(Piece::Text(literal.into()));
            }
            let Some(after) = variable else {
                break;
            };
            let (name, after) = after.split_once('}').ok_or(InvalidTemplate::Variable)?;
            expect_name(name)?;
            pieces.push(Piece::Variable(name.into()));
            rest = after;
        }
        Ok(Self {
            text: text.into(),
            pieces: pieces.into(),
        })
    }
}

impl fmt::Debug for TemplateRewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> UriTemplate {
        text.parse().unwrap_or_else(|e| panic!("{text} {e}"))
    }

    #[test]
    fn paths_are_taken_as_in_envoy() {
        for (text, path, taken) in [
            ("/", "/", true),
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/a/", "/a/", true),
            ("/*", "/a", true),
            ("/*", "/a/b", false),
            ("/*", "/", false),
            ("/**", "/a/b", true),
            ("/**", "/", true),
            ("/{x}/b", "/a/b", true),
            ("/{x}.json", "/a.json", true),
            ("/{x}.json", "/a.jsonx", false),
            ("/{x=**}.m3u8", "/a/b.m3u8", true),
            ("/{x=videos/*}/end", "/videos/1/end", true),
            ("/{x=videos/*}/end", "/audio/1/end", false),
            ("/a.b", "/axb", false),
        ] {
            assert_eq!(template(text).matches(path), taken, "{text} {path}");
        }
    }

    #[test]
    fn variables_are_put_into_another_path() {
        for (text, rewrite, path, want) in [
            ("/{a}/{b}", "/{b}/{a}", "/x/y", Some("/y/x")),
            ("/{a=**}", "/pre/{a}", "/x/y", Some("/pre/x/y")),
            ("/{a}", "/b", "/x", Some("/b")),
            ("/{a}", "/{a}", "/x/y", None),
            ("/{a}-x", "/{a}", "/q-x", Some("/q")),
        ] {
            let rewrite: TemplateRewrite = rewrite.parse().expect("valid");
            let got = template(text).rewrite(path, &rewrite);
            assert_eq!(got.as_deref(), want, "{text} {path}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (text, error) in [
            ("a", InvalidTemplate::NoSlash),
            ("/a*", InvalidTemplate::Segment),
            ("/{a", InvalidTemplate::Variable),
            ("/{1}", InvalidTemplate::Variable),
            ("/{a=}", InvalidTemplate::Variable),
            ("/{a=b/}", InvalidTemplate::Variable),
            ("/{a}/{a}", InvalidTemplate::Repeated),
            ("/{a}/{b}/{c}/{d}/{e}/{f}", InvalidTemplate::TooMany),
            ("/**/*", InvalidTemplate::AfterGlob),
            ("/**/{a}", InvalidTemplate::AfterGlob),
            ("/{a}b/c", InvalidTemplate::Segment),
            ("/é", InvalidTemplate::Segment),
        ] {
            assert_eq!(text.parse::<UriTemplate>().err(), Some(error), "{text}");
        }
        for text in ["x", "//", "/{a", "/{a=b}", "/ "] {
            assert!(text.parse::<TemplateRewrite>().is_err(), "{text}");
        }
        let other: TemplateRewrite = "/{b}".parse().expect("valid");
        assert!(!template("/{a}").has_all_of(&other));
    }
}
