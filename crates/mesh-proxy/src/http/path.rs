//! Normalises a request's path, so that routes, policies and the application all see the same one.
//!
//! RFC 3986 as Envoy reads it (Istio's `BASE`): dot segments go, escaped or not; backslashes become slashes; escapes of
//! unreserved characters are undone; `%2F` and `%5C` stay unless told otherwise. The query is not touched.

use mesh_model::http::{EscapedSlashes, HttpConnectionManager};
use std::borrow::Cow;

/// How paths are normalised.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathRules {
    /// By RFC 3986.
    pub(super) normalize: bool,
    /// Adjacent slashes become one.
    pub(super) merge_slashes: bool,
    /// What is done with `%2F` and `%5C`.
    pub(super) escaped_slashes: EscapedSlashes,
}

/// What came out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Normalized<'a> {
    /// The path to go on with.
    Path(Cow<'a, str>),
    /// The client is to ask for this path.
    Redirect(String),
    /// The request is refused.
    Invalid,
}

impl PathRules {
    /// The rules of a connection manager.
    pub(super) fn of(model: &HttpConnectionManager) -> Self {
        Self {
            normalize: model.normalize_path,
            merge_slashes: model.merge_slashes,
            escaped_slashes: model.escaped_slashes,
        }
    }

    /// Normalises `path`, which has no query and begins with a slash.
    pub(super) fn apply<'a>(&self, path: &'a str) -> Normalized<'a> {
        if !needs_work(path) {
            return Normalized::Path(Cow::Borrowed(path));
        }
        let mut path = Cow::Borrowed(path);
        let mut redirect = false;
        if self.escaped_slashes != EscapedSlashes::KeepUnchanged
            && let Some(unescaped) = unescape_slashes(&path)
        {
            match self.escaped_slashes {
                EscapedSlashes::RejectRequest => return Normalized::Invalid,
                EscapedSlashes::UnescapeAndRedirect => redirect = true,
                EscapedSlashes::UnescapeAndForward | EscapedSlashes::KeepUnchanged => {}
            }
            path = Cow::Owned(unescaped);
        }
        if self.normalize {
            match canonical(&path) {
                Some(canonical) => path = Cow::Owned(canonical),
                None => return Normalized::Invalid,
            }
        }
        if self.merge_slashes && path.contains("//") {
            path = Cow::Owned(merge_slashes(&path));
        }
        if redirect {
            return Normalized::Redirect(path.into_owned());
        }
        Normalized::Path(path)
    }
}

// Whether any rule could change `path`. Most paths have nothing in them that could.
fn needs_work(path: &str) -> bool {
    let mut before = 0;
    path.bytes().any(|byte| {
        let doubtful = !is_plain(byte) || (before == b'/' && matches!(byte, b'/' | b'.'));
        before = byte;
        doubtful
    })
}

// Characters that stand for themselves wherever they stand (a dot counts as one inside a segment).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@[]".contains(&byte)
}

fn unescape_slashes(path: &str) -> Option<String> {
    let slash = |at: usize| match path.as_bytes().get(at + 1..at + 3) {
        Some(b"2F" | b"2f") => Some('/'),
        Some(b"5C" | b"5c") => Some('\\'),
        _ => None,
    };
    let mut out = String::new();
    let mut from = 0;
    for (at, _) in path.match_indices('%') {
        if let Some(slash) = slash(at) {
            out.push_str(&path[from..at]);
            out.push(slash);
            from = at + 3;
        }
    }
    if from == 0 {
        return None;
    }
    out.push_str(&path[from..]);
    Some(out)
}

fn merge_slashes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !out.ends_with('/') {
            out.push(c);
        }
    }
    out
}

// `None`: a NUL is in it.
fn canonical(path: &str) -> Option<String> {
    let plain = unescape_unreserved(path)?;
    let mut out = String::with_capacity(plain.len());
    let mut segments = plain.split('/').peekable();
    // Before the first slash.
    segments.next();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    out.truncate(out.rfind('/').unwrap_or(0));
                }
                if last {
                    out.push('/');
                }
            }
            _ => {
                out.push('/');
                out.push_str(segment);
            }
        }
    }
    if out.is_empty() {
        out.push('/');
    }
    Some(out)
}

// Escapes of unreserved characters undone, backslashes turned, other odd characters escaped.
fn unescape_unreserved(path: &str) -> Option<String> {
    let bytes = path.as_bytes();
    let mut out = String::with_capacity(path.len() + 1);
    if !matches!(bytes.first(), Some(b'/' | b'\\')) {
        out.push('/');
    }
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, escaped(bytes, at)) {
            (b'%', Some(0)) | (0, _) => return None,
            (b'%', Some(c)) if c.is_ascii_alphanumeric() || b"-._~".contains(&c) => {
                out.push(char::from(c));
                at += 2;
            }
            (b'%', _) => out.push('%'),
            (b'\\', _) => out.push('/'),
            (byte, _) if is_plain(byte) => out.push(char::from(byte)),
            (byte, _) => out.push_str(&format!("%{byte:02X}")),
        }
        at += 1;
    }
    Some(out)
}

fn escaped(bytes: &[u8], at: usize) -> Option<u8> {
    let hex = bytes.get(at + 1..at + 3)?;
    let digit = |b: u8| char::from(b).to_digit(16);
    Some((digit(hex[0])? * 16 + digit(hex[1])?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: PathRules = PathRules {
        normalize: true,
        merge_slashes: false,
        escaped_slashes: EscapedSlashes::KeepUnchanged,
    };

    fn path(rules: PathRules, text: &str) -> Option<String> {
        match rules.apply(text) {
            Normalized::Path(path) => Some(path.into_owned()),
            Normalized::Redirect(path) => Some(format!("-> {path}")),
            Normalized::Invalid => None,
        }
    }

    #[test]
    fn base_follows_envoy() {
        for (text, want) in [
            ("/", "/"),
            ("/xyz", "/xyz"),
            ("/a/b/../c", "/a/c"),
            ("/a/b/./c", "/a/b/c"),
            ("/a/b/../../../../c", "/c"),
            ("/a/..\\c", "/c"),
            ("/%c0%af", "/%c0%af"),
            ("/%5c%25", "/%5c%25"),
            ("/a/b/%2E%2E/c", "/a/c"),
            ("/a/b/%2e%2e/c", "/a/c"),
            ("/a/b/%2E./c", "/a/c"),
            ("/a/b/%2E/c", "/a/b/c"),
            ("/../a/b", "/a/b"),
            ("/./a/b", "/a/b"),
            ("/A/B/C", "/A/B/C"),
            ("/a/%2F%2f/c", "/a/%2F%2f/c"),
            ("/a//b", "/a//b"),
            ("/a//../b", "/a/b"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/..", "/"),
            ("/.hidden/..x/x..", "/.hidden/..x/x.."),
            ("/%61%7E", "/a~"),
            ("/a%zz", "/a%zz"),
            ("/a%2", "/a%2"),
            ("/a;x/..;y", "/a;x/..;y"),
            ("/a\"b", "/a%22b"),
            ("/é", "/%C3%A9"),
        ] {
            assert_eq!(path(BASE, text).as_deref(), Some(want), "{text}");
        }
        for text in [
            "/xyz/.%00../abc",
            "/xyz/%00.%00./abc",
            "/xyz/AAAAA%%0000/abc",
        ] {
            assert_eq!(path(BASE, text), None, "{text}");
        }
    }

    #[test]
    fn other_rules_add_to_it() {
        let with = |escaped_slashes, merge_slashes| PathRules {
            escaped_slashes,
            merge_slashes,
            ..BASE
        };
        let forward = with(EscapedSlashes::UnescapeAndForward, true);
        assert_eq!(path(forward, "/a%2Fb%5c%2e%2E/c").as_deref(), Some("/a/c"));
        assert_eq!(path(forward, "/a///b//").as_deref(), Some("/a/b/"));
        let redirect = with(EscapedSlashes::UnescapeAndRedirect, false);
        assert_eq!(path(redirect, "/a%2Fb").as_deref(), Some("-> /a/b"));
        assert_eq!(path(redirect, "/a%41b").as_deref(), Some("/aAb"));
        let reject = with(EscapedSlashes::RejectRequest, false);
        assert_eq!(path(reject, "/a%5Cb"), None);
        let nothing = PathRules {
            normalize: false,
            merge_slashes: false,
            escaped_slashes: EscapedSlashes::KeepUnchanged,
        };
        assert_eq!(path(nothing, "/a/../%41").as_deref(), Some("/a/../%41"));
    }

    proptest! {
        #[test]
        fn normal_paths_stay_normal(text in "/[a-c/.%25EeF\\\\\"é]{0,20}") {
            if let Some(once) = path(BASE, &text) {
                prop_assert!(once.starts_with('/'));
                prop_assert!(!once.split('/').any(|s| s == "." || s == ".."));
                prop_assert!(!once.contains('\\'));
            }
        }
    }
}
