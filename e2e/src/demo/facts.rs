//! What was seen, printed for people as it comes and kept for scripts.

use serde_json::{Value, json};

/// Facts, in the order in which they were seen.
pub(crate) struct Facts {
    aloud: bool,
    seen: Vec<Value>,
}

impl Facts {
    /// None yet; printed as they come if `aloud`.
    pub(crate) fn new(aloud: bool) -> Self {
        Self {
            aloud,
            seen: Vec::new(),
        }
    }

    /// A step with what shows it: a command, and what it printed. `key` names it for scripts.
    pub(crate) fn add(&mut self, key: &str, title: &str, command: &str, output: &str) {
        if self.aloud {
            println!("\n--- {title}");
            if !command.is_empty() {
                println!("$ {command}");
            }
            println!("{}", output.trim_end());
        }
        self.seen
            .push(json!({"key": key, "title": title, "command": command, "output": output}));
    }

    /// All of them.
    pub(crate) fn json(&self) -> String {
        format!("{:#}", Value::Array(self.seen.clone()))
    }
}
