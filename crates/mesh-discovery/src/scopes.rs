//! Scopes of the log, under Istio's names: what `--log_output_level` and `meshctl admin log` can set.

use mesh_runtime::log::{Family, Scope};

/// All of them.
pub static SCOPES: [Scope; 5] = [
    scope("ads", &["mesh_discovery::serve"]),
    scope(
        "model",
        &[
            "mesh_discovery::push",
            "mesh_discovery::snapshot",
            "mesh_discovery::translate",
        ],
    ),
    scope("kube", &["mesh_discovery::watch"]),
    scope("serverca", &["mesh_discovery::ca"]),
    scope("rootca", &["mesh_discovery::app"]),
];

const fn scope(name: &'static str, targets: &'static [&'static str]) -> Scope {
    Scope {
        name,
        family: Family::Istio,
        targets,
    }
}

/// What a scope is about.
pub fn description(scope: &str) -> &'static str {
    match scope {
        "ads" => "Streams of proxies, and the debug pages",
        "model" => "From changes of the source to what proxies are sent",
        "kube" => "What is read of the API server, or of the folder",
        "serverca" => "Who asks for certificates, and what is signed",
        "rootca" => "Start and end, and the material of the certificate authority",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_described() {
        for scope in &SCOPES {
            assert_ne!(description(scope.name), "", "{}", scope.name);
        }
    }
}
