//! The tables of `experimental injector list`.

use super::columns::columns;
use crate::inspect::hooks::{Count, Injected};

const PADDING: usize = 1;

/// A webhook, for the second table.
#[derive(Debug)]
pub(crate) struct Hook {
    /// Namespaces whose pods it injects.
    pub(crate) namespaces: Vec<String>,
    /// Its configuration.
    pub(crate) name: String,
    /// Its revision.
    pub(crate) revision: String,
    /// What it injects; empty if that is not known.
    pub(crate) image: String,
}

/// Namespaces, then webhooks.
pub(crate) fn tables(namespaces: &[Injected], hooks: &[Hook]) -> String {
    format!("{}\n{}", of_namespaces(namespaces), of_hooks(hooks))
}

fn of_namespaces(namespaces: &[Injected]) -> String {
    if namespaces.is_empty() {
        return "No Istio injected namespaces present.\n".to_owned();
    }
    let header = ["NAMESPACE", "ISTIO-REVISION", "POD-REVISIONS"].map(str::to_owned);
    let mut rows = vec![header.to_vec()];
    for one in namespaces {
        let row = |pods: String| vec![one.namespace.clone(), one.revision.clone(), pods];
        if one.pods.is_empty() {
            rows.push(row("<no pods>".to_owned()));
        }
        rows.extend(one.pods.iter().map(|(of, count)| row(counted(of, count))));
    }
    columns(&rows, PADDING)
}

fn counted(revision: &str, count: &Count) -> String {
    let mut text = format!("{revision}: {}", count.pods);
    if count.disabled > 0 {
        text += &format!(" (injection disabled: {})", count.disabled);
    }
    if count.needs_restart > 0 {
        text += &format!(" NEEDS RESTART: {}", count.needs_restart);
    }
    text
}

fn of_hooks(hooks: &[Hook]) -> String {
    if hooks.is_empty() {
        return "No Istio injection hooks present.\n".to_owned();
    }
    let header = [
        "NAMESPACES",
        "INJECTOR-HOOK",
        "ISTIO-REVISION",
        "SIDECAR-IMAGE",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for hook in hooks {
        let row = |namespace: &str| {
            [namespace, &hook.name, &hook.revision, &hook.image]
                .map(str::to_owned)
                .to_vec()
        };
        match hook.namespaces.is_empty() {
            true => rows.push(row("DOES NOT AUTOINJECT")),
            false => rows.extend(hook.namespaces.iter().map(|namespace| row(namespace))),
        }
    }
    columns(&rows, PADDING)
}
