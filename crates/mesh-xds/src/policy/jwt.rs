//! Tokens that say who asks: the filter, and what routes change of it.

mod provider; // who issues tokens

use crate::{
    decode::At,
    pb::{
        envoy::extensions::filters::http::jwt_authn::v3::{
            JwtAuthentication as Wire, JwtProvider, JwtRequirement, JwtRequirementAndList,
            JwtRequirementOrList, PerRouteConfig, ProviderWithAudiences, RequirementRule,
            jwt_requirement::RequiresType, per_route_config::RequirementSpecifier,
            requirement_rule::RequirementType,
        },
        google::protobuf::{Any, Empty},
    },
    route,
    sorted::With,
};
use mesh_model::policy::jwt::{JwtAuthn, JwtOverride, Needs, Requirement, Rule};
use prost::{Message, Name};
use std::{
    collections::{BTreeMap, HashMap},
    mem::take,
};

/// The fields with maps inside.
#[derive(Clone, PartialEq, Message)]
struct Tail {
    #[prost(btree_map = "string, message", tag = "1")]
    providers: BTreeMap<String, JwtProvider>,
    #[prost(btree_map = "string, message", tag = "5")]
    requirement_map: BTreeMap<String, JwtRequirement>,
}

pub(crate) fn encode(jwt: &JwtAuthn) -> Any {
    let head = Wire {
        rules: jwt.rules.iter().map(encode_rule).collect(),
        bypass_cors_preflight: jwt.bypass_cors_preflight,
        strip_failure_response: jwt.strip_failure_response,
        ..Default::default()
    };
    let providers = jwt.providers.iter();
    let requirements = jwt.requirements.iter();
    let tail = Tail {
        providers: providers
            .map(|p| (p.name.clone(), provider::encode(p)))
            .collect(),
        requirement_map: requirements
            .map(|(name, requirement)| (name.clone(), encode_requirement(requirement)))
            .collect(),
    };
    Any {
        type_url: Wire::type_url(),
        value: With(head, tail).encode_to_vec(),
    }
}

fn encode_rule(rule: &Rule) -> RequirementRule {
    RequirementRule {
        r#match: Some(route::encode_match(&rule.matches)),
        requirement_type: match &rule.needs {
            Needs::Nothing => None,
            Needs::This(requirement) => {
                Some(RequirementType::Requires(encode_requirement(requirement)))
            }
            Needs::Named(name) => Some(RequirementType::RequirementName(name.clone())),
        },
    }
}

fn encode_requirement(requirement: &Requirement) -> JwtRequirement {
    let each = |all: &[Requirement]| all.iter().map(encode_requirement).collect();
    let requires = match requirement {
        Requirement::Provider(name) => RequiresType::ProviderName(name.clone()),
        Requirement::Audiences(name, audiences) => {
            RequiresType::ProviderAndAudiences(ProviderWithAudiences {
                provider_name: name.clone(),
                audiences: audiences.clone(),
            })
        }
        Requirement::Any(all) => RequiresType::RequiresAny(JwtRequirementOrList {
            requirements: each(all),
        }),
        Requirement::All(all) => RequiresType::RequiresAll(JwtRequirementAndList {
            requirements: each(all),
        }),
        Requirement::AllowMissing => RequiresType::AllowMissing(Empty {}),
        Requirement::AllowMissingOrFailed => RequiresType::AllowMissingOrFailed(Empty {}),
    };
    JwtRequirement {
        requires_type: Some(requires),
    }
}

pub(crate) fn encode_override(config: &JwtOverride) -> PerRouteConfig {
    PerRouteConfig {
        requirement_specifier: Some(match config {
            JwtOverride::Off => RequirementSpecifier::Disabled(true),
            JwtOverride::Named(name) => RequirementSpecifier::RequirementName(name.clone()),
        }),
    }
}

pub(crate) fn decode(mut wire: Wire, at: &At<'_>) -> Option<JwtAuthn> {
    let providers = decode_map(
        ("providers", take(&mut wire.providers)),
        at,
        provider::decode,
    );
    let names: Vec<String> = match &providers {
        Some(providers) => providers.iter().map(|(_, p)| p.name.clone()).collect(),
        None => Vec::new(),
    };
    let map = ("requirement_map", take(&mut wire.requirement_map));
    let requirements = decode_map(map, at, |_, requirement, at| {
        decode_requirement(requirement, &names, at)
    });
    let named: Vec<&str> = match &requirements {
        Some(all) => all.iter().map(|(name, _)| name.as_str()).collect(),
        None => Vec::new(),
    };
    let rules = at.list("rules", take(&mut wire.rules), |rule, at| {
        decode_rule(rule, (&names, &named), at)
    });
    let bypass_cors_preflight = take(&mut wire.bypass_cors_preflight);
    let strip_failure_response = take(&mut wire.strip_failure_response);
    if !take(&mut wire.stat_prefix).is_empty() {
        at.field("stat_prefix").ignore("only names statistics");
    }
    at.finish(wire);
    let jwt = JwtAuthn {
        rules: rules?,
        requirements: requirements?,
        providers: providers?.into_iter().map(|(_, p)| p).collect(),
        bypass_cors_preflight,
        strip_failure_response,
    };
    Some(jwt)
}

pub(crate) fn decode_override(wire: PerRouteConfig, at: &At<'_>) -> Option<JwtOverride> {
    match wire.requirement_specifier {
        Some(RequirementSpecifier::Disabled(true)) => Some(JwtOverride::Off),
        Some(RequirementSpecifier::Disabled(false)) => {
            at.field("disabled").refuse("can only be true")
        }
        Some(RequirementSpecifier::RequirementName(name)) => {
            at.text("requirement_name", name).map(JwtOverride::Named)
        }
        None => at.field("requirement_specifier").refuse("must be set"),
    }
}

/// The entries of a map, in the order of their names.
fn decode_map<W, T>(
    (field, wire): (&str, HashMap<String, W>),
    at: &At<'_>,
    decode: impl Fn(&str, W, &At<'_>) -> Option<T>,
) -> Option<Vec<(String, T)>> {
    let place = at.field(field);
    let mut all = Some(Vec::new());
    for (name, value) in BTreeMap::from_iter(wire) {
        let value = decode(&name, value, &place.key(&name));
        all = all.zip(value).map(|(mut all, value)| {
            all.push((name, value));
            all
        });
    }
    all
}

fn decode_rule(
    mut wire: RequirementRule,
    (providers, requirements): (&[String], &[&str]),
    at: &At<'_>,
) -> Option<Rule> {
    let matches = at.required("match", wire.r#match.take(), route::decode_match);
    let needs = match wire.requirement_type.take() {
        None => Some(Needs::Nothing),
        Some(RequirementType::Requires(requirement)) => {
            decode_requirement(requirement, providers, &at.field("requires")).map(Needs::This)
        }
        Some(RequirementType::RequirementName(name)) => {
            match requirements.contains(&name.as_str()) {
                true => Some(Needs::Named(name)),
                false => at
                    .field("requirement_name")
                    .refuse(format!("there is no requirement {name:?}")),
            }
        }
    };
    at.finish(wire);
    Some(Rule {
        matches: matches?,
        needs: needs?,
    })
}

/// A message without a requirement requires nothing, and is refused: nobody would write it on purpose.
fn decode_requirement(
    wire: JwtRequirement,
    providers: &[String],
    at: &At<'_>,
) -> Option<Requirement> {
    let known = |field: &str, name: String| match providers.contains(&name) {
        true => Some(name),
        false => at
            .field(field)
            .refuse(format!("there is no provider {name:?}")),
    };
    let some = |field: &str, all: Vec<JwtRequirement>| {
        let at = at.field(field);
        match all.len() < 2 {
            true => at.field("requirements").refuse("has less than two members"),
            false => at.list("requirements", all, |requirement, at| {
                decode_requirement(requirement, providers, at)
            }),
        }
    };
    match wire.requires_type {
        Some(RequiresType::ProviderName(name)) => {
            known("provider_name", name).map(Requirement::Provider)
        }
        Some(RequiresType::ProviderAndAudiences(both)) => {
            let name = known("provider_and_audiences", both.provider_name)?;
            Some(Requirement::Audiences(name, both.audiences))
        }
        Some(RequiresType::RequiresAny(list)) => {
            some("requires_any", list.requirements).map(Requirement::Any)
        }
        Some(RequiresType::RequiresAll(list)) => {
            some("requires_all", list.requirements).map(Requirement::All)
        }
        Some(RequiresType::AllowMissing(_)) => Some(Requirement::AllowMissing),
        Some(RequiresType::AllowMissingOrFailed(_)) => Some(Requirement::AllowMissingOrFailed),
        Some(RequiresType::ExtractOnlyWithoutValidation(_)) => at
            .field("extract_only_without_validation")
            .refuse("this proxy believes no token that it has not verified"),
        None => at.refuse("must be set"),
    }
}
