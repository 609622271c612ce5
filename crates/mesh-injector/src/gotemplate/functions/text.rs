//! Texts.

use regex::Regex;

use super::{
    Answer, Budget, Function, MANY, Shape, Value, function, int, items, made, made_list, made_map,
    print, shown, size, text,
};

pub(super) static FUNCTIONS: &[Function] = &[
    function("trim", 1, 1, |b, args| {
        made(text(&args[0])?.trim().to_owned(), b)
    }),
    function("trimAll", 2, 2, |b, args| {
        let (set, from) = (text(&args[0])?, text(&args[1])?);
        made(from.trim_matches(|c| set.contains(c)).to_owned(), b)
    }),
    function("trimPrefix", 2, 2, |b, args| {
        let (prefix, from) = (text(&args[0])?, text(&args[1])?);
        made(from.strip_prefix(prefix).unwrap_or(from).to_owned(), b)
    }),
    function("trimSuffix", 2, 2, |b, args| {
        let (suffix, from) = (text(&args[0])?, text(&args[1])?);
        made(from.strip_suffix(suffix).unwrap_or(from).to_owned(), b)
    }),
    function("upper", 1, 1, |b, args| {
        made(text(&args[0])?.to_uppercase(), b)
    }),
    function("lower", 1, 1, |b, args| {
        made(text(&args[0])?.to_lowercase(), b)
    }),
    function("title", 1, 1, |b, args| made(title(text(&args[0])?), b)),
    function("repeat", 2, 2, |b, args| {
        let (count, from) = (size(int(&args[0])?), text(&args[1])?);
        b.make(from.len().saturating_mul(count))?;
        Ok(from.repeat(count).into())
    }),
    function("substr", 3, 3, |b, args| {
        let from = text(&args[2])?;
        let (start, end) = (size(int(&args[0])?), int(&args[1])?);
        let end = usize::try_from(end).unwrap_or(from.len()).min(from.len());
        // Go cuts between bytes; a text cannot.
        made(from.get(start..end).unwrap_or_default().to_owned(), b)
    }),
    function("trunc", 2, 2, |b, args| {
        made(truncated(int(&args[0])?, text(&args[1])?).to_owned(), b)
    }),
    function("contains", 2, 2, |_, args| {
        Ok(text(&args[1])?.contains(text(&args[0])?).into())
    }),
    function("hasPrefix", 2, 2, |_, args| {
        Ok(text(&args[1])?.starts_with(text(&args[0])?).into())
    }),
    function("hasSuffix", 2, 2, |_, args| {
        Ok(text(&args[1])?.ends_with(text(&args[0])?).into())
    }),
    function("quote", 0, MANY, |b, args| joined(b, args, print::quoted)),
    function("squote", 0, MANY, |b, args| {
        joined(b, args, |text| format!("'{text}'"))
    }),
    function("cat", 0, MANY, |b, args| joined(b, args, str::to_owned)),
    function("nindent", 2, 2, |b, args| {
        made(format!("\n{}", indented(b, args)?), b)
    }),
    function("replace", 3, 3, |b, args| {
        let (old, new, from) = (text(&args[0])?, text(&args[1])?, text(&args[2])?);
        let count = from.matches(old).count();
        b.make(from.len().saturating_add(count.saturating_mul(new.len())))?;
        Ok(from.replace(old, new).into())
    }),
    function("join", 2, 2, |b, args| {
        let words = match &args[1] {
            one @ Value::Text(_) => std::slice::from_ref(one),
            other => items(other)?,
        };
        let words: Vec<String> = words
            .iter()
            .map(|word| shown(word, b))
            .collect::<Result<_, _>>()?;
        let separator = text(&args[0])?;
        b.make(separator.len().saturating_mul(words.len()))?;
        Ok(words.join(separator).into())
    }),
    function("splitList", 2, 2, |b, args| {
        let words = split(text(&args[0])?, text(&args[1])?, b)?;
        made_list(words, b)
    }),
    function("split", 2, 2, |b, args| {
        let words = split(text(&args[0])?, text(&args[1])?, b)?;
        let named = words
            .into_iter()
            .enumerate()
            .map(|(n, word)| (format!("_{n}").into(), word));
        made_map(Shape::Texts, named.collect(), b)
    }),
    function("toString", 1, 1, |b, args| Ok(shown(&args[0], b)?.into())),
    function("toStrings", 1, 1, |b, args| {
        let texts = items(&args[0])?
            .iter()
            .map(|item| Ok(shown(item, b)?.into()));
        let texts = texts.collect::<Result<_, String>>()?;
        made_list(texts, b)
    }),
    function("sortAlpha", 1, 1, |b, args| {
        let texts = items(&args[0])?.iter().map(|item| shown(item, b));
        let mut texts: Vec<String> = texts.collect::<Result<_, _>>()?;
        texts.sort();
        made_list(texts.into_iter().map(Value::from).collect(), b)
    }),
    function("regexMatch", 2, 2, |b, args| {
        Ok(regex(b, text(&args[0])?, text(&args[1])?)?
            .is_match(text(&args[1])?)
            .into())
    }),
    function("regexReplaceAll", 3, 3, |b, args| {
        let (from, new) = (text(&args[1])?, text(&args[2])?);
        let pattern = regex(b, text(&args[0])?, from)?;
        let count = pattern.find_iter(from).count();
        b.make(
            from.len()
                .saturating_add(count.saturating_mul(new.len().saturating_add(from.len()))),
        )?;
        Ok(Value::from(&*pattern.replace_all(from, new)))
    }),
];

fn title(text: &str) -> String {
    let mut starts = true;
    let upper = |c: char| {
        let is_first = std::mem::replace(&mut starts, c.is_whitespace());
        if is_first {
            c.to_uppercase().collect()
        } else {
            String::from(c)
        }
    };
    text.chars().map(upper).collect()
}

/// The first bytes, or with a negative count the last; characters stay whole.
fn truncated(count: i64, text: &str) -> &str {
    let length = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if length >= text.len() {
        return text;
    }
    match count < 0 {
        true => &text[text.ceil_char_boundary(text.len() - length)..],
        false => &text[..text.floor_char_boundary(length)],
    }
}

/// All arguments but nothing, each in its own form, with spaces between them.
fn joined(budget: &mut Budget, args: &[Value], form: fn(&str) -> String) -> Answer {
    let mut words = Vec::new();
    for value in args.iter().filter(|value| !matches!(value, Value::Nil)) {
        words.push(form(&shown(value, budget)?));
    }
    made(words.join(" "), budget)
}

/// Every line, moved to the right.
fn indented(budget: &mut Budget, args: &[Value]) -> Result<String, String> {
    let (spaces, from) = (size(int(&args[0])?), text(&args[1])?);
    let lines = from.matches('\n').count() + 1;
    budget.make(from.len().saturating_add(lines.saturating_mul(spaces)))?;
    let pad = " ".repeat(spaces);
    Ok(format!("{pad}{}", from.replace('\n', &format!("\n{pad}"))))
}

fn split(separator: &str, from: &str, budget: &mut Budget) -> Result<Vec<Value>, String> {
    budget.make(from.len().saturating_mul(16))?;
    Ok(match separator {
        "" => from.chars().map(|c| Value::from(c.to_string())).collect(),
        separator => from.split(separator).map(Value::from).collect(),
    })
}

/// Compiling and searching cost far more than other steps.
fn regex(budget: &mut Budget, pattern: &str, text: &str) -> Result<Regex, String> {
    budget.steps(1000)?;
    budget.make(pattern.len().saturating_mul(64).saturating_add(text.len()))?;
    let compiled = regex::RegexBuilder::new(pattern)
        .size_limit(1 << 20)
        .build();
    compiled.map_err(|error| error.to_string())
}
