//! Cuts a text into its documents, without parsing them.
//!
//! A document ends at a line that begins with `---` followed by nothing or white space: YAML allows those bytes at the
//! start of a line nowhere else, not even within a quoted or a block scalar. Cutting first has three uses: an error in
//! one document leaves the others readable, line numbers are known, and `kube-inject` can hand on what it does not
//! touch byte for byte.

/// The text of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// How many documents with content stand before this one.
    pub index: usize,
    /// Line of the whole text on which `text` begins, from 1.
    pub line: usize,
    /// The document without its separator line. A separator that carries content or a comment (`--- {a: b}`) is kept.
    pub text: &'a str,
}

impl Chunk<'_> {
    /// True when there are only comments, directives and white space.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.text.lines().all(|line| {
            let line = line.strip_prefix("---").unwrap_or(line).trim();
            line.is_empty() || line.starts_with(['#', '%']) || line == "..."
        })
    }
}

/// Cuts `text` into documents. Pieces of pure white space are left out, pieces of comments stay (see
/// [`Chunk::is_blank`]).
#[must_use]
pub fn split(text: &str) -> Vec<Chunk<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut chunks = Vec::new();
    let mut index = 0;
    for (start, line, end) in bounds(text) {
        let chunk = Chunk {
            index,
            line,
            text: &text[start..end],
        };
        if !chunk.text.trim().is_empty() {
            index += usize::from(!chunk.is_blank());
            chunks.push(chunk);
        }
    }
    chunks
}

/// Start offset, start line and end offset of each piece between separators.
fn bounds(text: &str) -> Vec<(usize, usize, usize)> {
    let mut pieces = Vec::new();
    let (mut start, mut start_line, mut offset) = (0, 1, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let after = offset + line.len();
        if is_separator(line) {
            pieces.push((start, start_line, offset));
            let bare = line.trim_end() == "---";
            (start, start_line) = if bare {
                (after, number + 2)
            } else {
                (offset, number + 1)
            };
        }
        offset = after;
    }
    pieces.push((start, start_line, offset));
    pieces
}

fn is_separator(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}
