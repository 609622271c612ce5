//! Where in a file an object stands.

use std::fmt;

/// The place of one object in a text of many documents.
///
/// Displays as a reader counts: `document 2, line 14`, or `document 1, items[3], line 40` within a `List`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Index of the document in the text, from 0; documents that hold only comments do not count.
    pub document: usize,
    /// Path from the document to the object when the document is a list, such as `items[3]`; empty otherwise.
    pub item: String,
    /// Line of the text, from 1.
    pub line: usize,
}

impl Place {
    /// The same document, another line.
    #[must_use]
    pub fn at_line(&self, line: usize) -> Self {
        Self {
            line,
            ..self.clone()
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "document {}", self.document + 1)?;
        if !self.item.is_empty() {
            write!(f, ", {}", self.item)?;
        }
        write!(f, ", line {}", self.line)
    }
}
