//! Decides how a string is written so that it reads back as the same string.

/// How a string is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// As it is.
    Plain,
    /// In single quotes: it holds characters with a meaning in YAML.
    Single,
    /// In double quotes: it would read as another type, or needs escapes.
    Double,
    /// As a block of lines.
    Literal,
}

/// The style of Go's encoder for `text`.
pub(super) fn style(text: &str) -> Style {
    let is_special = |c: char| c != '\n' && !is_printable(c);
    if text.chars().any(is_special) || reads_as_another_type(text) {
        Style::Double
    } else if text.contains('\n') {
        if fits_literal(text) {
            Style::Literal
        } else {
            Style::Double
        }
    } else if has_meaning(text) {
        Style::Single
    } else {
        Style::Plain
    }
}

/// Characters that may stand in YAML without an escape, the byte order mark excepted.
pub(super) fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}')
}

/// A literal block cannot begin with white space without an indicator, and loses spaces at the end of a line to eyes
/// and editors.
fn fits_literal(text: &str) -> bool {
    !text.starts_with([' ', '\n']) && !text.ends_with(' ') && !text.contains(" \n")
}

/// True if a plain `text` would be read as syntax.
fn has_meaning(text: &str) -> bool {
    let leads = |c| text.starts_with(c) && matches!(text[1..].chars().next(), None | Some(' '));
    text.starts_with([
        '#', ',', '[', ']', '{', '}', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`',
    ]) || ['-', '?', ':'].into_iter().any(leads)
        || text.starts_with("---")
        || text.starts_with("...")
        || text.starts_with(' ')
        || text.ends_with([' ', ':'])
        || text.contains(": ")
        || text.contains(" #")
}

/// True if YAML 1.1 gives a plain `text` another type than string.
fn reads_as_another_type(text: &str) -> bool {
    is_word(text) || is_number(text) || is_sexagesimal(text) || is_timestamp(text)
}

/// Any case counts, as some readers do not mind it.
fn is_word(text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "", "~", "<<", "null", "y", "yes", "true", "on", "n", "no", "false", "off",
    ];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let unsigned = unsigned.replace('_', "");
    let radix = |prefix: &str, base| {
        let digits = unsigned.strip_prefix(prefix)?;
        Some(!digits.is_empty() && digits.chars().all(|c| c.is_digit(base)))
    };
    let prefixed = radix("0x", 16)
        .or_else(|| radix("0X", 16))
        .or_else(|| radix("0o", 8))
        .or_else(|| radix("0b", 2));
    let infinite = matches!(
        unsigned.as_str(),
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
    );
    prefixed.unwrap_or(false) || infinite || is_decimal(&unsigned)
}

/// `12`, `1.5`, `.5`, `1.`, `1e9`.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = text
        .split_once(['e', 'E'])
        .map_or((text, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_fits
}

/// `10:30`: numbers to the base 60.
fn is_sexagesimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = unsigned.split('.').next().unwrap_or_default().split(':');
    let digits =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let first = parts
        .next()
        .is_some_and(|part| digits(part) && !part.starts_with('_'));
    first && unsigned.contains(':') && parts.all(|part| digits(part) && part.len() <= 2)
}

/// `2024-05-12`, alone or before a time.
fn is_timestamp(text: &str) -> bool {
    let mut parts = text
        .split(['T', 't', ' '])
        .next()
        .unwrap_or_default()
        .split('-');
    let mut digits = |lengths: std::ops::RangeInclusive<usize>| {
        parts
            .next()
            .is_some_and(|p| lengths.contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
    };
    digits(4..=4) && digits(1..=2) && digits(1..=2) && parts.next().is_none()
}
