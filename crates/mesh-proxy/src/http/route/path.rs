//! Whether a path matches: exact, by prefix, by prefix up to a slash, by a regular expression or a template.

use mesh_model::{
    matcher::Regex,
    route::{PathMatch, RouteMatch, UriTemplate},
};

/// The path of a [`RouteMatch`], compiled.
#[derive(Debug)]
pub(super) enum PathMatcher {
    /// Text, compared with the path or its beginning.
    Text {
        kind: Kind,
        ignore_case: bool,
        text: Box<str>,
    },
    /// All of the path matches.
    Regex(Box<Regex>),
    /// All of the path is like it.
    Template(Box<UriTemplate>),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Prefix,
    Exact,
    Separated,
}

impl PathMatcher {
    pub(super) fn new(model: &RouteMatch) -> Self {
        let text = |kind, text: &str| Self::Text {
            kind,
            ignore_case: model.ignore_case,
            text: text.into(),
        };
        match &model.path {
            PathMatch::Prefix(prefix) => text(Kind::Prefix, prefix),
            PathMatch::Exact(path) => text(Kind::Exact, path),
            PathMatch::SeparatedPrefix(prefix) => text(Kind::Separated, prefix),
            PathMatch::Regex(regex) => Self::Regex(Box::new(regex.clone())),
            PathMatch::Template(template) => Self::Template(Box::new(template.clone())),
        }
    }

    /// Whether `path`, without its query, matches.
    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Regex(regex) => regex.matches(path.as_bytes()),
            Self::Template(template) => template.matches(path),
            Self::Text {
                kind,
                ignore_case,
                text,
            } => starts(path, text, *ignore_case) && kind.ends(path, text),
        }
    }
}

impl Kind {
    // Whether what follows `text` in `path` may follow.
    fn ends(self, path: &str, text: &str) -> bool {
        let next = path.as_bytes().get(text.len());
        match self {
            Self::Prefix => true,
            Self::Exact => next.is_none(),
            Self::Separated => next.is_none_or(|b| *b == b'/'),
        }
    }
}

fn starts(path: &str, text: &str, ignore_case: bool) -> bool {
    let Some(start) = path.as_bytes().get(..text.len()) else {
        return false;
    };
    if ignore_case {
        start.eq_ignore_ascii_case(text.as_bytes())
    } else {
        start == text.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_as_named() {
        let prefix = PathMatch::Prefix("/ab".into());
        let exact = PathMatch::Exact("/ab".into());
        let separated = PathMatch::SeparatedPrefix("/ab".into());
        for (matcher, path, want) in [
            (&prefix, "/ab", true),
            (&prefix, "/abc", true),
            (&prefix, "/a", false),
            (&exact, "/ab", true),
            (&exact, "/abc", false),
            (&exact, "/ab/", false),
            (&separated, "/ab", true),
            (&separated, "/ab/c", true),
            (&separated, "/abc", false),
            (&separated, "/é", false),
        ] {
            let matches = |ignore_case, path: &str| {
                PathMatcher::new(&RouteMatch {
                    ignore_case,
                    ..RouteMatch::new(matcher.clone())
                })
                .matches(path)
            };
            assert_eq!(matches(false, path), want, "{matcher:?} {path}");
            assert_eq!(
                matches(true, &path.to_uppercase()),
                want,
                "{matcher:?} {path}"
            );
        }
    }

    #[test]
    fn all_of_a_path_matches_a_regular_expression() {
        let regex = Regex::new("/[a-c]+").expect("valid");
        let matcher = PathMatcher::new(&RouteMatch::new(PathMatch::Regex(regex)));
        assert!(matcher.matches("/abc") && !matcher.matches("/abc/"));
    }
}
