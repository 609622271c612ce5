//! One value from text: ports, ranges, ids, interfaces, durations.
//!
//! Each parser either understands all of its text or says why not; none falls back to a default.

use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// Why a value was refused, with advice where there is some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) text: String,
    pub(super) hint: Option<String>,
}

impl Reason {
    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl<T: Into<String>> From<T> for Reason {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            hint: None,
        }
    }
}

/// The spellings of a boolean that Go's `strconv.ParseBool` takes, which pod templates are written for.
pub(super) fn boolean(text: &str) -> Result<bool, Reason> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("is neither true nor false".into()),
    }
}

/// A port, 1 to 65535.
pub(super) fn port(text: &str) -> Result<u16, Reason> {
    match text.parse() {
        Ok(0) | Err(_) => Err("is not a port (1 to 65535)".into()),
        Ok(port) => Ok(port),
    }
}

/// A number that fits a packet mark or a routing table, decimal or `0x…`, not zero.
pub(super) fn number(text: &str) -> Result<u32, Reason> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    match parsed {
        Ok(0) | Err(_) => Err("is not a number from 1 to 4294967295".into()),
        Ok(number) => Ok(number),
    }
}

/// A comma list; blanks around items and empty items do not count, repetitions count once.
pub(super) fn list<T: Clone + Ord>(
    text: &str,
    item: impl Fn(&str) -> Result<T, Reason>,
) -> Result<Vec<T>, Reason> {
    let mut seen = BTreeSet::new();
    let mut items = Vec::new();
    for word in text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        let value = item(word).map_err(|reason| Reason {
            text: format!("has `{word}`, which {}", reason.text),
            ..reason
        })?;
        if seen.insert(value.clone()) {
            items.push(value);
        }
    }
    Ok(items)
}

/// An IP range; bits below the prefix are cleared, as iptables does.
pub(super) fn range(text: &str) -> Result<IpNet, Reason> {
    IpNet::from_str(text).map(|net| net.trunc()).map_err(|_| {
        let reason = Reason::from("is not an IP range in CIDR form");
        match text.parse::<IpAddr>() {
            Ok(address) => reason.hint(format!("for one address write {}", IpNet::from(address))),
            Err(_) => reason,
        }
    })
}

/// A network interface's name as the kernel allows it; a final `+` stands for any ending, as in iptables.
pub(super) fn interface(text: &str) -> Result<String, Reason> {
    // Also what keeps the name one word in the text handed to iptables-restore.
    let odd = |c: char| !c.is_ascii_graphic() || matches!(c, '/' | '!' | '"' | '\'' | '\\' | '*');
    match text.len() {
        1..=15 if text != "+" && !text.contains(odd) => Ok(text.to_owned()),
        _ => Err("is not the name of a network interface".into()),
    }
}

/// A user or group: a number, or a name that `lookup` knows.
pub(super) fn id(text: &str, lookup: fn(&str) -> Option<u32>) -> Result<u32, Reason> {
    let found = text.parse().ok().or_else(|| lookup(text));
    // The highest number means "unchanged" to the kernel and owns nothing.
    found.filter(|id| *id != u32::MAX).ok_or_else(|| {
        Reason::from("is neither a number nor a name known here")
            .hint("names are looked up inside this container; write the number")
    })
}

/// A duration as Go writes it (`5s`, `1m30s`, `250ms`), longer than nothing.
pub(super) fn duration(text: &str) -> Result<Duration, Reason> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (amount, unit, after) = span(rest).ok_or("is not a duration such as 5s or 250ms")?;
        total = total
            .checked_add(unit.checked_mul(amount).ok_or("is too long")?)
            .ok_or("is too long")?;
        rest = after;
    }
    if total.is_zero() {
        return Err("is not a duration such as 5s or 250ms".into());
    }
    Ok(total)
}

/// Splits off one amount with its unit.
fn span(text: &str) -> Option<(u32, Duration, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (amount, rest) = text.split_at(digits);
    let units = [
        ("ms", Duration::from_millis(1)),
        ("s", Duration::from_secs(1)),
        ("m", Duration::from_secs(60)),
        ("h", Duration::from_secs(3600)),
    ];
    let (name, unit) = units.into_iter().find(|(name, _)| rest.starts_with(name))?;
    Some((amount.parse().ok()?, unit, &rest[name.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        assert_eq!(port("65535"), Ok(65535));
        for text in ["0", "65536", "-1", "http", "", "80:90", " 80"] {
            assert!(port(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn lists_keep_their_order_and_drop_repetitions() {
        assert_eq!(list(" 80, 443,,80 ", port), Ok(vec![80, 443]));
        assert_eq!(list("", port), Ok(vec![]));
        let reason = list("80,eighty", port).unwrap_err();
        assert_eq!(
            reason.text,
            "has `eighty`, which is not a port (1 to 65535)"
        );
    }

    #[test]
    fn ranges_are_truncated_and_a_bare_address_gets_advice() {
        assert_eq!(range("10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(range("fd00::1/8").unwrap().to_string(), "fd00::/8");
        assert!(range("10.0.0.0/33").is_err());
        let hint = range("10.0.0.1").unwrap_err().hint;
        assert_eq!(hint.as_deref(), Some("for one address write 10.0.0.1/32"));
    }

    #[test]
    fn interfaces() {
        assert_eq!(interface("eth0").as_deref(), Ok("eth0"));
        assert_eq!(interface("veth+").as_deref(), Ok("veth+"));
        for text in [
            "",
            "+",
            "a b",
            "a\n-A",
            "a/b",
            "\"",
            "a-very-long-name",
            "!x",
            "*",
        ] {
            assert!(interface(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn ids() {
        let lookup: fn(&str) -> Option<u32> = |name| (name == "java").then_some(55);
        assert_eq!(id("1337", lookup), Ok(1337));
        assert_eq!(id("java", lookup), Ok(55));
        assert!(id("perl", lookup).is_err());
        assert!(id("4294967295", lookup).is_err());
    }

    #[test]
    fn numbers() {
        assert_eq!(number("1337"), Ok(1337));
        assert_eq!(number("0x539"), Ok(1337));
        for text in ["0", "0x", "-1", "4294967296", "1337/0xff"] {
            assert!(number(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "5", "s", "0s", "5 s", "-1s", "99999999999h", "5s!"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }
}
