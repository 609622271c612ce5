//! Values as Go prints them: in actions, by `print`, and by the verbs of `printf`.

use std::fmt::Write;

use super::{Budget, Value};

/// Adds `value` to `out` as `%v` does. Costs a step for each value in it.
pub(super) fn plain(out: &mut String, value: &Value, budget: &mut Budget) -> Result<(), String> {
    budget.make(if let Value::Text(text) = value {
        text.len()
    } else {
        8
    })?;
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Nil => write!(out, "<nil>"),
        Value::Bool(value) => write!(out, "{value}"),
        Value::Int(number) => write!(out, "{number}"),
        Value::Float(number) => write!(out, "{}", float(*number)),
        Value::Text(text) => write!(out, "{text}"),
        Value::List(list) => {
            out.push('[');
            for (n, item) in list.items().iter().enumerate() {
                out.push_str(if n > 0 { " " } else { "" });
                plain(out, item, budget)?;
            }
            write!(out, "]")
        }
        Value::Map(map) => {
            out.push_str("map[");
            for (n, (name, item)) in map.entries().iter().enumerate() {
                budget.make(name.len())?;
                let _ = write!(out, "{}{name}:", if n > 0 { " " } else { "" });
                plain(out, item, budget)?;
            }
            write!(out, "]")
        }
    };
    Ok(())
}

/// `value` as `%v` prints it.
pub(super) fn text(value: &Value, budget: &mut Budget) -> Result<String, String> {
    let mut out = String::new();
    plain(&mut out, value, budget)?;
    Ok(out)
}

/// The shortest text that reads back, with an exponent where Go has one.
fn float(number: f64) -> String {
    if !number.is_finite() {
        return match number {
            _ if number.is_nan() => "NaN".into(),
            _ if number > 0.0 => "+Inf".into(),
            _ => "-Inf".into(),
        };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{number}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A text in double quotes, as Go writes it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            '\t' => write!(out, "\\t"),
            '\x07' => write!(out, "\\a"),
            '\x08' => write!(out, "\\b"),
            '\x0b' => write!(out, "\\v"),
            '\x0c' => write!(out, "\\f"),
            c if c.is_ascii_control() => write!(out, "\\x{:02x}", u32::from(c)),
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c)),
            c => write!(out, "{c}"),
        };
    }
    out.push('"');
    out
}

/// `printf`.
pub(super) fn format(pattern: &str, args: &[Value], budget: &mut Budget) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = pattern;
    let mut args = args.iter();
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (verb, behind) = Verb::read(&rest[at + 1..])?;
        rest = behind;
        match verb.letter {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(letter) => match args.next() {
                None => out.push_str(&format!("%!{letter}(MISSING)")),
                Some(value) => verb.write(&mut out, letter, value, budget)?,
            },
        }
        budget.step()?;
    }
    out.push_str(rest);
    let extra: Vec<String> = args
        .map(|value| Ok(format!("{}={}", value.type_name(), text(value, budget)?)))
        .collect::<Result<_, String>>()?;
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    budget.make(out.len())?;
    Ok(out)
}

/// `%-10.3s`
#[derive(Default)]
struct Verb {
    minus: bool,
    plus: bool,
    space: bool,
    zero: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
    letter: Option<char>,
}

impl Verb {
    /// The verb that `text` begins with, and what stands behind it.
    fn read(text: &str) -> Result<(Self, &str), String> {
        let mut verb = Self::default();
        let mut rest = text;
        while let Some(flag) = rest.chars().next().filter(|c| "-+ 0#".contains(*c)) {
            match flag {
                '-' => verb.minus = true,
                '+' => verb.plus = true,
                ' ' => verb.space = true,
                '0' => verb.zero = true,
                _ => verb.sharp = true,
            }
            rest = &rest[1..];
        }
        (verb.width, rest) = number(rest)?;
        if let Some(behind) = rest.strip_prefix('.') {
            let (precision, behind) = number(behind)?;
            verb.precision = Some(precision);
            rest = behind;
        }
        let mut chars = rest.chars();
        verb.letter = chars.next();
        Ok((verb, chars.as_str()))
    }

    fn write(
        &self,
        out: &mut String,
        letter: char,
        value: &Value,
        budget: &mut Budget,
    ) -> Result<(), String> {
        let text = match (letter, value) {
            ('v' | 's', Value::Nil) => format!("%!{letter}(<nil>)").replace("%!v(<nil>)", "<nil>"),
            ('v', value) => self.signed(value, text(value, budget)?),
            ('s', value @ (Value::Text(_) | Value::List(_) | Value::Map(_))) => {
                self.cut(&text(value, budget)?)
            }
            ('q', Value::Text(text)) => quoted(&self.cut(text)),
            ('t', Value::Bool(value)) => value.to_string(),
            ('d', Value::Int(number)) => self.signed(value, number.to_string()),
            ('x', Value::Int(number)) => format!("{number:x}"),
            ('X', Value::Int(number)) => format!("{number:X}"),
            ('o', Value::Int(number)) => format!("{number:o}"),
            ('b', Value::Int(number)) => format!("{number:b}"),
            ('c', Value::Int(number)) => {
                let c = u32::try_from(*number).ok().and_then(char::from_u32);
                c.unwrap_or(char::REPLACEMENT_CHARACTER).to_string()
            }
            ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
            ('f' | 'F', Value::Float(number)) => {
                self.signed(value, format!("{number:.*}", self.precision.unwrap_or(6)))
            }
            ('g', Value::Float(number)) => self.signed(value, float(*number)),
            ('T', value) => value.type_name().to_owned(),
            (letter, value) => {
                format!("%!{letter}({}={})", value.type_name(), text(value, budget)?)
            }
        };
        self.pad(out, &text, value, budget)
    }

    fn signed(&self, value: &Value, text: String) -> String {
        let is_number = matches!(value, Value::Int(_) | Value::Float(_));
        match (
            is_number && !text.starts_with(['-', '+']),
            self.plus,
            self.space,
        ) {
            (true, true, _) => format!("+{text}"),
            (true, false, true) => format!(" {text}"),
            _ => text,
        }
    }

    /// As many characters as the precision allows.
    fn cut(&self, text: &str) -> String {
        text.chars()
            .take(self.precision.unwrap_or(usize::MAX))
            .collect()
    }

    fn pad(
        &self,
        out: &mut String,
        text: &str,
        value: &Value,
        budget: &mut Budget,
    ) -> Result<(), String> {
        let missing = self.width.saturating_sub(text.chars().count());
        budget.make(text.len() + missing)?;
        let is_number = matches!(value, Value::Int(_) | Value::Float(_));
        match (self.minus, self.zero) {
            (true, _) => out.extend([text, &" ".repeat(missing)]),
            (false, true) if is_number && text.starts_with(['-', '+']) => {
                out.extend([&text[..1], &"0".repeat(missing), &text[1..]]);
            }
            (false, true) => out.extend([&"0".repeat(missing), text]),
            (false, false) => out.extend([&" ".repeat(missing), text]),
        }
        Ok(())
    }
}

/// The number that `text` begins with, zero if none, and what stands behind it.
fn number(text: &str) -> Result<(usize, &str), String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let number = match digits {
        "" => 0,
        digits => digits
            .parse()
            .ok()
            .filter(|number| *number <= 1000)
            .ok_or("a width beyond 1000")?,
    };
    Ok((number, rest))
}
