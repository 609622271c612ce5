//! The page, written piece by piece: an element is made, printed, written and forgotten before the next one.

use super::{
    Descriptors, Mask,
    section::{List, Section},
};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Map, Value};

/// The name of the only field of a config dump.
const CONFIGS: &str = "configs";
/// The key under which the type of an `Any` stands.
const TYPE: &str = "@type";

/// All sections.
pub(super) struct Document<'a> {
    pub(super) sections: &'a [Section],
    pub(super) mask: &'a Mask,
    pub(super) descriptors: &'a Descriptors,
}

/// The elements of one field.
pub(super) struct Matching<'a> {
    pub(super) list: &'a List,
    pub(super) mask: &'a Mask,
    pub(super) descriptors: &'a Descriptors,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(CONFIGS, &Sections(self))?;
        map.end()
    }
}

struct Sections<'a>(&'a Document<'a>);

impl Serialize for Sections<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Document {
            sections,
            mask,
            descriptors,
        } = self.0;
        serializer.collect_seq(sections.iter().map(|section| Page {
            section,
            mask,
            descriptors,
        }))
    }
}

struct Page<'a> {
    section: &'a Section,
    mask: &'a Mask,
    descriptors: &'a Descriptors,
}

impl Serialize for Page<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            section,
            mask,
            descriptors,
        } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(TYPE, &type_url(&section.message))?;
        for (name, value) in mask
            .apply(descriptors.element(&section.message, &section.single))
            .as_object()
            .into_iter()
            .flatten()
        {
            map.serialize_entry(name, value)?;
        }
        for list in section
            .lists
            .iter()
            .filter(|list| !list.elements.is_empty())
        {
            if let Some(mask) = mask.field(list.field) {
                map.serialize_entry(
                    list.field,
                    &Elements {
                        list,
                        mask,
                        descriptors,
                        typed: false,
                    },
                )?;
            }
        }
        map.end()
    }
}

impl Serialize for Matching<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            list,
            mask,
            descriptors,
        } = self;
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(
            CONFIGS,
            &Elements {
                list,
                mask: (*mask).clone(),
                descriptors,
                typed: true,
            },
        )?;
        map.end()
    }
}

struct Elements<'a> {
    list: &'a List,
    mask: Mask,
    descriptors: &'a Descriptors,
    typed: bool,
}

impl Serialize for Elements<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = self.list.message.as_str();
        let mut elements = serializer.serialize_seq(Some(self.list.elements.len()))?;
        for encode in &self.list.elements {
            let printed = self
                .mask
                .apply(self.descriptors.element(message, &encode()));
            elements.serialize_element(&if self.typed {
                typed(message, printed)
            } else {
                printed
            })?;
        }
        elements.end()
    }
}

impl Descriptors {
    // One that can't be printed costs its own place only.
    fn element(&self, message: &str, bytes: &[u8]) -> Value {
        self.print(message, bytes).unwrap_or_else(|error| {
            tracing::warn!(%error, "an element of /config_dump is left out");
            Value::Object(Map::new())
        })
    }
}

fn typed(message: &str, printed: Value) -> Value {
    let mut object = Map::from_iter([(TYPE.to_owned(), Value::from(type_url(message)))]);
    if let Value::Object(fields) = printed {
        object.extend(fields);
    }
    Value::Object(object)
}

fn type_url(message: &str) -> String {
    format!("type.googleapis.com/{message}")
}
