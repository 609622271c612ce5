//! Bytes from outside, made harmless: nothing in them can end a line, leave a quotation or speak to a terminal.

use std::io::Write;

/// Which rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Backslash escapes: `\n`, `\"`, `\\`, `\x1b`, `\u009b`.
    Text,
    /// JSON's; bytes that are no UTF-8 become U+FFFD.
    Json,
    /// None: what cannot stand in a header is found when the header is made.
    Header,
}

/// Appends `bytes` to `out`.
pub(in crate::telemetry) fn push(out: &mut Vec<u8>, bytes: &[u8], style: Style) {
    if style == Style::Header || bytes.iter().all(|b| is_plain(*b)) {
        out.extend_from_slice(bytes);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_char(out, c, style);
        }
        if !chunk.invalid().is_empty() {
            push_invalid(out, chunk.invalid(), style);
        }
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn push_char(out: &mut Vec<u8>, c: char, style: Style) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        c if is_dangerous(c) => {
            let code = u32::from(c);
            let written = match style {
                Style::Text if code < 0x80 => write!(out, "\\x{code:02x}"),
                // All of them lie below U+10000.
                _ => write!(out, "\\u{code:04x}"),
            };
            written.expect("a Vec grows");
        }
        c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Control characters of both sets, and what ends a line or turns its direction in some viewer.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn push_invalid(out: &mut Vec<u8>, bytes: &[u8], style: Style) {
    if style == Style::Json {
        return out.extend_from_slice(b"\\ufffd");
    }
    for byte in bytes {
        write!(out, "\\x{byte:02x}").expect("a Vec grows");
    }
}
