//! A log's format, parsed once: text with operators, or a JSON object of such texts.

use super::Line;
use crate::telemetry::substitution::{InvalidFormat, Piece, Style, Subject, Template, escape};
use http::HeaderName;
use mesh_model::access_log::AccessLogFormat;

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
        let within = templates.into_iter().flat_map(Template::pieces);
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
            .flat_map(Piece::response_headers)
            .cloned()
            .collect()
    }

    /// Appends the line, its end included.
    pub(super) fn push(&self, out: &mut Vec<u8>, line: &Line<'_>) {
        let subject = &line.subject();
        match self {
            Self::Text(template) => template.push(out, subject, Style::Text),
            Self::Json(members) => {
                out.push(b'{');
                for (key, member) in members {
                    out.extend_from_slice(key);
                    member.push(out, subject);
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
    escape(&mut out, key.as_bytes(), Style::Json);
    out.extend_from_slice(b"\":");
    out
}

impl Member {
    fn compile(text: &str) -> Result<Self, InvalidFormat> {
        Ok(match Template::compile(text)?.alone() {
            Ok(piece) => Self::Value(piece),
            Err(template) => Self::String(template),
        })
    }

    fn push(&self, out: &mut Vec<u8>, subject: &Subject<'_>) {
        match self {
            Self::Value(piece) => piece.push_json(out, subject),
            Self::String(template) => {
                out.push(b'"');
                template.push(out, subject, Style::Json);
                out.push(b'"');
            }
        }
    }
}
