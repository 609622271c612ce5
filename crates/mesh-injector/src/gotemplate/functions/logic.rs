//! Conditions, comparison, defaults.

use std::cmp::Ordering;

use super::{Answer, Budget, Function, MANY, Special, Value, function, name, shown, special, text};

pub(super) static FUNCTIONS: &[Function] = &[
    special("and", 1, MANY, Special::Decides(false), |_, args| {
        Ok(decided(args, false))
    }),
    special("or", 1, MANY, Special::Decides(true), |_, args| {
        Ok(decided(args, true))
    }),
    function("not", 1, 1, |_, args| Ok((!args[0].is_true()).into())),
    function("eq", 2, MANY, |_, args| {
        let mut equal = false;
        for other in &args[1..] {
            equal |= is_equal(&args[0], other)?;
        }
        Ok(equal.into())
    }),
    function("ne", 2, 2, |_, args| {
        Ok((!is_equal(&args[0], &args[1])?).into())
    }),
    function("lt", 2, 2, |_, args| {
        Ok((order(args)? == Ordering::Less).into())
    }),
    function("le", 2, 2, |_, args| {
        Ok((order(args)? != Ordering::Greater).into())
    }),
    function("gt", 2, 2, |_, args| {
        Ok((order(args)? == Ordering::Greater).into())
    }),
    function("ge", 2, 2, |_, args| {
        Ok((order(args)? != Ordering::Less).into())
    }),
    function("default", 1, 2, |_, args| {
        let given = args.get(1).filter(|given| !is_empty(given));
        Ok(given.unwrap_or(&args[0]).clone())
    }),
    function("empty", 1, 1, |_, args| Ok(is_empty(&args[0]).into())),
    function("coalesce", 0, MANY, |_, args| {
        let found = args.iter().find(|value| !is_empty(value));
        Ok(found.cloned().unwrap_or(Value::Nil))
    }),
    function("all", 0, MANY, |_, args| {
        Ok(args.iter().all(|value| !is_empty(value)).into())
    }),
    function("any", 0, MANY, |_, args| {
        Ok(args.iter().any(|value| !is_empty(value)).into())
    }),
    function("ternary", 3, 3, |_, args| match &args[2] {
        Value::Bool(value) => Ok(args[usize::from(!value)].clone()),
        other => Err(format!("wants a bool, not {}", name(other))),
    }),
    function("fail", 1, 1, |_, args| Err(text(&args[0])?.to_owned())),
    function("kindOf", 1, 1, |_, args| Ok(kind(&args[0]).into())),
    function("kindIs", 2, 2, |_, args| {
        Ok((text(&args[0])? == kind(&args[1])).into())
    }),
    function("typeOf", 1, 1, |_, args| Ok(kind(&args[0]).into())),
    function("print", 0, MANY, print),
    function("println", 0, MANY, |budget, args| {
        let words = args.iter().map(|value| shown(value, budget));
        Ok((words.collect::<Result<Vec<_>, _>>()?.join(" ") + "\n").into())
    }),
    function("printf", 1, MANY, |budget, args| {
        Ok(super::print::format(text(&args[0])?, &args[1..], budget)?.into())
    }),
];

/// The value of `and` and `or`, whose last argument may come through a pipe.
fn decided(args: &[Value], decides: bool) -> Value {
    let found = args.iter().find(|value| value.is_true() == decides);
    found.or(args.last()).cloned().unwrap_or(Value::Nil)
}

/// What `default` and its like take for nothing.
pub(super) fn is_empty(value: &Value) -> bool {
    !value.is_true()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "invalid",
        other => other.type_name(),
    }
}

/// Values of two kinds are an error, as in Go, where the comparison would always be false; nothing may be compared to all.
fn is_equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Nil, other) | (other, Value::Nil) => Ok(matches!(other, Value::Nil)),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => Ok(a == b),
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            Ok(compare(a, b)?.is_eq())
        }
        _ => Err(incomparable(a, b)),
    }
}

fn order(args: &[Value]) -> Result<Ordering, String> {
    compare(&args[0], &args[1])
}

fn compare(a: &Value, b: &Value) -> Result<Ordering, String> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "only where one of both has a fraction"
    )]
    let ordering = match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => None,
    };
    ordering.ok_or_else(|| incomparable(a, b))
}

fn incomparable(a: &Value, b: &Value) -> String {
    format!("a {} and a {} cannot be compared", name(a), name(b))
}

/// Without spaces, but between two that are both no texts.
fn print(budget: &mut Budget, args: &[Value]) -> Answer {
    let mut out = String::new();
    for (n, value) in args.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        if n > 0 && !is_text(value) && !is_text(&args[n - 1]) {
            out.push(' ');
        }
        out.push_str(&shown(value, budget)?);
    }
    Ok(out.into())
}
