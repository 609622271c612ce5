//! The values that annotations take. Each function returns the value in the form that flags and fields want, or says
//! what is wrong with it.

use ipnet::IpNet;

use mesh_model::port::RESERVED;

use super::ScrapeTarget;
use crate::quantity::is_quantity;

/// `true` or `false`, in the spellings that Go takes.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

/// A list of ports.
pub(super) fn ports(text: &str) -> Result<String, String> {
    list(text, port)
}

/// `*` or a list of ports.
pub(super) fn ports_or_all(text: &str) -> Result<String, String> {
    if text == "*" {
        Ok(text.into())
    } else {
        ports(text)
    }
}

/// A list of CIDR ranges.
pub(super) fn ranges(text: &str) -> Result<String, String> {
    list(text, |item| match item.parse::<IpNet>() {
        Ok(_) => Ok(()),
        Err(_) if item == "*" => Err("`*` is not allowed here".into()),
        Err(_) if item.parse::<std::net::IpAddr>().is_ok() => Err(format!(
            "`{item}` lacks the length of its prefix, such as {item}/32"
        )),
        Err(_) => Err(format!("`{item}` is no CIDR range such as 10.0.0.0/8")),
    })
}

/// `*` or a list of CIDR ranges.
pub(super) fn ranges_or_all(text: &str) -> Result<String, String> {
    if text == "*" {
        Ok(text.into())
    } else {
        ranges(text)
    }
}

/// A list of network interfaces.
pub(super) fn interfaces(text: &str) -> Result<String, String> {
    list(text, |item| {
        let fits = item.len() <= 15 && item.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
        if fits {
            Ok(())
        } else {
            Err(format!("`{item}` is no name of a network interface"))
        }
    })
}

/// A port, or 0 for none.
pub(super) fn port_or_zero(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("`{text}` is no port"))
}

/// A number of seconds that may be 0.
pub(super) fn seconds(text: &str) -> Result<i32, String> {
    text.parse()
        .ok()
        .filter(|n| *n >= 0)
        .ok_or_else(|| format!("`{text}` is no whole number of seconds"))
}

/// A number above 0.
pub(super) fn positive(text: &str) -> Result<i32, String> {
    text.parse()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| format!("`{text}` is no whole number above 0"))
}

/// An amount of a resource.
pub(super) fn quantity(text: &str) -> Result<String, String> {
    if is_quantity(text) {
        Ok(text.into())
    } else {
        Err(format!("`{text}` is no quantity such as 100m or 128Mi"))
    }
}

/// An image: any reference without white space.
pub(super) fn image(text: &str) -> Result<String, String> {
    if is_word(text) {
        Ok(text.into())
    } else {
        Err(format!("`{text}` is no image"))
    }
}

/// The kind of an image: what may end a tag.
pub(super) fn image_type(text: &str) -> Result<String, String> {
    let fits = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if fits && !text.is_empty() {
        Ok(text.into())
    } else {
        Err(format!(
            "`{text}` is no kind of an image such as distroless or debug"
        ))
    }
}

/// A log level, or `scope:level` pairs.
pub(super) fn words(text: &str) -> Result<String, String> {
    if is_word(text) {
        Ok(text.into())
    } else {
        Err(format!("`{text}` is no log level"))
    }
}

/// `host:port`.
pub(super) fn address(text: &str) -> Result<String, String> {
    let fits = text
        .rsplit_once(':')
        .is_some_and(|(host, number)| is_word(host) && port(number).is_ok());
    if fits {
        Ok(text.into())
    } else {
        Err(format!("`{text}` is not of the form host:port"))
    }
}

/// A list of `port:path`, where no port is the proxy's own.
pub(super) fn scrape_targets(text: &str, status_port: u16) -> Result<Vec<ScrapeTarget>, String> {
    let items = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    let mut targets = Vec::new();
    let mut mistakes = Vec::new();
    for item in items {
        match scrape_target(item, status_port) {
            Ok(target) if targets.contains(&target) => {
                mistakes.push(format!("`{item}` stands there twice"))
            }
            Ok(target) => targets.push(target),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    match mistakes.is_empty() {
        true => Ok(targets),
        false => Err(mistakes.join(", ")),
    }
}

fn scrape_target(item: &str, status_port: u16) -> Result<ScrapeTarget, String> {
    let form = || format!("`{item}` is not of the form port:path such as 8080:/metrics");
    let (number, path) = item.split_once(':').ok_or_else(form)?;
    port(number)?;
    let port = number.parse().map_err(|_| form())?;
    if port == status_port || RESERVED.contains(&port) {
        return Err(format!("`{item}`: the port belongs to the proxy"));
    }
    let fits = path.starts_with('/') && is_word(path);
    let path = path.to_owned();
    if fits {
        Ok(ScrapeTarget { port, path })
    } else {
        Err(form())
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A port.
pub(super) fn port(text: &str) -> Result<(), String> {
    match text.parse::<u16>() {
        Ok(1..) => Ok(()),
        _ if text == "*" => Err("`*` is not allowed here".into()),
        _ => Err(format!("`{text}` is no port between 1 and 65535")),
    }
}

/// Checks each item of a comma-separated list and joins them without white space. Empty items are passed over, as a
/// trailing comma is common.
fn list(text: &str, check: impl Fn(&str) -> Result<(), String>) -> Result<String, String> {
    let items: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .collect();
    let mistakes: Vec<String> = items.iter().filter_map(|item| check(item).err()).collect();
    if mistakes.is_empty() {
        Ok(items.join(","))
    } else {
        Err(mistakes.join(", "))
    }
}
