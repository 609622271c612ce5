//! Who may connect: role based access control of connections.
//!
//! A connection is judged once, when all is known of it and before a byte of it goes to a server, or of a server to it.

use crate::{
    connection::Connection,
    policy::interned,
    policy::{
        metadata::NOTHING,
        rbac::{Counters, Engines, Facts},
    },
    telemetry::{Scope, Shard, Telemetry},
};
use mesh_model::policy::rbac::NetworkRbac;

/// A compiled [`NetworkRbac`].
#[derive(Debug)]
pub struct Rbac {
    engines: Engines,
    counters: Counters,
}

impl Rbac {
    /// Compiles `model`.
    pub fn new(model: &NetworkRbac, telemetry: &Telemetry) -> Self {
        let word = model.stat_prefix.trim_end_matches('.');
        let scope = Scope::Process(interned(word, ""));
        Self {
            engines: Engines::new(model.rules.as_ref(), model.shadow_rules.as_ref()),
            counters: Counters::new(telemetry, &scope, "", &model.shadow_stat_prefix),
        }
    }

    /// Judges `connection`, and counts it.
    ///
    /// # Errors
    /// `%CONNECTION_TERMINATION_DETAILS%`, if it may not go on.
    pub fn judge(&self, connection: &Connection, shard: &Shard) -> Result<(), String> {
        let (facts, counting) = (facts(connection), (&self.counters, shard));
        self.engines.try_out(&facts, counting);
        match self.engines.enforce(&facts, counting) {
            Some((_, judgement)) if !judgement.allowed => Err(judgement.details()),
            _ => Ok(()),
        }
    }

    /// Whether `connection` would be refused; nothing is counted.
    pub fn refuses(&self, connection: &Connection) -> bool {
        self.engines.refuses(&facts(connection))
    }
}

fn facts(connection: &Connection) -> Facts<'_> {
    Facts {
        connection,
        head: None,
        remote: connection.peer.ip(),
        metadata: &NOTHING,
    }
}

#[cfg(test)]
mod tests;
