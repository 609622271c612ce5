//! Istio's own functions for injection templates.

use std::time::Duration;

use mesh_api::mesh_config::ProxyConfig;
use serde_json::Value as Json;

use super::data::json_text;
use super::{
    Answer, Budget, Entries, Function, MANY, Shape, Special, Value, entries, function, int, items,
    made, made_map, map, shown, size, special, text,
};

const PROXY: &str = "istio-proxy";

pub(super) static FUNCTIONS: &[Function] = &[
    function("annotation", 3, 3, |b, args| {
        let written = map(&args[0])?.entries().get("annotations");
        let found = match written {
            Some(Value::Map(annotations)) => annotations.entries().get(text(&args[1])?),
            _ => None,
        };
        Ok(shown(found.unwrap_or(&args[2]), b)?.into())
    }),
    function("isset", 2, 2, |_, args| {
        Ok(entries(&args[0])?.contains_key(text(&args[1])?).into())
    }),
    function("valueOrDefault", 2, 2, |_, args| {
        let is_nothing = match &args[0] {
            Value::Nil => true,
            Value::Text(text) => text.is_empty(),
            _ => false,
        };
        Ok(args[usize::from(is_nothing)].clone())
    }),
    // The first line stands where the action stands.
    function("indent", 2, 2, |b, args| {
        let (spaces, from) = (size(int(&args[0])?), text(&args[1])?);
        b.make(
            from.len()
                .saturating_add(from.matches('\n').count().saturating_mul(spaces)),
        )?;
        Ok(from
            .replace('\n', &format!("\n{}", " ".repeat(spaces)))
            .into())
    }),
    function("toLower", 1, 1, |b, args| {
        made(text(&args[0])?.to_lowercase(), b)
    }),
    function("toJSON", 1, 1, |b, args| or_empty(b, &args[0])),
    function("toJson", 1, 1, |b, args| or_empty(b, &args[0])),
    function("structToJSON", 1, 1, |b, args| or_empty(b, &args[0])),
    function("protoToJSON", 1, 1, |b, args| proto_to_json(b, &args[0])),
    function("toJsonMap", 0, MANY, |b, args| {
        let all = merged(b, args)?;
        json_text(&all, b)
    }),
    function("mergeMaps", 0, MANY, merged),
    function("strdict", 0, MANY, |b, args| {
        let mut fields = Entries::new();
        for pair in args.chunks(2) {
            let value = pair
                .get(1)
                .map_or(Ok(String::new()), |value| shown(value, b))?;
            fields.insert(text(&pair[0])?.into(), value.into());
        }
        made_map(Shape::Texts, fields, b)
    }),
    function("omitNil", 1, 1, |b, args| {
        let mut fields = entries(&args[0])?;
        fields.retain(|_, value| !matches!(value, Value::Nil));
        made_map(Shape::Any, fields, b)
    }),
    function("formatDuration", 1, 1, |b, args| {
        made(go_duration(text(&args[0])?)?, b)
    }),
    function("directory", 1, 1, |b, args| {
        let path = text(&args[0])?;
        let end = path.rfind('/').map_or(0, |at| at + 1);
        made(path[..end].to_owned(), b)
    }),
    function("excludeInboundPort", 2, 2, exclude_inbound_port),
    function("includeInboundPorts", 1, 1, |b, args| {
        ports(b, &args[0], |_| true)
    }),
    function("applicationPorts", 1, 1, |b, args| {
        ports(b, &args[0], |name| name != PROXY)
    }),
    function("kubevirtInterfaces", 1, 1, |_, args| Ok(args[0].clone())),
    function("excludeInterfaces", 1, 1, |_, args| Ok(args[0].clone())),
    function("appendMultusNetwork", 2, 2, |b, args| {
        made(append_network(text(&args[0])?, text(&args[1])?), b)
    }),
    // The control plane's environment is not for pods to see: the default counts.
    function("env", 2, 2, |_, args| Ok(text(&args[1])?.into())),
    special("render", 1, 1, Special::Renders, |_, args| {
        Ok(args[0].clone())
    }),
];

fn or_empty(budget: &mut Budget, value: &Value) -> Answer {
    match value {
        Value::Nil => Ok("{}".into()),
        value => json_text(value, budget),
    }
}

/// Of a `ProxyConfig` only what differs from the defaults.
fn proto_to_json(budget: &mut Budget, value: &Value) -> Answer {
    let json = value.to_json(budget)?;
    let is_proxy_config = json.get("discoveryAddress").is_some();
    match serde_json::from_value::<ProxyConfig>(json) {
        Ok(config) if is_proxy_config => {
            made(Json::Object(config.non_default()).to_string(), budget)
        }
        _ => or_empty(budget, value),
    }
}

/// Later maps win.
fn merged(budget: &mut Budget, args: &[Value]) -> Answer {
    let mut all = Entries::new();
    for arg in args {
        let fields = entries(arg)?;
        budget.make(fields.len() * 64)?;
        all.extend(fields);
    }
    made_map(Shape::Texts, all, budget)
}

/// Seconds as Go prints them: `1m0s`, `1.5s`, `20ms`.
fn go_duration(text: &str) -> Result<String, String> {
    let seconds = text
        .strip_suffix('s')
        .and_then(|number| number.parse::<f64>().ok());
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let duration =
        duration.ok_or_else(|| format!("`{text}` is no duration in seconds such as 45s"))?;
    let (whole, nanos) = (duration.as_secs(), duration.subsec_nanos());
    let parts = (whole / 3600, whole / 60 % 60, whole % 60);
    let fraction = format!("{nanos:09}");
    let fraction = match fraction.trim_end_matches('0') {
        "" => String::new(),
        digits => format!(".{digits}"),
    };
    Ok(match parts {
        (0, 0, 0) if nanos > 0 => format!("{}ms", f64::from(nanos) / 1e6),
        (0, 0, seconds) => format!("{seconds}{fraction}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}{fraction}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    })
}

/// A list of ports with one more, unless that is none or is there already.
fn exclude_inbound_port(budget: &mut Budget, args: &[Value]) -> Answer {
    let (port, excluded) = (shown(&args[0], budget)?, shown(&args[1], budget)?);
    let port = port.trim();
    let there: Vec<&str> = excluded
        .split(',')
        .map(str::trim)
        .filter(|port| !port.is_empty())
        .collect();
    if port.is_empty() || port == "0" || there.contains(&port) {
        return Ok(excluded.into());
    }
    made([there, vec![port]].concat().join(","), budget)
}

/// The TCP ports of containers.
fn ports(budget: &mut Budget, containers: &Value, wanted: fn(&str) -> bool) -> Answer {
    let mut all = Vec::new();
    for container in items(containers)? {
        let fields = map(container)?.entries();
        let name = fields.get("name").map_or(Ok(""), text)?;
        for port in fields
            .get("ports")
            .map_or(Ok(&[][..]), items)?
            .iter()
            .filter(|_| wanted(name))
        {
            budget.step()?;
            let fields = map(port)?.entries();
            let protocol = fields.get("protocol").map_or(Ok(""), text)?;
            if let (Some(number), false) = (
                fields.get("containerPort"),
                ["UDP", "SCTP"].contains(&protocol),
            ) {
                all.push(shown(number, budget)?);
            }
        }
    }
    made(all.join(","), budget)
}

/// The annotation of multus with one more network, in the form that is there: JSON, or names with commas.
fn append_network(written: &str, network: &str) -> String {
    if written.is_empty() {
        return network.to_owned();
    }
    if let Some(end) = written.rfind(']') {
        let Ok(networks) = serde_json::from_str::<Vec<Json>>(written) else {
            return written.to_owned();
        };
        if networks
            .iter()
            .any(|one| one.get("name").is_some_and(|name| name == network))
        {
            return written.to_owned();
        }
        let comma = if networks.is_empty() { "" } else { ", " };
        let name = Json::from(network);
        return format!(
            "{}{comma}{{\"name\": {name}}}{}",
            &written[..end],
            &written[end..]
        );
    }
    match written.split(',').any(|one| one.trim() == network) {
        true => written.to_owned(),
        false => format!("{written}, {network}"),
    }
}
