//! What a route changes of filters, compiled.
//!
//! What stands at a route, at its virtual host and at the table is brought together here, the most specific first, so
//! that a request looks once. Routes that change nothing hold nothing.

use crate::{
    http::filter::{FaultInjection, Origins},
    policy::rbac::Engines,
};
use mesh_model::{
    http::{self as model, OverrideConfig},
    policy::jwt::JwtOverride,
};
use std::sync::Arc;

/// What a route changes of filters, by their names.
#[derive(Debug)]
pub(crate) struct Overrides(Box<[(Box<str>, Override)]>);

/// What takes the place of a filter's settings.
#[derive(Debug)]
pub(crate) enum Override {
    /// The filter is off.
    Off,
    /// The filter is on, with its own settings.
    On,
    /// These faults.
    Fault(Box<FaultInjection>),
    /// This access control.
    Rbac(Box<Engines>),
    /// These tokens.
    Jwt(JwtOverride),
    /// These origins may ask.
    Cors(Box<Origins>),
}

impl Overrides {
    /// Those of `levels`, the most specific first; `None` if nothing is changed.
    pub(super) fn compile(levels: &[&[model::Override]]) -> Option<Arc<Self>> {
        let mut all: Vec<(Box<str>, Override)> = Vec::new();
        for change in levels.iter().copied().flatten() {
            match all.iter_mut().find(|(name, _)| **name == *change.name) {
                None => all.push((change.name.as_str().into(), Override::new(&change.config))),
                Some((_, inner)) => inner.within(&change.config),
            }
        }
        (!all.is_empty()).then(|| Arc::new(Self(all.into())))
    }

    /// What is changed of the filter of that name.
    pub(crate) fn get(&self, filter: &str) -> Option<&Override> {
        let mut all = self.0.iter();
        all.find(|(name, _)| **name == *filter).map(|(_, o)| o)
    }
}

impl Override {
    fn new(model: &OverrideConfig) -> Self {
        match model {
            OverrideConfig::Off => Self::Off,
            OverrideConfig::On => Self::On,
            OverrideConfig::Fault(fault) => Self::Fault(Box::new(FaultInjection::new(fault))),
            OverrideConfig::Jwt(jwt) => Self::Jwt(jwt.clone()),
            OverrideConfig::Rbac(rbac) => {
                let engines = Engines::new(rbac.rules.as_ref(), rbac.shadow_rules.as_ref());
                Self::Rbac(Box::new(engines))
            }
            OverrideConfig::Cors(policy) => Self::Cors(Box::new(Origins::new((**policy).clone()))),
        }
    }

    // Policies of several levels are one; else the most specific level alone counts.
    fn within(&mut self, outer: &OverrideConfig) {
        let OverrideConfig::Cors(policy) = outer else {
            return;
        };
        match self {
            Self::Cors(own) => **own = (**own).clone().within(policy),
            Self::On => *self = Self::new(outer),
            Self::Off | Self::Fault(_) | Self::Rbac(_) | Self::Jwt(_) => {}
        }
    }
}
