//! Access control said as plainly as possible, to compare the compiled one with.
//!
//! Nothing is prepared, shared or short: each rule is looked up, each text is copied.

use super::Facts;
use mesh_model::{
    matcher::HeaderMatch,
    policy::rbac::{Action, Permission, Policy, Principal, Rules},
};

/// Whether it may pass, and the policy that matched.
pub(super) fn judge(rules: &Rules, facts: &Facts<'_>) -> (bool, Option<String>) {
    let found = rules
        .policies
        .iter()
        .find(|p| matches(p, rules.action, facts));
    let name = found.map(|policy| policy.name.clone());
    match rules.action {
        Action::Allow => (name.is_some(), name),
        Action::Deny => (name.is_none(), name),
        Action::Log => (true, name),
    }
}

fn matches(policy: &Policy, action: Action, facts: &Facts<'_>) -> bool {
    let cautious = action == Action::Allow;
    policy
        .permissions
        .iter()
        .any(|p| permission(p, cautious, facts))
        && policy
            .principals
            .iter()
            .any(|p| principal(p, cautious, facts))
}

fn permission(rule: &Permission, cautious: bool, facts: &Facts<'_>) -> bool {
    let destination = facts.connection.destination;
    let path = facts.head.map(|head| head.path.path().to_owned());
    match rule {
        Permission::Any => true,
        Permission::And(all) => !all.iter().any(|rule| !permission(rule, cautious, facts)),
        Permission::Or(all) => all.iter().any(|rule| permission(rule, cautious, facts)),
        Permission::Not(inner) => !permission(inner, !cautious, facts),
        Permission::Header(matcher) => header(matcher, cautious, facts),
        Permission::Path(matcher) => path.is_some_and(|path| matcher.matches(path)),
        Permission::Template(template) => path.is_some_and(|path| template.matches(&path)),
        Permission::DestinationIp(net) => net.contains(&destination.ip()),
        Permission::DestinationPort(range) => range.contains(&destination.port().into()),
        Permission::Metadata(matcher) => facts.metadata.matches(matcher),
        Permission::ServerName(matcher) => {
            let name = facts.connection.server_name.clone();
            matcher.matches(name.map(|n| n.to_string()).unwrap_or_default())
        }
    }
}

fn principal(rule: &Principal, cautious: bool, facts: &Facts<'_>) -> bool {
    let tls = facts.connection.tls.clone();
    let identity = tls
        .clone()
        .and_then(|tls| tls.uri_san)
        .map(|i| i.to_string());
    match rule {
        Principal::Any => true,
        Principal::And(all) => !all.iter().any(|rule| !principal(rule, cautious, facts)),
        Principal::Or(all) => all.iter().any(|rule| principal(rule, cautious, facts)),
        Principal::Not(inner) => !principal(inner, !cautious, facts),
        Principal::Authenticated(None) => tls.is_some(),
        Principal::Authenticated(Some(name)) => identity.is_some_and(|i| name.matches(i)),
        Principal::PeerPrincipal(name) => identity.is_some_and(|i| name.matches(i)),
        Principal::PeerIp(net) => net.contains(&facts.connection.peer.ip()),
        Principal::RemoteIp(net) => net.contains(&facts.remote),
        Principal::Header(matcher) => header(matcher, cautious, facts),
        Principal::Path(matcher) => facts.head.is_some_and(|h| matcher.matches(h.path.path())),
        Principal::Metadata(matcher) => facts.metadata.matches(matcher),
    }
}

fn header(matcher: &HeaderMatch, cautious: bool, facts: &Facts<'_>) -> bool {
    let readings = match facts.head {
        None => Vec::new(),
        Some(head) => {
            let text = |text: &str| vec![text.as_bytes().to_vec()];
            match matcher.name.as_str() {
                ":method" => text(head.method.as_str()),
                ":path" => text(head.path.as_str()),
                ":authority" if cautious => text(head.host),
                ":authority" => hosts(head.host),
                name => {
                    let values = head.headers.get_all(name).iter();
                    let mut values: Vec<_> = values.map(|v| v.as_bytes().to_vec()).collect();
                    if name == "cookie" && values.len() > 1 {
                        let whole = values.join(&b"; "[..]);
                        match cautious {
                            true => values = vec![whole],
                            false => values.push(whole),
                        }
                    }
                    values
                }
            }
        }
    };
    let outcomes: Vec<bool> = match readings.is_empty() {
        true => vec![matcher.matches(None)],
        false => readings.iter().map(|r| matcher.matches(Some(r))).collect(),
    };
    match cautious {
        true => !outcomes.contains(&false),
        false => outcomes.contains(&true),
    }
}

/// The host as it was sent, and what else it is called.
fn hosts(host: &str) -> Vec<Vec<u8>> {
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|b| b.is_ascii_digit()) => bare,
        _ => host,
    };
    let all = [
        host,
        bare,
        host.trim_end_matches('.'),
        bare.trim_end_matches('.'),
    ];
    all.map(|name| name.as_bytes().to_vec()).into()
}
