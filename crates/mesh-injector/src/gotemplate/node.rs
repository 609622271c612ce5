//! What a program is made of.

use std::collections::BTreeMap;

use super::functions::Function;

/// A template that has been read, with those that it defines.
#[derive(Debug)]
pub(crate) struct Program {
    pub(super) body: Vec<Node>,
    pub(super) defined: BTreeMap<String, Vec<Node>>,
}

/// One part of a template, in the order of its output.
#[derive(Debug)]
pub(super) enum Node {
    /// Text as it stands.
    Text(Box<str>),
    /// `{{ pipeline }}`
    Action(Pipeline),
    /// `if`, `else if`: the first that holds.
    If(Vec<Arm>, Vec<Node>),
    /// `with`, `else with`: as `if`, and the dot becomes the value.
    With(Vec<Arm>, Vec<Node>),
    /// `range`
    Range(Arm, Vec<Node>),
    /// `template`, `block`
    Call {
        line: usize,
        name: String,
        data: Option<Pipeline>,
    },
    /// `break`
    Break,
    /// `continue`
    Continue,
}

/// A condition and what it leads to.
#[derive(Debug)]
pub(super) struct Arm {
    pub(super) condition: Pipeline,
    pub(super) body: Vec<Node>,
}

/// `command | command`, and the variables that take its value.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) line: usize,
    pub(super) target: Option<Target>,
    pub(super) commands: Vec<Command>,
}

/// `$a :=`, `$a =`, `$a, $b :=`
#[derive(Debug)]
pub(super) struct Target {
    pub(super) variables: Vec<String>,
    pub(super) declares: bool,
}

/// A value, or a function and its arguments.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) line: usize,
    pub(super) words: Vec<Word>,
}

/// One operand.
#[derive(Debug)]
pub(super) enum Word {
    /// `nil`
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<str>),
    Function(&'static Function),
    /// `.`, `.A.B`
    Dot(Vec<String>),
    /// `$a`, `$a.B`; `$` is the data of the template.
    Variable(String, Vec<String>),
    /// `( pipeline )`, `( pipeline ).A`
    Nested(Box<Pipeline>, Vec<String>),
}
