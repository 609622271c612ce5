//! Lists, and what lists, maps and texts have in common.

use super::{
    Answer, Budget, Function, MANY, Value, function, int, items, list, made, made_list, name, size,
    text,
};

pub(super) static FUNCTIONS: &[Function] = &[
    function("list", 0, MANY, |b, args| made_list(args.to_vec(), b)),
    function("len", 1, 1, |_, args| length(&args[0])),
    function("index", 1, MANY, |_, args| {
        args[1..]
            .iter()
            .try_fold(args[0].clone(), |value, key| at(&value, key))
    }),
    function("slice", 1, 4, slice),
    function("first", 1, 1, |_, args| {
        Ok(items(&args[0])?.first().cloned().unwrap_or(Value::Nil))
    }),
    function("last", 1, 1, |_, args| {
        Ok(items(&args[0])?.last().cloned().unwrap_or(Value::Nil))
    }),
    function("rest", 1, 1, |b, args| {
        made_list(items(&args[0])?.iter().skip(1).cloned().collect(), b)
    }),
    function("initial", 1, 1, |b, args| {
        let items = items(&args[0])?;
        made_list(items[..items.len().saturating_sub(1)].to_vec(), b)
    }),
    function("append", 2, 2, push),
    function("push", 2, 2, push),
    function("prepend", 2, 2, |b, args| {
        let rest = items(&args[0])?.iter();
        made_list(args[1..].iter().chain(rest).cloned().collect(), b)
    }),
    function("concat", 0, MANY, |b, args| {
        let lists = args.iter().map(items).collect::<Result<Vec<_>, _>>()?;
        b.make(lists.iter().map(|list| list.len() * 16).sum())?;
        made_list(lists.concat(), b)
    }),
    function("reverse", 1, 1, |b, args| {
        made_list(items(&args[0])?.iter().rev().cloned().collect(), b)
    }),
    function("has", 2, 2, |b, args| {
        Ok(holds(items(&args[1])?, &args[0], b)?.into())
    }),
    function("without", 1, MANY, |b, args| {
        let mut rest = Vec::new();
        for item in items(&args[0])? {
            if !holds(&args[1..], item, b)? {
                rest.push(item.clone());
            }
        }
        made_list(rest, b)
    }),
    function("uniq", 1, 1, |b, args| {
        let mut seen: Vec<Value> = Vec::new();
        for item in items(&args[0])? {
            if !holds(&seen, item, b)? {
                seen.push(item.clone());
            }
        }
        made_list(seen, b)
    }),
    function("compact", 1, 1, |b, args| {
        made_list(
            items(&args[0])?
                .iter()
                .filter(|item| item.is_true())
                .cloned()
                .collect(),
            b,
        )
    }),
    function("until", 1, 1, |b, args| numbers(b, 0, int(&args[0])?, 1)),
    function("untilStep", 3, 3, |b, args| {
        numbers(b, int(&args[0])?, int(&args[1])?, int(&args[2])?)
    }),
];

fn push(budget: &mut Budget, args: &[Value]) -> Answer {
    made_list(
        items(&args[0])?.iter().chain(&args[1..]).cloned().collect(),
        budget,
    )
}

fn length(value: &Value) -> Answer {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(list) => list.items().len(),
        Value::Map(map) if !map.shape().is_object() => map.entries().len(),
        other => return Err(format!("{} has no length", name(other))),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn at(value: &Value, key: &Value) -> Answer {
    match (value, key) {
        (Value::Map(map), key) if !map.shape().is_object() => Ok(map.at(text(key)?)),
        (Value::List(list), Value::Int(index)) => {
            let found = usize::try_from(*index)
                .ok()
                .and_then(|index| list.items().get(index));
            let out_of_range = || {
                format!(
                    "{index} is beyond the {} items of the list",
                    list.items().len()
                )
            };
            found.cloned().ok_or_else(out_of_range)
        }
        (Value::Text(text), Value::Int(index)) => {
            let found = usize::try_from(*index)
                .ok()
                .and_then(|index| text.as_bytes().get(index));
            let out_of_range = || format!("{index} is beyond the {} bytes of the text", text.len());
            Ok(Value::Int(i64::from(*found.ok_or_else(out_of_range)?)))
        }
        (Value::List(_) | Value::Text(_), key) => {
            Err(format!("wants a number as index, not {}", name(key)))
        }
        (value, _) => Err(format!("nothing can be looked up in {}", name(value))),
    }
}

/// A part of a list or text, from one index to before another.
fn slice(budget: &mut Budget, args: &[Value]) -> Answer {
    let Value::Int(length) = length(&args[0])? else {
        return Ok(Value::Nil);
    };
    let start = args.get(1).map_or(Ok(0), int)?;
    let end = args.get(2).map_or(Ok(length), int)?;
    if start < 0 || end < start || end > length {
        return Err(format!("{start} to {end} is no part of {length}"));
    }
    let part = size(start)..size(end);
    match &args[0] {
        Value::Text(text) => {
            let part = text
                .get(part)
                .ok_or("the part begins or ends within a character")?;
            made(part.to_owned(), budget)
        }
        other => made_list(list(other)?.items()[part].to_vec(), budget),
    }
}

fn holds(items: &[Value], value: &Value, budget: &mut Budget) -> Result<bool, String> {
    for item in items {
        if item.same(value, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn numbers(budget: &mut Budget, start: i64, end: i64, step: i64) -> Answer {
    let step = if start > end && step == 1 { -1 } else { step };
    let distance = end.saturating_sub(start);
    if step == 0 || (distance > 0) != (step > 0) {
        return made_list(Vec::new(), budget);
    }
    let count = distance.unsigned_abs().div_ceil(step.unsigned_abs());
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    budget.make(count.saturating_mul(16))?;
    let numbers = std::iter::successors(Some(start), |number| number.checked_add(step));
    made_list(numbers.take(count).map(Value::Int).collect(), budget)
}
