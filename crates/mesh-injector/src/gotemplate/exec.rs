//! A program with its data becomes text.

use super::budget::{DEPTH, OUTPUT_BYTES};
use super::functions::{Function, Special};
use super::node::{Arm, Command, Node, Pipeline, Program, Target, Word};
use super::value::Value;
use super::{Budget, Error, Output, print, shape};

impl Program {
    /// Runs the template over `data`, within what is left of `budget`.
    ///
    /// # Errors
    /// The first thing that cannot be done.
    pub(crate) fn run(&self, data: &Value, budget: &mut Budget) -> Result<Output, Error> {
        let mut run = Run {
            program: self,
            budget,
            output: Output::default(),
            variables: vec![("$", data.clone())],
            depth: 0,
        };
        run.nodes(&self.body, data)?;
        Ok(run.output)
    }
}

struct Run<'a, 'b> {
    program: &'a Program,
    budget: &'b mut Budget,
    output: Output,
    variables: Vec<(&'a str, Value)>,
    depth: usize,
}

/// Where a run goes on.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

fn at(line: usize) -> impl Fn(String) -> Error {
    move |message| Error { line, message }
}

impl<'a> Run<'a, '_> {
    fn nodes(&mut self, nodes: &'a [Node], dot: &Value) -> Result<Flow, Error> {
        for node in nodes {
            let mark = self.variables.len();
            let flow = match node {
                Node::Text(text) => self.write(text, 0)?,
                Node::Action(pipeline) => self.action(pipeline, dot)?,
                Node::If(arms, otherwise) => self.arms(arms, otherwise, dot, false)?,
                Node::With(arms, otherwise) => self.arms(arms, otherwise, dot, true)?,
                Node::Range(arm, otherwise) => self.range(arm, otherwise, dot)?,
                Node::Call { line, name, data } => self.call(*line, name, data.as_ref(), dot)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            // What an action declares lives on in its block; what a block declares ends with it.
            if !matches!(node, Node::Action(_)) {
                self.variables.truncate(mark);
            }
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn write(&mut self, text: &str, line: usize) -> Result<Flow, Error> {
        if self.output.text.len() + text.len() > OUTPUT_BYTES {
            return Err(at(line.max(1))(format!(
                "the text is longer than {OUTPUT_BYTES} bytes"
            )));
        }
        self.output.text.push_str(text);
        Ok(Flow::On)
    }

    fn action(&mut self, pipeline: &'a Pipeline, dot: &Value) -> Result<Flow, Error> {
        let value = self.pipeline(pipeline, dot)?;
        match value {
            _ if pipeline.target.is_some() => Ok(Flow::On),
            Value::Nil => {
                self.output.no_value.get_or_insert(pipeline.line);
                self.write("<no value>", pipeline.line)
            }
            value => {
                let text = print::text(&value, self.budget).map_err(at(pipeline.line))?;
                self.write(&text, pipeline.line)
            }
        }
    }

    /// One level deeper, as far as that is allowed.
    fn deeper<T>(
        &mut self,
        line: usize,
        inner: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.depth >= DEPTH {
            return Err(at(line)(format!(
                "more than {DEPTH} levels; does a template call itself?"
            )));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn arms(
        &mut self,
        arms: &'a [Arm],
        otherwise: &'a [Node],
        dot: &Value,
        moves: bool,
    ) -> Result<Flow, Error> {
        for arm in arms {
            let value = self.pipeline(&arm.condition, dot)?;
            if value.is_true() {
                let dot = if moves { &value } else { dot };
                return self.deeper(arm.condition.line, |run| run.nodes(&arm.body, dot));
            }
        }
        let line = arms.first().map_or(1, |arm| arm.condition.line);
        self.deeper(line, |run| run.nodes(otherwise, dot))
    }

    fn range(&mut self, arm: &'a Arm, otherwise: &'a [Node], dot: &Value) -> Result<Flow, Error> {
        let line = arm.condition.line;
        let value = self.commands(&arm.condition, dot)?;
        // The items are shared, not copied: a list may stand in many loops.
        let count = match &value {
            Value::Nil => 0,
            Value::Int(count) => usize::try_from(*count).unwrap_or(0),
            Value::List(list) => list.items().len(),
            Value::Map(map) if !map.shape().is_object() => map.entries().len(),
            other => {
                return Err(at(line)(format!(
                    "cannot range over a {}",
                    other.type_name()
                )));
            }
        };
        if count == 0 {
            return self.deeper(line, |run| run.nodes(otherwise, dot));
        }
        let mut entries = match &value {
            Value::Map(map) => Some(map.entries().iter()),
            _ => None,
        };
        let mark = self.variables.len();
        for n in 0..count {
            self.budget.step().map_err(at(line))?;
            let index = i64::try_from(n).unwrap_or(i64::MAX);
            let (key, item) = match (&value, entries.as_mut().and_then(Iterator::next)) {
                (_, Some((name, item))) => (Value::Text(name.clone()), item.clone()),
                (Value::List(list), _) => (Value::Int(index), list.items()[n].clone()),
                _ => (Value::Int(index), Value::Int(index)),
            };
            if let Some(target) = &arm.condition.target {
                self.bind(target, key, &item, line)?;
            }
            let flow = self.deeper(line, |run| run.nodes(&arm.body, &item))?;
            self.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    /// Gives the variables of a `range` the values of one turn: one variable takes the item, two take key and item.
    fn bind(
        &mut self,
        target: &'a Target,
        key: Value,
        item: &Value,
        line: usize,
    ) -> Result<(), Error> {
        let values = match target.variables.len() {
            1 => vec![item.clone()],
            _ => vec![key, item.clone()],
        };
        for (name, value) in target.variables.iter().zip(values) {
            self.set(name, value, target.declares, line)?;
        }
        Ok(())
    }

    fn set(
        &mut self,
        name: &'a str,
        value: Value,
        declares: bool,
        line: usize,
    ) -> Result<(), Error> {
        if declares {
            self.variables.push((name, value));
            return Ok(());
        }
        let slot = self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| *known == name);
        let (_, slot) =
            slot.ok_or_else(|| at(line)(format!("variable `{name}` is not defined here")))?;
        *slot = value;
        Ok(())
    }

    fn call(
        &mut self,
        line: usize,
        name: &str,
        data: Option<&'a Pipeline>,
        dot: &Value,
    ) -> Result<Flow, Error> {
        let program = self.program;
        let body = program.defined.get(name);
        let body = body.ok_or_else(|| at(line)(format!("template \"{name}\" is not defined")))?;
        self.budget.step().map_err(at(line))?;
        let data = match data {
            Some(pipeline) => self.pipeline(pipeline, dot)?,
            None => Value::Nil,
        };
        let outer = std::mem::replace(&mut self.variables, vec![("$", data.clone())]);
        let result = self.deeper(line, |run| run.nodes(body, &data));
        self.variables = outer;
        result.map(|_| Flow::On)
    }

    /// The value of a pipeline, which its variable takes, too.
    fn pipeline(&mut self, pipeline: &'a Pipeline, dot: &Value) -> Result<Value, Error> {
        let value = self.commands(pipeline, dot)?;
        if let Some(Target {
            variables,
            declares,
        }) = &pipeline.target
        {
            for name in variables {
                self.set(name, value.clone(), *declares, pipeline.line)?;
            }
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &'a Pipeline, dot: &Value) -> Result<Value, Error> {
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, dot, last)?);
        }
        Ok(last.unwrap_or(Value::Nil))
    }

    /// `last` is the value of the command before, which becomes the last argument.
    fn command(
        &mut self,
        command: &'a Command,
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, Error> {
        self.budget.step().map_err(at(command.line))?;
        match command.words.split_first() {
            Some((Word::Function(function), words)) => {
                self.function(function, command.line, words, dot, last)
            }
            Some((word, _)) => self.word(word, dot, command.line),
            None => Ok(Value::Nil),
        }
    }

    fn function(
        &mut self,
        function: &'static Function,
        line: usize,
        words: &'a [Word],
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, Error> {
        let count = words.len() + usize::from(last.is_some());
        function.check_count(count).map_err(at(line))?;
        let mut args = Vec::with_capacity(count);
        for word in words {
            let value = self.word(word, dot, line)?;
            // The first argument that decides is the value; the others are not looked at.
            if function.special == Some(Special::Decides(value.is_true())) {
                return Ok(value);
            }
            args.push(value);
        }
        args.extend(last);
        if function.special == Some(Special::Renders) {
            return self.render(&args, line);
        }
        let named = |message: String| at(line)(format!("{}: {message}", function.name));
        let value = (function.run)(self.budget, &args).map_err(named)?;
        // Values do not change; a function that changes its argument in Go gives the variable a new one here.
        if let (Some(Special::Changes), Some(Word::Variable(name, fields))) =
            (function.special, words.first())
            && fields.is_empty()
        {
            self.set(name, value.clone(), false, line)?;
        }
        Ok(value)
    }

    /// A text that is itself a template over the same data.
    fn render(&mut self, args: &[Value], line: usize) -> Result<Value, Error> {
        let (Some(Value::Text(text)), Some((_, data))) =
            (args.first(), self.variables.first().cloned())
        else {
            return Err(at(line)("render: wants a text".into()));
        };
        let inner = |error: Error| at(line)(format!("render: {error}"));
        self.budget.make(text.len() * 8).map_err(at(line))?;
        let program = Program::parse(text).map_err(inner)?;
        let depth = self.depth + 1;
        self.deeper(line, |run| {
            let mut nested = Run {
                program: &program,
                budget: run.budget,
                output: Output::default(),
                variables: vec![("$", data.clone())],
                depth,
            };
            nested.nodes(&program.body, &data).map_err(inner)?;
            Ok(Value::from(nested.output.text))
        })
    }

    fn word(&mut self, word: &'a Word, dot: &Value, line: usize) -> Result<Value, Error> {
        let (value, fields) = match word {
            Word::Nil => return Ok(Value::Nil),
            Word::Bool(value) => return Ok(Value::Bool(*value)),
            Word::Int(number) => return Ok(Value::Int(*number)),
            Word::Float(number) => return Ok(Value::Float(*number)),
            Word::Text(text) => {
                self.budget.make(text.len()).map_err(at(line))?;
                return Ok(Value::from(&**text));
            }
            Word::Function(function) => return self.function(function, line, &[], dot, None),
            Word::Dot(fields) => (dot.clone(), fields),
            Word::Variable(name, fields) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                (found.map_or(Value::Nil, |(_, value)| value.clone()), fields)
            }
            Word::Nested(pipeline, fields) => {
                let mark = self.variables.len();
                let value = self.deeper(line, |run| run.pipeline(pipeline, dot))?;
                self.variables.truncate(mark);
                (value, fields)
            }
        };
        let mut value = value;
        for name in fields {
            self.budget.step().map_err(at(line))?;
            value = shape::field(&value, name).map_err(at(line))?;
        }
        Ok(value)
    }
}
