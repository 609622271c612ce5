//! Whether a path matches: exact, by prefix, by prefix up to a slash, or by a regular expression.

use mesh_model::{
    matcher::Regex,
    route::{PathMatch, RouteMatch},
};

/// The path of a [`RouteMatch`], compiled.
#[derive(Debug)]
pub(super) struct PathMatcher {
    kind: Kind,
    text: Box<str>,
    ignore_case: bool,
}

#[derive(Debug)]
enum Kind {
    Prefix,
    Exact,
    Separated,
    // The text is empty.
    Regex(Box<Regex>),
}

impl PathMatcher {
    pub(super) fn new(model: &RouteMatch) -> Self {
        let (kind, text) = match &model.path {
            PathMatch::Prefix(text) => (Kind::Prefix, text.as_str()),
            PathMatch::Exact(text) => (Kind::Exact, text.as_str()),
            PathMatch::SeparatedPrefix(text) => (Kind::Separated, text.as_str()),
            PathMatch::Regex(regex) => (Kind::Regex(Box::new(regex.clone())), ""),
        };
        Self {
            kind,
            text: text.into(),
            ignore_case: model.ignore_case,
        }
    }

    /// Whether `path`, without its query, matches.
    pub(super) fn matches(&self, path: &str) -> bool {
        match &self.kind {
            Kind::Exact => path.len() == self.text.len() && self.starts(path),
            Kind::Prefix => self.starts(path),
            Kind::Separated => {
                let next = path.as_bytes().get(self.text.len());
                self.starts(path) && next.is_none_or(|b| *b == b'/')
            }
            Kind::Regex(regex) => regex.matches(path.as_bytes()),
        }
    }

    fn starts(&self, path: &str) -> bool {
        let Some(start) = path.as_bytes().get(..self.text.len()) else {
            return false;
        };
        if self.ignore_case {
            start.eq_ignore_ascii_case(self.text.as_bytes())
        } else {
            start == self.text.as_bytes()
        }
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
