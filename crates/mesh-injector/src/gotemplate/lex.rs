//! A template's text as pieces: text to be written as it stands, and actions as tokens.

use super::Error;

/// What stands at one place.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Action(Vec<Token>, usize),
}

/// A token of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
    /// Nothing stands between this token and the one before.
    pub(super) is_glued: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Dot,
    Field(String),
    /// With its `$`.
    Variable(String),
    Word(String),
    Text(String),
    Int(i64),
    Float(f64),
    Pipe,
    Open,
    Close,
    Declare,
    Assign,
    Comma,
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// The pieces of `text`, trimmed as their delimiters ask.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Error> {
    let mut lexer = Lexer {
        text,
        at: 0,
        counted: (0, 1),
        pieces: Vec::new(),
    };
    let mut trims = false;
    while let Some(found) = lexer.rest().find("{{") {
        let (before, start) = (&lexer.rest()[..found], lexer.at + found);
        lexer.at = start + 2;
        let trims_before = lexer
            .rest()
            .strip_prefix('-')
            .is_some_and(|rest| rest.starts_with(SPACE));
        lexer.push_text(before, trims, trims_before);
        if trims_before {
            lexer.at += 1;
        }
        trims = lexer.action(start)?;
    }
    let rest = lexer.rest();
    lexer.push_text(rest, trims, false);
    Ok(lexer.pieces)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// A place up to which lines are counted, and the line there.
    counted: (usize, usize),
    pieces: Vec<Piece<'a>>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push_text(&mut self, text: &'a str, trims_start: bool, trims_end: bool) {
        let text = if trims_start {
            text.trim_start_matches(SPACE)
        } else {
            text
        };
        let text = if trims_end {
            text.trim_end_matches(SPACE)
        } else {
            text
        };
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text));
        }
    }

    fn line(&mut self) -> usize {
        let (from, line) = self.counted;
        // An error may name a place that was passed before.
        let (from, line) = if from <= self.at {
            (from, line)
        } else {
            (0, 1)
        };
        let line = line
            + self.text[from..self.at]
                .bytes()
                .filter(|b| *b == b'\n')
                .count();
        self.counted = (self.at, line);
        line
    }

    fn error(&mut self, message: impl Into<String>) -> Error {
        Error {
            line: self.line(),
            message: message.into(),
        }
    }

    /// Reads an action to its end; true if the text behind it is to be trimmed.
    fn action(&mut self, start: usize) -> Result<bool, Error> {
        if let Some(trims) = self.comment()? {
            return Ok(trims);
        }
        let mut tokens = Vec::new();
        loop {
            let space = self.rest().len() - self.rest().trim_start_matches(SPACE).len();
            self.at += space;
            let line = self.line();
            for (end, trims) in [("}}", false), ("-}}", true)] {
                if self.rest().starts_with(end) && (!trims || space > 0) {
                    self.at += end.len();
                    self.pieces.push(Piece::Action(tokens, line));
                    return Ok(trims);
                }
            }
            if self.rest().is_empty() {
                self.at = start;
                return Err(self.error("`{{` without `}}`"));
            }
            let kind = self.token()?;
            tokens.push(Token {
                kind,
                line,
                is_glued: space == 0,
            });
        }
    }

    /// Skips a comment; whether the text behind it is to be trimmed, or `None` if there is no comment.
    fn comment(&mut self) -> Result<Option<bool>, Error> {
        let Some(inside) = self.rest().trim_start_matches(SPACE).strip_prefix("/*") else {
            return Ok(None);
        };
        let Some(end) = inside.find("*/") else {
            return Err(self.error("a comment without `*/`"));
        };
        let behind = &inside[end + 2..];
        let spaced = behind.trim_start_matches(SPACE);
        let (rest, trims) = if let Some(rest) = spaced
            .strip_prefix("-}}")
            .filter(|_| spaced.len() < behind.len())
        {
            (rest, true)
        } else if let Some(rest) = spaced.strip_prefix("}}") {
            (rest, false)
        } else {
            return Err(self.error("something stands behind a comment in the same action"));
        };
        self.at = self.text.len() - rest.len();
        Ok(Some(trims))
    }

    fn token(&mut self) -> Result<Kind, Error> {
        let rest = self.rest();
        let first = rest.chars().next().unwrap_or_default();
        let second = rest.chars().nth(1).unwrap_or_default();
        let simple = [
            (":=", Kind::Declare),
            ("=", Kind::Assign),
            (",", Kind::Comma),
            ("|", Kind::Pipe),
            ("(", Kind::Open),
            (")", Kind::Close),
        ];
        if let Some((text, kind)) = simple.into_iter().find(|(text, _)| rest.starts_with(text)) {
            self.at += text.len();
            return Ok(kind);
        }
        let is_number = first.is_ascii_digit()
            || "+-.".contains(first) && (second.is_ascii_digit() || second == '.');
        match first {
            '"' => self.quoted(),
            '`' => self.raw(),
            '\'' => self.character(),
            _ if is_number => self.number(),
            '.' => Ok(match self.name(1) {
                "" => Kind::Dot,
                name => Kind::Field(name.to_owned()),
            }),
            '$' => Ok(Kind::Variable(format!("${}", self.name(1)))),
            c if is_name(c) => Ok(Kind::Word(self.name(0).to_owned())),
            c => Err(self.error(format!("unexpected `{}` in an action", c.escape_debug()))),
        }
    }

    /// The name that begins after `skip` bytes, which is read with it.
    fn name(&mut self, skip: usize) -> &'a str {
        let rest = &self.rest()[skip..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        self.at += skip + end;
        &rest[..end]
    }

    fn raw(&mut self) -> Result<Kind, Error> {
        let inside = &self.rest()[1..];
        let Some(end) = inside.find('`') else {
            return Err(self.error("a text without its second backquote"));
        };
        self.at += end + 2;
        Ok(Kind::Text(inside[..end].replace('\r', "")))
    }

    fn quoted(&mut self) -> Result<Kind, Error> {
        let mut text = String::new();
        let mut chars = self.rest()[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 2;
                    return Ok(Kind::Text(text));
                }
                '\n' => break,
                '\\' => match escape(&mut chars) {
                    Some(c) => text.push(c),
                    None => return Err(self.error("an escape that Go does not know")),
                },
                c => text.push(c),
            }
        }
        Err(self.error("a text without its second quote"))
    }

    /// A character is a number to Go.
    fn character(&mut self) -> Result<Kind, Error> {
        let mut chars = self.rest()[1..].char_indices();
        let value = match chars.next() {
            Some((_, '\\')) => escape(&mut chars),
            Some((_, c)) if c != '\'' && c != '\n' => Some(c),
            _ => None,
        };
        match (value, chars.next()) {
            (Some(value), Some((at, '\''))) => {
                self.at += at + 2;
                Ok(Kind::Int(i64::from(u32::from(value))))
            }
            _ => {
                Err(self
                    .error("not one character between quotes; texts stand in \"double quotes\""))
            }
        }
    }

    fn number(&mut self) -> Result<Kind, Error> {
        let rest = self.rest();
        let sign = usize::from(rest.starts_with(['+', '-']));
        let mut last = ' ';
        let mut is_part = |c: char| {
            let is_part = is_name(c) || c == '.' || "+-".contains(c) && "eE".contains(last);
            last = c;
            is_part
        };
        let end = rest[sign..]
            .find(|c| !is_part(c))
            .map_or(rest.len(), |end| end + sign);
        let text = rest[..end].replace('_', "");
        let number = integer(&text).map(Kind::Int).or_else(|| {
            text.parse()
                .ok()
                .filter(|float: &f64| float.is_finite())
                .map(Kind::Float)
        });
        let Some(number) = number else {
            return Err(self.error(format!("`{text}` is not a number")));
        };
        self.at += end;
        Ok(number)
    }
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn integer(text: &str) -> Option<i64> {
    let digits = text.trim_start_matches(['+', '-']);
    let sign = if text.starts_with('-') { "-" } else { "" };
    let lower = digits.to_ascii_lowercase();
    let bases = [("0x", 16), ("0o", 8), ("0b", 2)];
    let based = bases
        .into_iter()
        .find_map(|(prefix, base)| Some((lower.strip_prefix(prefix)?, base)));
    let (digits, base) = match based {
        Some(based) => based,
        None if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        None => (&*lower, 10),
    };
    i64::from_str_radix(&format!("{sign}{digits}"), base).ok()
}

/// What an escape behind its backslash stands for.
fn escape(chars: &mut std::str::CharIndices<'_>) -> Option<char> {
    let (_, c) = chars.next()?;
    let mut hex = |count: usize| {
        let digits: String = chars.by_ref().take(count).map(|(_, c)| c).collect();
        u32::from_str_radix(&digits, 16)
            .ok()
            .filter(|_| digits.len() == count)
    };
    match c {
        'a' => Some('\x07'),
        'b' => Some('\x08'),
        'f' => Some('\x0c'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\x0b'),
        '\\' | '\'' | '"' => Some(c),
        // A byte in Go; only those of ASCII are characters.
        'x' => hex(2).filter(|byte| *byte < 0x80).and_then(char::from_u32),
        'u' => hex(4).and_then(char::from_u32),
        'U' => hex(8).and_then(char::from_u32),
        _ => None,
    }
}
