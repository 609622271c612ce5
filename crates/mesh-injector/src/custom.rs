//! Templates of the mesh's owner, beside the one that is built in.
//!
//! They stand in the key `config` of the ConfigMap `istio-sidecar-injector`: texts for Go's templates that give part of a
//! pod, which is merged onto the pod. A pod names those it wants in `inject.istio.io/templates`, in their order; others get
//! the `defaultTemplates`. An alias stands for several. `sidecar` is the built-in one, [`template`](crate::template).
//!
//! What templates say wrong in themselves is found when the settings are read; what goes wrong with one pod refuses that pod
//! and names the template and its line.

mod data; // what a template sees
mod kubernetes; // fields of a pod, as Go names them

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_api::annotation::TEMPLATES;
use mesh_api::yaml;
use serde_json::Value;

use crate::gotemplate::{self, Budget, Program};
use crate::merge::{self, Mistake};
use crate::template::Input;
use crate::{Problem, json};

/// The name of the built-in template.
pub(crate) const SIDECAR: &str = "sidecar";
/// Most templates that one pod may have, as the names come from whoever creates it.
const MOST: usize = 16;
/// What a pod may hold at the top.
const FIELDS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
const HINT: &str = "templates stand in the ConfigMap istio-sidecar-injector (or its copy of the revision), key config; \
                    `meshctl kube-inject --injectConfigFile FILE` tries one out";

/// The templates of an installation, and what names stand for them.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    named: BTreeMap<String, Arc<Template>>,
    aliases: BTreeMap<String, Vec<String>>,
    /// For pods that name none; empty for the built-in one.
    defaults: Vec<String>,
}

#[derive(Debug)]
struct Template {
    text: String,
    program: Program,
}

impl PartialEq for Templates {
    fn eq(&self, other: &Self) -> bool {
        let texts = |templates: &Self| -> Vec<(String, String)> {
            let pairs = templates.named.iter();
            pairs
                .map(|(name, template)| (name.clone(), template.text.clone()))
                .collect()
        };
        texts(self) == texts(other)
            && self.aliases == other.aliases
            && self.defaults == other.defaults
    }
}

/// A mistake in the templates themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// The field, such as `templates.custom`.
    pub(crate) path: String,
    /// What is wrong.
    pub(crate) message: String,
}

/// One of the templates that a pod gets.
#[derive(Debug, Clone)]
pub(crate) enum Layer {
    /// The built-in one.
    Sidecar,
    /// One of the mesh's owner.
    Custom(Custom),
}

/// A template of the mesh's owner, by its name.
#[derive(Debug, Clone)]
pub(crate) struct Custom {
    name: String,
    template: Arc<Template>,
}

impl Templates {
    /// Reads templates. One that is called as the built-in one does not count.
    pub(crate) fn read(
        texts: &BTreeMap<String, String>,
        aliases: BTreeMap<String, Vec<String>>,
        defaults: Vec<String>,
    ) -> Result<Self, Unusable> {
        let mut named = BTreeMap::new();
        for (name, text) in texts.iter().filter(|(name, _)| *name != SIDECAR) {
            let program = Program::parse(text).map_err(|error| Unusable {
                path: format!("templates.{name}"),
                message: error.to_string(),
            })?;
            let text = text.clone();
            named.insert(name.clone(), Arc::new(Template { text, program }));
        }
        let templates = Self {
            named,
            aliases,
            defaults,
        };
        let aliases = templates
            .aliases
            .iter()
            .map(|(name, all)| (format!("aliases.{name}"), all));
        for (path, names) in aliases {
            templates.check(path, names)?;
        }
        let defaults = templates
            .defaults
            .iter()
            .flat_map(|name| templates.expand(name));
        templates.check(
            "defaultTemplates".into(),
            &defaults.cloned().collect::<Vec<_>>(),
        )?;
        Ok(templates)
    }

    /// Names must stand for templates.
    fn check(&self, path: String, names: &[String]) -> Result<(), Unusable> {
        if names.len() > MOST {
            let message = format!("{} templates are more than {MOST}", names.len());
            return Err(Unusable { path, message });
        }
        match names
            .iter()
            .find(|name| *name != SIDECAR && !self.named.contains_key(*name))
        {
            None => Ok(()),
            Some(name) => Err(Unusable {
                path,
                message: format!("there is no template `{name}`, only {}", self.known()),
            }),
        }
    }

    /// The templates that a name stands for; aliases of aliases are none.
    fn expand<'a>(&'a self, name: &'a String) -> &'a [String] {
        self.aliases
            .get(name)
            .map_or(std::slice::from_ref(name), Vec::as_slice)
    }

    fn known(&self) -> String {
        let names = self
            .named
            .keys()
            .chain(self.aliases.keys())
            .map(String::as_str);
        let mut names: Vec<&str> = names.chain([SIDECAR]).collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }

    /// The templates of a pod, in their order.
    pub(crate) fn choose(
        &self,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Vec<Layer>, Problem> {
        let built_in = [SIDECAR.to_owned()];
        let wanted: Vec<String> = match (annotations.get(TEMPLATES), self.defaults.as_slice()) {
            (Some(text), _) => text
                .split(',')
                .take(MOST + 1)
                .map(|name| name.trim().to_owned())
                .collect(),
            (None, []) => built_in.to_vec(),
            (None, defaults) => defaults.to_vec(),
        };
        let mistake =
            |message: String| Problem::new(format!("metadata.annotations[{TEMPLATES}]"), message);
        let names: Vec<&String> = wanted.iter().flat_map(|name| self.expand(name)).collect();
        if names.len() > MOST {
            return Err(mistake(format!("more than {MOST} templates are named")));
        }
        let layer = |name: &&String| match self.named.get(*name) {
            Some(template) => Ok(Layer::Custom(Custom {
                name: (*name).clone(),
                template: template.clone(),
            })),
            None if *name == SIDECAR => Ok(Layer::Sidecar),
            None => {
                let message = format!("there is no template `{name}`, only {}", self.known());
                Err(mistake(message).hint(HINT))
            }
        };
        names.iter().map(layer).collect()
    }
}

/// Runs templates for one pod, which share what they may use.
pub(crate) struct Renderer {
    data: gotemplate::Value,
    budget: Budget,
}

impl Renderer {
    pub(crate) fn new(input: &Input<'_>) -> Result<Self, Problem> {
        let data = data::of(input).map_err(|message| Problem::new("pod", message))?;
        Ok(Self {
            data,
            budget: Budget::default(),
        })
    }

    /// What the template makes: a part of a pod. Nothing is an empty one.
    pub(crate) fn render(
        &mut self,
        custom: &Custom,
        warnings: &mut Vec<String>,
    ) -> Result<Value, Problem> {
        let output = custom.template.program.run(&self.data, &mut self.budget);
        let output = output
            .map_err(|error| custom.problem(&format!(", line {}", error.line), error.message))?;
        if let Some(line) = output.no_value {
            warnings.push(format!(
                "template {}, line {line}: there is no such value, and `<no value>` is what it gives",
                custom.name
            ));
        }
        if output.text.trim().is_empty() {
            return Ok(json::empty());
        }
        let part = yaml::from_str::<Value>(&output.text);
        let part = part.map_err(|error| {
            let around = output.text.lines().nth(error.line - 1).unwrap_or_default();
            custom.problem(
                "",
                format!(
                    "what it gives is not YAML: line {}, `{:.100}`: {error}",
                    error.line,
                    around.trim()
                ),
            )
        })?;
        custom.check(&part)?;
        Ok(if part.is_null() { json::empty() } else { part })
    }
}

impl Custom {
    /// A problem of this template, at a place in it.
    pub(crate) fn problem(&self, place: &str, message: impl Into<String>) -> Problem {
        Problem::new(format!("template {}{place}", self.name), message).hint(HINT)
    }

    /// Lays `part`, which it made, over `base`.
    pub(crate) fn merge(&self, base: &mut Value, part: Value, place: &str) -> Result<(), Problem> {
        let refuse = |Mistake { place, message }| {
            self.problem(
                "",
                format!("what it gives is not a pod: {place}: {message}"),
            )
        };
        merge::merge(base, part, place).map_err(refuse)
    }

    fn check(&self, part: &Value) -> Result<(), Problem> {
        let fields = match part {
            Value::Object(fields) => fields,
            Value::Null => return Ok(()),
            other => {
                let shown = other.to_string();
                return Err(self.problem("", format!("what it gives is not a pod: {shown:.100}")));
            }
        };
        let kind = fields.get("kind").filter(|kind| *kind != "Pod");
        if let Some(kind) = kind {
            return Err(self.problem("", format!("what it gives is not a pod: kind: {kind}")));
        }
        match fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let message = format!(
                    "what it gives is not a pod: {name}: no field of one; containers stand under `spec`, labels under `metadata`"
                );
                Err(self.problem("", message))
            }
        }
    }
}

#[cfg(test)]
mod tests;
