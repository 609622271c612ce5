//! The files of one layer.

use super::libraries;
use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};
use tar::{EntryType, Header};

/// Folders that are links into `/usr`, as distributions have them.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// Files by their path in the image, without the leading slash.
pub(crate) struct Tree {
    entries: BTreeMap<PathBuf, Entry>,
}

struct Entry {
    mode: u32,
    owner: u32,
    content: Content,
}

enum Content {
    Folder,
    Bytes(Vec<u8>),
    Copy(PathBuf),
    Link(PathBuf),
}

impl Tree {
    /// What every image has: the links into `/usr`, `/tmp`, and the names of root, the proxy's user, and nobody.
    pub(crate) fn new() -> Self {
        let mut tree = Self {
            entries: BTreeMap::new(),
        };
        for name in MERGED {
            tree.folder(&format!("/usr/{name}"), 0o755, 0);
            let content = Content::Link(Path::new("usr").join(name));
            tree.put(Path::new(name), 0o777, 0, content);
        }
        tree.folder("/tmp", 0o1777, 0);
        tree.folder("/run", 0o755, 0);
        tree.folder("/var", 0o755, 0);
        tree.put(Path::new("var/run"), 0o777, 0, Content::Link("/run".into()));
        tree.text("/etc/passwd", PASSWORD_FILE);
        tree.text("/etc/group", GROUP_FILE);
        tree.text(
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\n",
        );
        tree
    }

    /// A folder.
    pub(crate) fn folder(&mut self, path: &str, mode: u32, owner: u32) {
        self.put(&place(Path::new(path)), mode, owner, Content::Folder);
    }

    /// A text that root owns.
    pub(crate) fn text(&mut self, path: &str, text: &str) {
        self.bytes(path, text.into(), 0o644);
    }

    /// A file that root owns.
    pub(crate) fn bytes(&mut self, path: &str, bytes: Vec<u8>, mode: u32) {
        self.put(&place(Path::new(path)), mode, 0, Content::Bytes(bytes));
    }

    /// A symbolic link.
    pub(crate) fn link(&mut self, path: &str, target: &str) {
        let target = Content::Link(target.into());
        self.put(&place(Path::new(path)), 0o777, 0, target);
    }

    /// A file of this machine (not a link to it), with its mode.
    pub(crate) fn copy(&mut self, from: &Path, to: &Path) -> Result<()> {
        let shown = || from.display().to_string();
        let from = from.canonicalize().with_context(shown)?;
        let mode = from.metadata().with_context(shown)?.permissions().mode();
        self.put(&place(to), mode & 0o755, 0, Content::Copy(from));
        Ok(())
    }

    /// A program of this machine, with its libraries.
    pub(crate) fn program(&mut self, from: &Path, to: &str) -> Result<()> {
        for library in libraries::of(from)? {
            self.copy(&library, &library)?;
        }
        self.copy(from, Path::new(to))
    }

    /// A program that the machine has in its PATH, in the same place.
    pub(crate) fn installed(&mut self, name: &str) -> Result<()> {
        let path = find(name)?;
        self.program(&path, &path.to_string_lossy())
    }

    fn put(&mut self, path: &Path, mode: u32, owner: u32, content: Content) {
        for folder in path.ancestors().skip(1) {
            if !folder.as_os_str().is_empty() {
                self.entries.entry(folder.to_owned()).or_insert(Entry {
                    mode: 0o755,
                    owner: 0,
                    content: Content::Folder,
                });
            }
        }
        let entry = Entry {
            mode,
            owner,
            content,
        };
        self.entries.insert(path.to_owned(), entry);
    }

    /// Writes the layer. The same files make the same bytes.
    pub(crate) fn write(&self, to: impl Write) -> Result<()> {
        let mut archive = tar::Builder::new(to);
        for (path, entry) in &self.entries {
            append(&mut archive, path, entry).with_context(|| path.display().to_string())?;
        }
        archive.into_inner()?.flush()?;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.entries.keys().map(PathBuf::as_path)
    }
}

fn append(archive: &mut tar::Builder<impl Write>, path: &Path, entry: &Entry) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_uid(entry.owner.into());
    header.set_gid(entry.owner.into());
    header.set_mtime(0);
    header.set_size(0);
    match &entry.content {
        Content::Folder => {
            header.set_entry_type(EntryType::Directory);
            archive.append_data(&mut header, path, io::empty())?;
        }
        Content::Bytes(bytes) => {
            header.set_size(bytes.len() as u64);
            archive.append_data(&mut header, path, bytes.as_slice())?;
        }
        Content::Copy(from) => {
            let file = fs::File::open(from)?;
            header.set_size(file.metadata()?.len());
            archive.append_data(&mut header, path, file)?;
        }
        Content::Link(target) => {
            header.set_entry_type(EntryType::Symlink);
            archive.append_link(&mut header, path, target)?;
        }
    }
    Ok(())
}

/// Where a program is that the machine has, looking also where a user's PATH often does not.
pub(crate) fn find(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(more)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .with_context(|| format!("this machine has no {name}\nhint: install it"))
}

/// A path as a layer names it: relative, without `..`, and under `/usr` what is linked there.
fn place(path: &Path) -> PathBuf {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => drop(parts.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let merged = parts
        .first()
        .is_some_and(|first| MERGED.iter().any(|name| name == first));
    let base = PathBuf::from(if merged { "usr" } else { "" });
    parts.into_iter().fold(base, |path, part| path.join(part))
}

const PASSWORD_FILE: &str = "\
root:x:0:0:root:/root:/bin/sh
nginx:x:101:101:nginx:/nonexistent:/bin/false
istio-proxy:x:1337:1337:istio-proxy:/tmp:/bin/false
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
";
const GROUP_FILE: &str = "\
root:x:0:
nginx:x:101:
istio-proxy:x:1337:
nogroup:x:65534:
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_merged_and_stay_inside() {
        for (path, want) in [
            ("/lib/x/libc.so.6", "usr/lib/x/libc.so.6"),
            ("/lib64/ld.so", "usr/lib64/ld.so"),
            ("/usr/sbin/nginx", "usr/sbin/nginx"),
            ("/usr/lib/../../../etc/passwd", "etc/passwd"),
            ("/library/x", "library/x"),
        ] {
            assert_eq!(place(Path::new(path)), Path::new(want), "{path}");
        }
    }

    #[test]
    fn the_same_files_make_the_same_layer() {
        let layer = || {
            let mut tree = Tree::new();
            tree.text("/etc/motd", "hello");
            tree.link("/usr/local/bin/b", "a");
            let mut bytes = Vec::new();
            tree.write(&mut bytes).expect("written");
            bytes
        };
        assert_eq!(layer(), layer());
        let (bytes, mut seen) = (layer(), Vec::new());
        for entry in tar::Archive::new(bytes.as_slice())
            .entries()
            .expect("a layer")
        {
            seen.push(
                entry
                    .expect("an entry")
                    .path()
                    .expect("a path")
                    .into_owned(),
            );
        }
        let place_of = |path: &str| seen.iter().position(|seen| seen == Path::new(path));
        assert!(place_of("etc").expect("folders") < place_of("etc/motd").expect("files"));
        assert!(place_of("usr/local/bin/b").is_some());
    }

    #[test]
    fn a_program_brings_its_libraries() {
        let mut tree = Tree::new();
        tree.installed("sh").expect("a shell");
        assert!(
            tree.paths()
                .any(|path| path.to_string_lossy().contains("libc.so"))
        );
    }
}
