//! Maps.

use super::{
    Answer, Budget, Entries, Function, MANY, Shape, Special, Value, entries, function, items,
    made_list, made_map, map, shown, special, text,
};

pub(super) static FUNCTIONS: &[Function] = &[
    function("dict", 0, MANY, |b, args| {
        let mut fields = Entries::new();
        for pair in args.chunks(2) {
            let value = pair.get(1).cloned().unwrap_or_else(|| "".into());
            fields.insert(shown(&pair[0], b)?.into(), value);
        }
        made_map(Shape::Any, fields, b)
    }),
    function("get", 2, 2, |_, args| {
        let found = map(&args[0])?.entries().get(text(&args[1])?);
        Ok(found.cloned().unwrap_or_else(|| "".into()))
    }),
    special("set", 3, 3, Special::Changes, |b, args| {
        let mut fields = copy(&args[0], b)?;
        fields.insert(text(&args[1])?.into(), args[2].clone());
        made_map(Shape::Any, fields, b)
    }),
    special("unset", 2, 2, Special::Changes, |b, args| {
        let mut fields = copy(&args[0], b)?;
        fields.remove(text(&args[1])?);
        made_map(Shape::Any, fields, b)
    }),
    function("hasKey", 2, 2, |_, args| {
        Ok(map(&args[0])?
            .entries()
            .contains_key(text(&args[1])?)
            .into())
    }),
    function("keys", 0, MANY, |b, args| {
        let mut all = Vec::new();
        for arg in args {
            all.extend(
                map(arg)?
                    .entries()
                    .keys()
                    .map(|name| Value::Text(name.clone())),
            );
            b.make(all.len())?;
        }
        made_list(all, b)
    }),
    function("values", 1, 1, |b, args| {
        made_list(map(&args[0])?.entries().values().cloned().collect(), b)
    }),
    function("pick", 1, MANY, |b, args| filtered(b, args, true)),
    function("omit", 1, MANY, |b, args| {
        // Istio's takes names one by one, or as a list.
        match args {
            [fields, names @ Value::List(_)] => {
                let names = [std::slice::from_ref(fields), items(names)?].concat();
                filtered(b, &names, false)
            }
            args => filtered(b, args, false),
        }
    }),
    function("pluck", 1, MANY, |b, args| {
        let name = text(&args[0])?;
        let maps = args[1..].iter().map(map).collect::<Result<Vec<_>, _>>()?;
        made_list(
            maps.iter()
                .filter_map(|map| map.entries().get(name))
                .cloned()
                .collect(),
            b,
        )
    }),
    function("dig", 3, MANY, dig),
    special("merge", 1, MANY, Special::Changes, |b, args| {
        merged(b, args, false)
    }),
    special("mergeOverwrite", 1, MANY, Special::Changes, |b, args| {
        merged(b, args, true)
    }),
    function("deepCopy", 1, 1, |_, args| Ok(args[0].clone())),
];

fn copy(value: &Value, budget: &mut Budget) -> Result<Entries, String> {
    budget.make(map(value)?.entries().len() * 64)?;
    entries(value)
}

fn filtered(budget: &mut Budget, args: &[Value], keeps: bool) -> Answer {
    let names = args[1..].iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let (shape, mut fields) = match &args[0] {
        Value::Nil => (Shape::Any, Entries::new()),
        other => (map(other)?.shape(), copy(other, budget)?),
    };
    budget.make(fields.len().saturating_mul(names.len()))?;
    fields.retain(|name, _| names.contains(&&**name) == keeps);
    made_map(shape, fields, budget)
}

/// A value in maps within maps, or the default, which stands before the map.
fn dig(_: &mut Budget, args: &[Value]) -> Answer {
    let (names, default) = (&args[..args.len() - 2], &args[args.len() - 2]);
    let mut value = args[args.len() - 1].clone();
    for name in names {
        let Some(found) = map(&value)?.entries().get(text(name)?).cloned() else {
            return Ok(default.clone());
        };
        value = found;
    }
    Ok(value)
}

fn merged(budget: &mut Budget, args: &[Value], overwrites: bool) -> Answer {
    let mut all = args[0].clone();
    for more in &args[1..] {
        all = merge(budget, &all, more, overwrites)?;
    }
    Ok(all)
}

/// Field by field, maps within maps, too.
fn merge(budget: &mut Budget, base: &Value, more: &Value, overwrites: bool) -> Answer {
    let mut fields = copy(base, budget)?;
    for (name, value) in entries(more)? {
        budget.step()?;
        let merged = match (fields.get(&name), &value) {
            (Some(own @ Value::Map(_)), Value::Map(_)) => merge(budget, own, &value, overwrites)?,
            (Some(own), _) if !overwrites && own.is_true() => own.clone(),
            _ => value,
        };
        fields.insert(name, merged);
    }
    made_map(Shape::Any, fields, budget)
}
