//! Redirects that are followed here instead of by the client, compiled.

use http::{HeaderName, Response, StatusCode, Uri, header};
use mesh_model::route::{InternalRedirects as Model, RedirectPredicate};
use std::sync::Arc;

/// A compiled [`Model`].
#[derive(Debug)]
pub(crate) struct InternalRedirects {
    model: Model,
    /// Headers of the response that go on to the next server.
    pub(crate) headers_to_copy: Box<[HeaderName]>,
}

/// What was followed for one request.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    count: u32,
    // From which route to which.
    routes: Vec<(Arc<str>, Arc<str>)>,
}

/// A redirect that may be followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    /// The route that was taken.
    pub(crate) from: &'a Arc<str>,
    /// The route that takes the target.
    pub(crate) to: &'a Arc<str>,
    /// The request asked for `https`.
    pub(crate) from_https: bool,
    /// The target does.
    pub(crate) to_https: bool,
}

impl InternalRedirects {
    pub(super) fn compile(model: &Model) -> Self {
        Self {
            headers_to_copy: (model.headers_to_copy.iter())
                .filter_map(|name| name.parse().ok())
                .collect(),
            model: model.clone(),
        }
    }

    /// Where `response` sends to, if it is a redirect that may be followed; a fragment is the client's.
    pub(crate) fn target<B>(&self, response: &Response<B>, followed: &Followed) -> Option<Uri> {
        if !self.model.statuses.contains(&response.status().as_u16())
            || followed.count >= self.model.most
        {
            return None;
        }
        let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
        let location = location.split('#').next()?;
        let uri: Uri = location.parse().ok()?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        (is_http && uri.authority().is_some()).then_some(uri)
    }

    /// Whether `step` may be made. It counts if it may.
    pub(crate) fn follow(&self, step: Step<'_>, followed: &mut Followed) -> bool {
        let crosses = step.from_https != step.to_https;
        if crosses && !self.model.allow_cross_scheme {
            return false;
        }
        let agrees = |predicate: &RedirectPredicate| match predicate {
            RedirectPredicate::AllowListedRoutes(names) => {
                names.iter().any(|name| **name == **step.to)
            }
            RedirectPredicate::PreviousRoutes => {
                let mut known = followed.routes.iter();
                !known.any(|(from, to)| from == step.from && to == step.to)
            }
            RedirectPredicate::SafeCrossScheme => step.from_https || !step.to_https,
        };
        if !self.model.predicates.iter().all(agrees) {
            return false;
        }
        followed.count += 1;
        let (from, to) = (Arc::clone(step.from), Arc::clone(step.to));
        followed.routes.push((from, to));
        true
    }
}

/// Whether a redirect of that status is followed with GET and without a body.
pub(crate) fn becomes_get(status: StatusCode) -> bool {
    status == StatusCode::SEE_OTHER
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(change: impl FnOnce(&mut Model)) -> InternalRedirects {
        let mut model = Model {
            most: 2,
            statuses: vec![302],
            allow_cross_scheme: false,
            headers_to_copy: vec![],
            predicates: vec![],
        };
        change(&mut model);
        InternalRedirects::compile(&model)
    }

    fn answer(status: u16, location: &str) -> Response<()> {
        let response = Response::builder().status(status);
        let response = response.header("location", location).body(());
        response.expect("a response")
    }

    #[test]
    fn only_whole_addresses_of_the_wanted_statuses_are_followed() {
        let policy = policy(|_| ());
        let target = |status, location| {
            let target = policy.target(&answer(status, location), &Followed::default());
            target.map(|uri| uri.to_string())
        };
        let whole = "http://a.test:81/x?y";
        assert_eq!(target(302, whole).as_deref(), Some(whole));
        assert_eq!(target(302, "http://a/x#y").as_deref(), Some("http://a/x"));
        for (status, location) in [
            (301, whole),
            (302, "/x"),
            (302, ""),
            (302, "ftp://a/"),
            (302, "//a/x"),
        ] {
            assert_eq!(target(status, location), None, "{status} {location}");
        }
        let weary = Followed {
            count: 2,
            routes: vec![],
        };
        assert!(policy.target(&answer(302, whole), &weary).is_none());
    }

    #[test]
    fn all_predicates_must_agree() {
        let names: [Arc<str>; 2] = ["a".into(), "b".into()];
        let step = |from_https, to_https| Step {
            from: &names[0],
            to: &names[1],
            from_https,
            to_https,
        };
        let with = |predicate, allow| {
            policy(move |m| {
                m.predicates = vec![predicate];
                m.allow_cross_scheme = allow;
            })
        };
        let plain = policy(|_| ());
        let mut followed = Followed::default();
        assert!(plain.follow(step(false, false), &mut followed));
        assert!(!plain.follow(step(false, true), &mut followed), "crosses");
        assert_eq!(followed.count, 1);

        let once = with(RedirectPredicate::PreviousRoutes, false);
        assert!(!once.follow(step(true, true), &mut followed), "again");
        assert!(once.follow(step(true, true), &mut Followed::default()));

        let safe = with(RedirectPredicate::SafeCrossScheme, true);
        assert!(safe.follow(step(true, false), &mut Followed::default()));
        assert!(!safe.follow(step(false, true), &mut Followed::default()));

        let listed = |name: &str| RedirectPredicate::AllowListedRoutes(vec![name.into()]);
        let step = step(false, false);
        assert!(with(listed("b"), false).follow(step, &mut Followed::default()));
        assert!(!with(listed("a"), false).follow(step, &mut Followed::default()));
    }
}
