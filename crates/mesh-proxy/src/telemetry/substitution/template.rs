//! Text with operators, parsed once.

use super::{Style, Subject, escape::push as escape, operator::Operator};
use http::HeaderName;

/// A format that can't be executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("format: {what} at `{place}`")]
pub struct InvalidFormat {
    /// What is wrong.
    pub what: String,
    /// Where: the text from there on, cut.
    pub place: String,
}

/// Text with operators.
#[derive(Debug)]
pub(crate) struct Template(Vec<Token>);

#[derive(Debug)]
enum Token {
    Literal(Vec<u8>),
    Piece(Piece),
}

/// An operator with the longest text that it may print.
#[derive(Debug)]
pub(in crate::telemetry) struct Piece {
    operator: Operator,
    longest: Option<usize>,
}

impl Template {
    /// Parses `text`; `%%` is a percent sign.
    ///
    /// # Errors
    /// If an operator is not understood.
    pub(crate) fn compile(text: &str) -> Result<Self, InvalidFormat> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find('%') {
            literal(&mut tokens, &rest[..start]);
            rest = match rest[start..].strip_prefix("%%") {
                Some(after) => {
                    literal(&mut tokens, "%");
                    after
                }
                None => {
                    let (piece, after) = Piece::parse(&rest[start..])?;
                    tokens.push(Token::Piece(piece));
                    after
                }
            };
        }
        literal(&mut tokens, rest);
        Ok(Self(tokens))
    }

    /// The operator that it consists of; the whole, if there is more or less to it.
    pub(in crate::telemetry) fn alone(mut self) -> Result<Piece, Self> {
        match (self.0.len(), self.0.pop()) {
            (1, Some(Token::Piece(piece))) => Ok(piece),
            (_, last) => {
                self.0.extend(last);
                Err(self)
            }
        }
    }

    /// Its text, if that is always the same.
    pub(crate) fn literal(&self) -> Option<&[u8]> {
        match &*self.0 {
            [] => Some(b""),
            [Token::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Its operators.
    pub(in crate::telemetry) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.0.iter().filter_map(|token| match token {
            Token::Piece(piece) => Some(piece),
            Token::Literal(_) => None,
        })
    }

    /// Appends its text about `subject`.
    pub(crate) fn push(&self, out: &mut Vec<u8>, subject: &Subject<'_>, style: Style) {
        for token in &self.0 {
            match token {
                Token::Literal(text) if style == Style::Json => escape(out, text, style),
                Token::Literal(text) => out.extend_from_slice(text),
                Token::Piece(piece) => {
                    let value = piece.operator.value(subject);
                    value.push_text(out, piece.longest, style);
                }
            }
        }
    }
}

fn literal(tokens: &mut Vec<Token>, text: &str) {
    if let Some(Token::Literal(last)) = tokens.last_mut() {
        last.extend_from_slice(text.as_bytes());
    } else if !text.is_empty() {
        tokens.push(Token::Literal(text.as_bytes().to_vec()));
    }
}

impl Piece {
    /// The response headers that it shows.
    pub(in crate::telemetry) fn response_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.operator.response_headers()
    }

    /// Appends its value about `subject` as JSON; `null` if there is none.
    pub(in crate::telemetry) fn push_json(&self, out: &mut Vec<u8>, subject: &Subject<'_>) {
        self.operator.value(subject).push_json(out, self.longest);
    }

    /// Parses `%NAME(argument):length%` at the beginning of `text`; also gives what follows it.
    fn parse(text: &str) -> Result<(Self, &str), InvalidFormat> {
        let fail = |what: String| InvalidFormat {
            what,
            place: text.chars().take(40).collect(),
        };
        let inside = &text[1..];
        let end_of_name = inside
            .find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_')
            .ok_or_else(|| fail("no closing `%`".into()))?;
        let (name, mut rest) = inside.split_at(end_of_name);
        let mut argument = None;
        if let Some(open) = rest.strip_prefix('(') {
            // Envoy ends an argument at the first parenthesis too.
            let (inner, after) = open
                .split_once(')')
                .ok_or_else(|| fail("no closing `)`".into()))?;
            argument = Some(inner);
            rest = after;
        }
        let mut longest = None;
        if let Some(number) = rest.strip_prefix(':') {
            let (digits, _) = number
                .split_once('%')
                .ok_or_else(|| fail("no closing `%`".into()))?;
            let parsed = digits.parse();
            longest = Some(parsed.map_err(|_| fail(format!("`{digits}` is not a length")))?);
            rest = &number[digits.len()..];
        }
        let after = rest
            .strip_prefix('%')
            .ok_or_else(|| fail("no closing `%`".into()))?;
        let operator = Operator::parse(name, argument).map_err(fail)?;
        Ok((Self { operator, longest }, after))
    }
}
