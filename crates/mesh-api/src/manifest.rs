//! Manifests: YAML or JSON text with many documents, turned into typed objects.
//!
//! Three steps, each usable alone: [`split()`] cuts a file into [`Chunk`]s of text, [`Chunk::documents`] parses one chunk
//! into JSON values (a `List` becomes its items), [`Object::from_document`] makes a typed object of a value. [`parse`]
//! does all three and reports every error at once. The dialect is kubectl's: YAML 1.1 scalars, JSON accepted, no
//! defaulting. Nothing here reads files or talks to a server.

mod document;
mod invalid;
mod lines;
mod object;
mod place;
mod split;
mod unknown;
mod values;

pub use document::Document;
pub use invalid::{Invalid, Reason};
pub use object::{Object, Other, typed_value};
pub use place::Place;
pub use split::{Chunk, split};
pub use unknown::unknown_fields;

/// One typed object and where it stood.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// Where in the text the object begins.
    pub place: Place,
    /// The object.
    pub object: Object,
    /// Paths of fields that this version does not know (`spec.fooBar`); they had no effect and should be shown.
    pub unknown: Vec<String>,
}

/// Parses all documents of `text`.
///
/// # Errors
/// Every document that is not understood, in the order of the text.
pub fn parse(text: &str) -> Result<Vec<Parsed>, Vec<Invalid>> {
    let (objects, errors) =
        parse_each(text).fold((Vec::new(), Vec::new()), |(mut good, mut bad), each| {
            match each {
                Ok(parsed) => good.push(parsed),
                Err(invalid) => bad.push(invalid),
            }
            (good, bad)
        });
    if errors.is_empty() {
        Ok(objects)
    } else {
        Err(errors)
    }
}

/// Parses the documents of `text` one by one, so that a caller can keep the good ones beside the bad.
pub fn parse_each(text: &str) -> impl Iterator<Item = Result<Parsed, Invalid>> {
    split(text)
        .into_iter()
        .flat_map(|chunk| match chunk.documents() {
            Ok(documents) => {
                let parsed = documents.into_iter().map(Parsed::from_document);
                parsed
                    .map(|each| each.map_err(|invalid| chunk.locate(invalid)))
                    .collect()
            }
            Err(invalid) => vec![Err(invalid)],
        })
}

impl Parsed {
    fn from_document(document: Document) -> Result<Self, Invalid> {
        let object = Object::from_document(&document)?;
        values::check(&object).map_err(|reason| Invalid {
            place: document.place.clone(),
            reason,
        })?;
        let unknown = object.unknown_fields(&document.value);
        Ok(Self {
            place: document.place,
            object,
            unknown,
        })
    }
}

#[cfg(test)]
mod tests;
