//! Which files a folder holds.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// When it was written.
    pub(super) modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

/// What a folder holds, and what could not be looked into.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Manifests, in the order of their paths.
    pub(super) files: BTreeMap<PathBuf, Stamp>,
    /// Files and folders that could not be looked at, with the reason. What is known of them stands.
    pub(super) unreadable: Vec<(PathBuf, io::Error)>,
}

/// Folders within folders, at most; links may run in circles.
const DEEPEST: usize = 16;

impl Stamp {
    /// Of the file at `path`.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|metadata| Self::from_metadata(&metadata))
    }

    fn from_metadata(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            inode: metadata.ino(),
        }
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(self) -> bool {
        self.length == 0
    }
}

/// Looks through `root` and the folders within it.
pub(super) fn list(root: &Path) -> Listing {
    let mut listing = Listing::default();
    walk(root, DEEPEST, &mut listing);
    listing
}

fn walk(folder: &Path, deeper: usize, listing: &mut Listing) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return listing.unreadable.push((folder.to_owned(), error)),
    };
    for entry in entries {
        match entry {
            Ok(entry) if !is_hidden(&entry.path()) => visit(entry.path(), deeper, listing),
            Ok(_) => {}
            Err(error) => listing.unreadable.push((folder.to_owned(), error)),
        }
    }
}

fn visit(path: PathBuf, deeper: usize, listing: &mut Listing) {
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() && deeper > 0 => walk(&path, deeper - 1, listing),
        Ok(metadata) if metadata.is_file() && is_manifest(&path) => {
            listing.files.insert(path, Stamp::from_metadata(&metadata));
        }
        Ok(_) => {}
        // It went away between the two looks.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => listing.unreadable.push((path, error)),
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str());
    matches!(extension, Some("yaml" | "yml" | "json"))
}
