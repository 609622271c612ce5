//! Arithmetic with whole numbers, as sprig's: what is no number is converted. Where a result does not fit, the function fails.

use super::{Answer, Function, MANY, Value, function, int};

pub(super) static FUNCTIONS: &[Function] = &[
    function("int", 1, 1, |_, args| Ok(int(&args[0])?.into())),
    function("int64", 1, 1, |_, args| Ok(int(&args[0])?.into())),
    function("atoi", 1, 1, |_, args| Ok(int(&args[0])?.into())),
    function("float64", 1, 1, |_, args| match &args[0] {
        Value::Float(number) => Ok(Value::Float(*number)),
        Value::Text(text) => Ok(Value::Float(text.parse().unwrap_or(0.0))),
        #[expect(clippy::cast_precision_loss, reason = "that is what is asked for")]
        other => Ok(Value::Float(int(other)? as f64)),
    }),
    function("add", 0, MANY, |_, args| folded(args, 0, i64::checked_add)),
    function("add1", 1, 1, |_, args| folded(args, 1, i64::checked_add)),
    function("mul", 1, MANY, |_, args| folded(args, 1, i64::checked_mul)),
    function("sub", 2, 2, |_, args| of_two(args, i64::checked_sub)),
    function("div", 2, 2, |_, args| of_two(args, i64::checked_div)),
    function("mod", 2, 2, |_, args| of_two(args, i64::checked_rem)),
    function("max", 1, MANY, |_, args| {
        folded(args, i64::MIN, |a, b| Some(a.max(b)))
    }),
    function("min", 1, MANY, |_, args| {
        folded(args, i64::MAX, |a, b| Some(a.min(b)))
    }),
];

fn folded(args: &[Value], start: i64, each: fn(i64, i64) -> Option<i64>) -> Answer {
    let mut result = start;
    for arg in args {
        result = each(result, int(arg)?).ok_or("the result is too large")?;
    }
    Ok(result.into())
}

fn of_two(args: &[Value], both: fn(i64, i64) -> Option<i64>) -> Answer {
    let result = both(int(&args[0])?, int(&args[1])?);
    result
        .map(Value::Int)
        .ok_or_else(|| "a division by zero, or a result that is too large".to_owned())
}
