//! Tokens become a program. What a template says wrong is found here, before any pod meets it.

use std::collections::BTreeMap;

use super::budget::DEPTH;
use super::lex::{Kind, Piece, Token, pieces};
use super::node::{Arm, Command, Node, Pipeline, Program, Target, Word};
use super::{Error, functions};

impl Program {
    /// Reads a template.
    ///
    /// # Errors
    /// The first mistake.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut parser = Parser {
            pieces: pieces(text)?.into_iter(),
            variables: vec!["$".to_owned()],
            defined: BTreeMap::new(),
            depth: 0,
            loops: 0,
        };
        let (body, end) = parser.list()?;
        if let Some(end) = end {
            return Err(end.error(format!("`{}` without a block that it belongs to", end.word)));
        }
        let program = Self {
            body,
            defined: parser.defined,
        };
        program.check_calls(&program.body)?;
        for body in program.defined.values() {
            program.check_calls(body)?;
        }
        Ok(program)
    }

    /// Templates that are called must be defined.
    fn check_calls(&self, nodes: &[Node]) -> Result<(), Error> {
        nodes.iter().try_for_each(|node| match node {
            Node::Call { line, name, .. } if !self.defined.contains_key(name) => Err(Error {
                line: *line,
                message: format!("template \"{name}\" is not defined"),
            }),
            Node::If(arms, otherwise) | Node::With(arms, otherwise) => {
                arms.iter()
                    .try_for_each(|arm| self.check_calls(&arm.body))?;
                self.check_calls(otherwise)
            }
            Node::Range(arm, otherwise) => {
                self.check_calls(&arm.body)?;
                self.check_calls(otherwise)
            }
            _ => Ok(()),
        })
    }
}

struct Parser<'a> {
    pieces: std::vec::IntoIter<Piece<'a>>,
    /// Variables that may be used here.
    variables: Vec<String>,
    defined: BTreeMap<String, Vec<Node>>,
    depth: usize,
    /// `range`s around this place.
    loops: usize,
}

/// `end` or `else`, with what stands behind it.
struct End {
    word: &'static str,
    line: usize,
    rest: Tokens,
}

impl End {
    fn error(&self, message: String) -> Error {
        Error {
            line: self.line,
            message,
        }
    }
}

/// What is left of an action.
struct Tokens {
    tokens: Vec<Token>,
    at: usize,
    line: usize,
}

impl Tokens {
    fn error(&self, message: impl Into<String>) -> Error {
        Error {
            line: self.line,
            message: message.into(),
        }
    }

    fn peek(&self) -> Option<&Kind> {
        self.ahead(0)
    }

    fn ahead(&self, count: usize) -> Option<&Kind> {
        self.tokens.get(self.at + count).map(|token| &token.kind)
    }

    /// Line of what comes next.
    fn next_line(&self) -> usize {
        self.tokens
            .get(self.at)
            .map_or(self.line, |token| token.line)
    }

    fn next(&mut self) -> Option<Kind> {
        let token = self.tokens.get_mut(self.at)?;
        self.at += 1;
        self.line = token.line;
        Some(std::mem::replace(&mut token.kind, Kind::Dot))
    }

    fn take(&mut self, kind: &Kind) -> bool {
        let is_it = self.peek() == Some(kind);
        if is_it {
            self.next();
        }
        is_it
    }

    fn end(&mut self, what: &str) -> Result<(), Error> {
        match self.next() {
            None => Ok(()),
            Some(kind) => Err(self.error(format!("unexpected {} behind {what}", name(&kind)))),
        }
    }
}

fn name(kind: &Kind) -> String {
    match kind {
        Kind::Dot => "`.`".into(),
        Kind::Field(name) => format!("`.{name}`"),
        Kind::Variable(name) | Kind::Word(name) => format!("`{name}`"),
        Kind::Text(text) => format!("{text:?}"),
        Kind::Int(number) => format!("`{number}`"),
        Kind::Float(number) => format!("`{number}`"),
        Kind::Pipe => "`|`".into(),
        Kind::Open => "`(`".into(),
        Kind::Close => "`)`".into(),
        Kind::Declare => "`:=`".into(),
        Kind::Assign => "`=`".into(),
        Kind::Comma => "`,`".into(),
    }
}

impl Parser<'_> {
    /// Nodes up to an `end` or `else`, or the end of the text.
    fn list(&mut self) -> Result<(Vec<Node>, Option<End>), Error> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (tokens, line) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text.into()));
                    continue;
                }
                Piece::Action(tokens, line) => (tokens, line),
            };
            let line = tokens.first().map_or(line, |token| token.line);
            let mut tokens = Tokens {
                tokens,
                at: 0,
                line,
            };
            let word = match tokens.peek() {
                Some(Kind::Word(word)) => word.clone(),
                _ => String::new(),
            };
            if let Some(word) = ["end", "else"].into_iter().find(|end| *end == word) {
                tokens.next();
                return Ok((
                    nodes,
                    Some(End {
                        word,
                        line,
                        rest: tokens,
                    }),
                ));
            }
            nodes.extend(self.action(&word, tokens)?);
        }
        Ok((nodes, None))
    }

    fn action(&mut self, word: &str, mut tokens: Tokens) -> Result<Option<Node>, Error> {
        if !matches!(
            word,
            "if" | "with" | "range" | "define" | "block" | "template" | "break" | "continue"
        ) {
            let pipeline = self.pipeline(&mut tokens, 2)?;
            tokens.end("a pipeline")?;
            return Ok(Some(Node::Action(pipeline)));
        }
        tokens.next();
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(tokens.error(format!("blocks are nested deeper than {DEPTH}")));
        }
        let mark = self.variables.len();
        let node = match word {
            "if" => self
                .arms(tokens, word)
                .map(|(arms, otherwise)| Some(Node::If(arms, otherwise))),
            "with" => self
                .arms(tokens, word)
                .map(|(arms, otherwise)| Some(Node::With(arms, otherwise))),
            "range" => self.range(tokens).map(Some),
            "define" => self.define(tokens).map(|()| None),
            "block" => self.block(tokens).map(Some),
            "template" => self.call(tokens).map(Some),
            _ => self.jump(word, tokens).map(Some),
        };
        self.variables.truncate(mark);
        self.depth -= 1;
        node
    }

    /// The arms of `if` or `with`, and what stands under `else`.
    fn arms(&mut self, mut tokens: Tokens, word: &str) -> Result<(Vec<Arm>, Vec<Node>), Error> {
        let mut arms = Vec::new();
        loop {
            let condition = self.condition(&mut tokens, word, 1)?;
            let (body, mut end) = self.body(word, condition.line)?;
            arms.push(Arm { condition, body });
            if end.word == "end" {
                end.rest.end("`end`")?;
                return Ok((arms, Vec::new()));
            }
            if end.rest.take(&Kind::Word(word.to_owned())) {
                tokens = end.rest;
                continue;
            }
            return Ok((arms, self.otherwise(end, word)?));
        }
    }

    fn range(&mut self, mut tokens: Tokens) -> Result<Node, Error> {
        let condition = self.condition(&mut tokens, "range", 2)?;
        self.loops += 1;
        let body = self.body("range", condition.line);
        self.loops -= 1;
        let (body, mut end) = body?;
        let arm = Arm { condition, body };
        let otherwise = match end.word {
            "end" => end.rest.end("`end`").map(|()| Vec::new())?,
            _ => self.otherwise(end, "range")?,
        };
        Ok(Node::Range(arm, otherwise))
    }

    fn condition(
        &mut self,
        tokens: &mut Tokens,
        word: &str,
        most: usize,
    ) -> Result<Pipeline, Error> {
        if tokens.peek().is_none() {
            return Err(tokens.error(format!("`{word}` without a value")));
        }
        let pipeline = self.pipeline(tokens, most)?;
        tokens.end("a pipeline")?;
        Ok(pipeline)
    }

    /// What stands under plain `else`, to the `end`.
    fn otherwise(&mut self, mut end: End, word: &str) -> Result<Vec<Node>, Error> {
        end.rest.end("`else`")?;
        let (nodes, mut last) = self.body(word, end.line)?;
        if last.word != "end" {
            return Err(last.error(format!("a second `else` of one `{word}`")));
        }
        last.rest.end("`end`")?;
        Ok(nodes)
    }

    /// Nodes of a block, which must end.
    fn body(&mut self, word: &str, line: usize) -> Result<(Vec<Node>, End), Error> {
        let mark = self.variables.len();
        let (nodes, end) = self.list()?;
        self.variables.truncate(mark);
        let message = format!("`{word}` without `end`");
        Ok((nodes, end.ok_or(Error { line, message })?))
    }

    /// `define` and `block` begin with a name and have no variables of the place where they stand.
    fn define_body(&mut self, name: String, word: &str, line: usize) -> Result<(), Error> {
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let loops = std::mem::take(&mut self.loops);
        let body = self.body(word, line);
        (self.variables, self.loops) = (outer, loops);
        let (nodes, mut end) = body?;
        if end.word != "end" {
            return Err(end.error(format!("`else` in `{word}`")));
        }
        end.rest.end("`end`")?;
        self.defined.insert(name, nodes);
        Ok(())
    }

    fn define(&mut self, mut tokens: Tokens) -> Result<(), Error> {
        if self.depth > 1 {
            return Err(tokens.error("`define` inside another block"));
        }
        let name = quoted(&mut tokens, "define")?;
        tokens.end("the name")?;
        self.define_body(name, "define", tokens.line)
    }

    fn block(&mut self, mut tokens: Tokens) -> Result<Node, Error> {
        let name = quoted(&mut tokens, "block")?;
        let line = tokens.line;
        let data = self.condition(&mut tokens, "block", 1)?;
        self.define_body(name.clone(), "block", line)?;
        Ok(Node::Call {
            line,
            name,
            data: Some(data),
        })
    }

    fn call(&mut self, mut tokens: Tokens) -> Result<Node, Error> {
        let name = quoted(&mut tokens, "template")?;
        let line = tokens.line;
        let data = match tokens.peek() {
            None => None,
            Some(_) => Some(self.condition(&mut tokens, "template", 1)?),
        };
        Ok(Node::Call { line, name, data })
    }

    fn jump(&mut self, word: &str, mut tokens: Tokens) -> Result<Node, Error> {
        if self.loops == 0 {
            return Err(tokens.error(format!("`{word}` outside of `range`")));
        }
        tokens.end(&format!("`{word}`"))?;
        Ok(if word == "break" {
            Node::Break
        } else {
            Node::Continue
        })
    }

    /// A pipeline up to a `)` or the end; it may declare as many as `most` variables.
    fn pipeline(&mut self, tokens: &mut Tokens, most: usize) -> Result<Pipeline, Error> {
        let line = tokens.next_line();
        let target = target(tokens, most)?;
        let mut commands = vec![self.command(tokens)?];
        while tokens.take(&Kind::Pipe) {
            commands.push(self.command(tokens)?);
            let is_function =
                |command: &Command| matches!(command.words.first(), Some(Word::Function(_)));
            if !commands.last().is_some_and(is_function) {
                return Err(tokens.error("behind `|` must stand a function"));
            }
        }
        if let Some(target) = &target {
            self.declare(target, tokens)?;
        }
        Ok(Pipeline {
            line,
            target,
            commands,
        })
    }

    fn declare(&mut self, target: &Target, tokens: &Tokens) -> Result<(), Error> {
        for name in &target.variables {
            match target.declares {
                true => self.variables.push(name.clone()),
                false => self.check_variable(name, tokens)?,
            }
        }
        Ok(())
    }

    fn check_variable(&self, name: &str, tokens: &Tokens) -> Result<(), Error> {
        match self.variables.iter().any(|known| known == name) {
            true => Ok(()),
            false => Err(tokens.error(format!("variable `{name}` is not defined here"))),
        }
    }

    fn command(&mut self, tokens: &mut Tokens) -> Result<Command, Error> {
        let line = tokens.next_line();
        let mut words = Vec::new();
        while !matches!(tokens.peek(), None | Some(Kind::Pipe | Kind::Close)) {
            words.push(self.word(tokens)?);
        }
        if words.is_empty() {
            return Err(tokens.error("a value is missing"));
        }
        if words.len() > 1 && !matches!(words[0], Word::Function(_)) {
            return Err(tokens
                .error("only functions take arguments; is a function's name or a `|` missing?"));
        }
        Ok(Command { line, words })
    }

    fn word(&mut self, tokens: &mut Tokens) -> Result<Word, Error> {
        let kind = tokens
            .next()
            .ok_or_else(|| tokens.error("a value is missing"))?;
        Ok(match kind {
            Kind::Dot => Word::Dot(Vec::new()),
            Kind::Field(name) => {
                let mut fields = vec![name];
                fields.extend(glued_fields(tokens));
                Word::Dot(fields)
            }
            Kind::Variable(name) => {
                self.check_variable(&name, tokens)?;
                Word::Variable(name, glued_fields(tokens))
            }
            Kind::Text(text) => Word::Text(text.into()),
            Kind::Int(number) => Word::Int(number),
            Kind::Float(number) => Word::Float(number),
            Kind::Open => self.nested(tokens)?,
            Kind::Word(word) => match word.as_str() {
                "true" => Word::Bool(true),
                "false" => Word::Bool(false),
                "nil" => Word::Nil,
                name => {
                    let missing = || tokens.error(format!("function `{name}` is not defined"));
                    Word::Function(functions::find(name).ok_or_else(missing)?)
                }
            },
            other => return Err(tokens.error(format!("unexpected {}", name(&other)))),
        })
    }

    fn nested(&mut self, tokens: &mut Tokens) -> Result<Word, Error> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(tokens.error(format!("parentheses are nested deeper than {DEPTH}")));
        }
        let mark = self.variables.len();
        let pipeline = self.pipeline(tokens, 0)?;
        self.variables.truncate(mark);
        self.depth -= 1;
        match tokens.take(&Kind::Close) {
            true => Ok(Word::Nested(Box::new(pipeline), glued_fields(tokens))),
            false => Err(tokens.error("`(` without `)`")),
        }
    }
}

/// The fields that follow an operand without a space.
fn glued_fields(tokens: &mut Tokens) -> Vec<String> {
    let mut fields = Vec::new();
    while let Some(Token {
        kind: Kind::Field(name),
        is_glued: true,
        ..
    }) = tokens.tokens.get(tokens.at)
    {
        fields.push(name.clone());
        tokens.next();
    }
    fields
}

fn quoted(tokens: &mut Tokens, word: &str) -> Result<String, Error> {
    match tokens.next() {
        Some(Kind::Text(name)) => Ok(name),
        _ => Err(tokens.error(format!("behind `{word}` must stand a name in quotes"))),
    }
}

/// The variables before `:=` or `=`; `None` if the pipeline only has a value.
fn target(tokens: &mut Tokens, most: usize) -> Result<Option<Target>, Error> {
    let sign = |count| match tokens.ahead(count) {
        Some(Kind::Declare) => Some(true),
        Some(Kind::Assign) => Some(false),
        _ => None,
    };
    let (variables, declares) = match (
        tokens.ahead(0),
        sign(1),
        tokens.ahead(1),
        tokens.ahead(2),
        sign(3),
    ) {
        (Some(Kind::Variable(one)), Some(declares), ..) => (vec![one.clone()], declares),
        (
            Some(Kind::Variable(one)),
            _,
            Some(Kind::Comma),
            Some(Kind::Variable(two)),
            Some(declares),
        ) => (vec![one.clone(), two.clone()], declares),
        _ => return Ok(None),
    };
    for _ in 0..variables.len() * 2 {
        tokens.next();
    }
    if variables.len() > most {
        return Err(tokens.error("too many variables are set here"));
    }
    Ok(Some(Target {
        variables,
        declares,
    }))
}
