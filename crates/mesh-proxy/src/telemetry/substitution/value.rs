//! What an operator found, and how it is printed.

use super::{
    escape::{self, Style},
    time::TimeFormat,
};
use crate::flag::ResponseFlags;
use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
    time::SystemTime,
};

/// What an operator found.
pub(super) enum Value<'a> {
    Absent,
    Bytes(&'a [u8]),
    /// Text whose spaces become underscores, as Envoy's logs have it, so that it stays one word.
    Word(&'a str),
    Number(u64),
    Address(SocketAddr),
    Ip(IpAddr),
    Flags(ResponseFlags),
    Time(SystemTime, &'a TimeFormat),
    Json(&'a serde_json::Value),
}

impl Value<'_> {
    /// Appends it as text; if there is nothing, `-` in a log and nothing in a header.
    pub(super) fn push_text(&self, out: &mut Vec<u8>, longest: Option<usize>, style: Style) {
        match self {
            Self::Absent | Self::Bytes(b"") | Self::Word("") if style == Style::Header => {}
            Self::Absent | Self::Bytes(b"") | Self::Word("") => out.push(b'-'),
            Self::Bytes(bytes) => escape::push(out, cut(bytes, longest), style),
            Self::Json(serde_json::Value::String(text)) => {
                escape::push(out, cut(text.as_bytes(), longest), style);
            }
            Self::Json(value) => {
                let text = value.to_string();
                let text = cut(text.as_bytes(), longest);
                match style {
                    // JSON has escaped what is hostile in ASCII.
                    Style::Text | Style::Header if text.is_ascii() => out.extend_from_slice(text),
                    _ => escape::push(out, text, style),
                }
            }
            Self::Word(text) => {
                let start = out.len();
                escape::push(out, cut(text.as_bytes(), longest), style);
                let spaces = out[start..].iter_mut().filter(|b| **b == b' ');
                spaces.for_each(|b| *b = b'_');
            }
            _ => {
                let start = out.len();
                self.push_own(out);
                // These are ASCII, so that any cut is good.
                out.truncate(longest.map_or(out.len(), |longest| out.len().min(start + longest)));
            }
        }
    }

    /// What can't hold anything hostile.
    fn push_own(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => write!(out, "{number}"),
            Self::Address(address) => write!(out, "{address}"),
            Self::Ip(ip) => write!(out, "{ip}"),
            Self::Flags(flags) => write!(out, "{flags}"),
            Self::Time(time, format) => {
                format.push(out, *time);
                Ok(())
            }
            Self::Absent | Self::Bytes(_) | Self::Word(_) | Self::Json(_) => Ok(()),
        }
        .expect("a Vec grows");
    }

    /// Appends it as a JSON value of its own type; `null` if there is nothing.
    pub(super) fn push_json(&self, out: &mut Vec<u8>, longest: Option<usize>) {
        match self {
            Self::Absent | Self::Bytes(b"") | Self::Word("") => out.extend_from_slice(b"null"),
            Self::Number(_) => self.push_own(out),
            Self::Json(value) if !value.is_string() => {
                out.extend_from_slice(value.to_string().as_bytes());
            }
            _ => {
                out.push(b'"');
                self.push_text(out, longest, Style::Json);
                out.push(b'"');
            }
        }
    }
}

/// At most `longest` bytes, without half a character at the end.
fn cut(bytes: &[u8], longest: Option<usize>) -> &[u8] {
    match longest {
        Some(longest) if longest < bytes.len() => {
            let is_inside = |b: u8| b & 0b1100_0000 == 0b1000_0000;
            let mut end = longest;
            while end > 0 && longest - end < 3 && is_inside(bytes[end]) {
                end -= 1;
            }
            &bytes[..end]
        }
        _ => bytes,
    }
}
