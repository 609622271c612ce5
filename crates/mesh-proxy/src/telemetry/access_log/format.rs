//! A log's format, parsed once: text with operators, or a JSON object of such texts.

use super::{
    Line,
    escape::{self, Style},
    operator::Operator,
};
use http::HeaderName;
use mesh_model::access_log::AccessLogFormat;

/// A format that can't be executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("access log format: {what} at `{place}`")]
pub struct InvalidFormat {
    /// What is wrong.
    pub what: String,
    /// Where: the text from there on, cut.
    pub place: String,
}

/// A compiled format.
#[derive(Debug)]
pub(super) enum Form {
    /// Text, with what ends the line.
    Text(Template),
    /// Encoded keys, each with quotes, colon and, but for the first, a comma in front; and what their values are.
    Json(Vec<(Vec<u8>, Member)>),
}

/// A value of a JSON object.
#[derive(Debug)]
pub(super) enum Member {
    /// Of the operator's own type; `null` if there is none.
    Value(Piece),
    /// A string.
    String(Template),
}

/// Text with operators.
#[derive(Debug)]
pub(super) struct Template(Vec<Token>);

#[derive(Debug)]
enum Token {
    Literal(Vec<u8>),
    Piece(Piece),
}

/// An operator with the longest text that it may print.
#[derive(Debug)]
pub(super) struct Piece {
    operator: Operator,
    longest: Option<usize>,
}

impl Form {
    pub(super) fn compile(format: &AccessLogFormat) -> Result<Self, InvalidFormat> {
        match format {
            AccessLogFormat::Text(text) => Template::compile(text).map(Self::Text),
            AccessLogFormat::Json(members) => members
                .iter()
                .enumerate()
                .map(|(i, (key, value))| Ok((encode_key(i, key), Member::compile(value)?)))
                .collect::<Result<_, _>>()
                .map(Self::Json),
        }
    }

    /// The response headers that lines show.
    pub(super) fn response_headers(&self) -> Vec<HeaderName> {
        let templates: Vec<&Template> = match self {
            Self::Text(template) => vec![template],
            Self::Json(members) => {
                let strings = members.iter().filter_map(|(_, member)| match member {
                    Member::String(template) => Some(template),
                    Member::Value(_) => None,
                });
                strings.collect()
            }
        };
        let within = templates.into_iter().flat_map(|t| &t.0);
        let within = within.filter_map(|token| match token {
            Token::Piece(piece) => Some(piece),
            Token::Literal(_) => None,
        });
        let alone = match self {
            Self::Text(_) => &[][..],
            Self::Json(members) => members,
        };
        let alone = alone.iter().filter_map(|(_, member)| match member {
            Member::Value(piece) => Some(piece),
            Member::String(_) => None,
        });
        within
            .chain(alone)
            .flat_map(|piece| piece.operator.response_headers())
            .cloned()
            .collect()
    }

    /// Appends the line, its end included.
    pub(super) fn push(&self, out: &mut Vec<u8>, line: &Line<'_>) {
        match self {
            Self::Text(template) => template.push(out, line, Style::Text),
            Self::Json(members) => {
                out.push(b'{');
                for (key, member) in members {
                    out.extend_from_slice(key);
                    member.push(out, line);
                }
                out.extend_from_slice(b"}\n");
            }
        }
    }
}

fn encode_key(index: usize, key: &str) -> Vec<u8> {
    let mut out = if index == 0 {
        b"\"".to_vec()
    } else {
        b",\"".to_vec()
    };
    escape::push(&mut out, key.as_bytes(), Style::Json);
    out.extend_from_slice(b"\":");
    out
}

impl Member {
    fn compile(text: &str) -> Result<Self, InvalidFormat> {
        let Template(mut tokens) = Template::compile(text)?;
        match (tokens.len(), tokens.pop()) {
            (1, Some(Token::Piece(piece))) => Ok(Self::Value(piece)),
            (_, last) => Ok(Self::String(Template(
                tokens.into_iter().chain(last).collect(),
            ))),
        }
    }

    fn push(&self, out: &mut Vec<u8>, line: &Line<'_>) {
        match self {
            Self::Value(piece) => piece.operator.value(line).push_json(out, piece.longest),
            Self::String(template) => {
                out.push(b'"');
                template.push(out, line, Style::Json);
                out.push(b'"');
            }
        }
    }
}

impl Template {
    fn compile(text: &str) -> Result<Self, InvalidFormat> {
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

    fn push(&self, out: &mut Vec<u8>, line: &Line<'_>, style: Style) {
        for token in &self.0 {
            match token {
                Token::Literal(text) if style == Style::Text => out.extend_from_slice(text),
                Token::Literal(text) => escape::push(out, text, style),
                Token::Piece(piece) => {
                    piece
                        .operator
                        .value(line)
                        .push_text(out, piece.longest, style)
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
