//! Whether the tokens of a request are what it needs.

use super::{Good, Judged, JwtAuth, location::Found};
use crate::policy::jwt::{Status, Token};
use mesh_model::policy::jwt::Requirement;
use std::pin::Pin;

impl JwtAuth {
    /// Whether the tokens of a request are what `needs` says; those that are good go into `good`. `group`: what stands
    /// beside it in a list of which one is enough.
    pub(super) async fn check(
        &self,
        needs: &Requirement,
        group: Option<&[Requirement]>,
        judged: Judged<'_>,
        good: &mut Good,
    ) -> Result<(), Status> {
        match needs {
            Requirement::Provider(name) => {
                let number = self.number(name).ok_or(Status::NoRequirement)?;
                let audiences = self.providers[number].audiences();
                self.check_provider(number, audiences, judged, good).await
            }
            Requirement::Audiences(name, audiences) => {
                let number = self.number(name).ok_or(Status::NoRequirement)?;
                self.check_provider(number, audiences, judged, good).await
            }
            Requirement::Any(all) => self.check_any(all, judged, good).await,
            Requirement::All(all) => self.check_all(all, judged, good).await,
            Requirement::AllowMissing => {
                let scope = self.scope(group);
                self.check_present(&scope, judged, good).await
            }
            Requirement::AllowMissingOrFailed => {
                let scope = self.scope(group);
                // Those that are good are believed.
                let _ = self.check_present(&scope, judged, good).await;
                Ok(())
            }
        }
    }

    fn check_any<'s>(
        &'s self,
        all: &'s [Requirement],
        judged: Judged<'s>,
        good: &'s mut Good,
    ) -> Pin<Box<dyn Future<Output = Result<(), Status>> + 's>> {
        Box::pin(async move {
            let mut why = Status::Missing;
            // Who lets everybody in is asked last.
            let lenient = |needs: &&Requirement| {
                let allows = [Requirement::AllowMissing, Requirement::AllowMissingOrFailed];
                allows.contains(needs)
            };
            let (last, first): (Vec<_>, Vec<_>) = all.iter().partition(lenient);
            for needs in first.into_iter().chain(last) {
                match self.check(needs, Some(all), judged, good).await {
                    Ok(()) => return Ok(()),
                    // What is said of a token that is there tells more.
                    Err(Status::Missing | Status::UnknownIssuer) if why != Status::Missing => {}
                    Err(status) => why = status,
                }
            }
            Err(why)
        })
    }

    fn check_all<'s>(
        &'s self,
        all: &'s [Requirement],
        judged: Judged<'s>,
        good: &'s mut Good,
    ) -> Pin<Box<dyn Future<Output = Result<(), Status>> + 's>> {
        Box::pin(async move {
            for needs in all {
                self.check(needs, None, judged, good).await?;
            }
            Ok(())
        })
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.providers.iter().position(|p| p.name() == name)
    }

    /// The providers whose tokens count where none has to be there: those beside it, or all.
    fn scope(&self, group: Option<&[Requirement]>) -> Vec<usize> {
        let mut named = Vec::new();
        for needs in group.unwrap_or_default() {
            self.named_in(needs, &mut named);
        }
        match named.is_empty() {
            true => (0..self.providers.len()).collect(),
            false => named,
        }
    }

    fn named_in(&self, needs: &Requirement, named: &mut Vec<usize>) {
        match needs {
            Requirement::Provider(name) | Requirement::Audiences(name, _) => {
                named.extend(self.number(name));
            }
            Requirement::Any(all) | Requirement::All(all) => {
                all.iter().for_each(|needs| self.named_in(needs, named));
            }
            Requirement::AllowMissing | Requirement::AllowMissingOrFailed => {}
        }
    }

    /// There is a token of this provider, and all that stand in its places are good.
    async fn check_provider(
        &self,
        number: usize,
        audiences: &[String],
        judged: Judged<'_>,
        good: &mut Good,
    ) -> Result<(), Status> {
        let provider = &self.providers[number];
        let tokens = provider.tokens(judged.headers, judged.path);
        if tokens.is_empty() {
            return Err(Status::Missing);
        }
        let before = good.len();
        for found in tokens {
            let token = Token::read(&found.token)?;
            let verified = provider.verify(&token, audiences, judged).await;
            if let Err(status) = verified {
                good.truncate(before);
                return Err(status);
            }
            good.push((number, found));
        }
        Ok(())
    }

    /// All tokens that there are, are good.
    async fn check_present(
        &self,
        scope: &[usize],
        judged: Judged<'_>,
        good: &mut Good,
    ) -> Result<(), Status> {
        let mut outcome = Ok(());
        let mut seen: Vec<String> = Vec::new();
        for number in scope {
            for found in self.providers[*number].tokens(judged.headers, judged.path) {
                if seen.contains(&found.token) {
                    continue;
                }
                seen.push(found.token.clone());
                let checked = self.check_token(scope, &found, judged).await;
                match checked {
                    Ok(number) => good.push((number, found)),
                    Err(status) => outcome = Err(status),
                }
            }
        }
        outcome
    }

    /// The provider of a token that is good.
    async fn check_token(
        &self,
        scope: &[usize],
        found: &Found,
        judged: Judged<'_>,
    ) -> Result<usize, Status> {
        let token = Token::read(&found.token)?;
        let issued = |number: &&usize| self.providers[**number].issues(&token, found);
        let number = scope.iter().find(issued).ok_or(Status::UnknownIssuer)?;
        let provider = &self.providers[*number];
        let verified = provider.verify(&token, provider.audiences(), judged);
        verified.await.map(|()| *number)
    }
}
