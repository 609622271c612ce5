//! Writes a JSON value as YAML, as Go's encoder lays it out.
//!
//! Lists stand at the column of their key, strings are plain where that reads back as a string, in double quotes where
//! it would read as something else (`"15001"`), in single quotes where it would not be plain (`'*'`), and lines of text
//! become a literal block. The order of keys is kept, lines are never folded.

use std::fmt::Write;

use serde_json::Value;

use super::plain::{self, Style};

/// `value` as one YAML document, ending with a newline.
#[must_use]
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    block(&mut out, value, 0);
    out
}

/// Writes `value` where a block may begin: at column `indent` of a fresh line.
fn block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (n, (key, value)) in fields.iter().enumerate() {
                pad(out, if n == 0 { 0 } else { indent });
                string(out, key, None);
                out.push(':');
                after_key(out, value, indent);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (n, item) in items.iter().enumerate() {
                pad(out, if n == 0 { 0 } else { indent });
                out.push_str("- ");
                block(out, item, indent + 2);
            }
        }
        scalar => {
            inline(out, scalar, indent);
            out.push('\n');
        }
    }
}

/// Writes the value of a key: collections begin on the next line, lists at the column of the key.
fn after_key(out: &mut String, value: &Value, indent: usize) {
    let nested = match value {
        Value::Object(fields) if !fields.is_empty() => indent + 2,
        Value::Array(items) if !items.is_empty() => indent,
        scalar => {
            out.push(' ');
            inline(out, scalar, indent + 2);
            out.push('\n');
            return;
        }
    };
    out.push('\n');
    pad(out, nested);
    block(out, value, nested);
}

/// Writes a scalar or an empty collection; the lines of a literal block are indented by `indent`.
fn inline(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::String(text) => string(out, text, Some(indent)),
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        number_or_word => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{number_or_word}");
        }
    }
}

/// Writes `text`; as a literal block only if `indent` is given (keys have none).
fn string(out: &mut String, text: &str, indent: Option<usize>) {
    match plain::style(text) {
        Style::Plain => out.push_str(text),
        Style::Single => {
            out.push('\'');
            out.push_str(&text.replace('\'', "''"));
            out.push('\'');
        }
        Style::Literal => match indent {
            Some(indent) => literal(out, text, indent.max(2)),
            None => double(out, text),
        },
        Style::Double => double(out, text),
    }
}

fn literal(out: &mut String, text: &str, indent: usize) {
    let body = text.trim_end_matches('\n');
    out.push_str(match text.len() - body.len() {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    let lines = text.strip_suffix('\n').unwrap_or(text);
    for line in lines.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
    }
}

fn double(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if plain::is_printable(c) => out.push(c),
            c if u32::from(c) <= 0xff => {
                let _ = write!(out, "\\x{:02X}", u32::from(c));
            }
            c if u32::from(c) <= 0xffff => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
        }
    }
    out.push('"');
}

fn pad(out: &mut String, columns: usize) {
    out.extend(std::iter::repeat_n(' ', columns));
}
