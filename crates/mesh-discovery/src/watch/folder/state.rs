//! What all files together say, and how that differs from what they said before.

use super::{
    super::{Delta, Effect, Kind, ObjectRef, Problem, Stored},
    files::{self, Listing, Stamp},
    reading::Reading,
};
use std::{
    collections::{BTreeMap, HashSet, btree_map::Entry},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// What all files together say.
#[derive(Debug)]
pub(super) struct State {
    root: PathBuf,
    /// In the order of their paths.
    files: BTreeMap<PathBuf, File>,
    /// What could not be looked at.
    unreadable: Vec<Problem>,
    /// Objects that two files define.
    conflicts: Vec<Problem>,
    objects: Objects,
    unsettled: bool,
}

type Objects = BTreeMap<(Kind, ObjectRef), Stored>;

/// What is known of one file.
#[derive(Debug)]
struct File {
    stamp: Stamp,
    /// It was read so soon after it was written that another write may have left the same stamp.
    racy: bool,
    /// Objects with their lines: what it says now, or said when it was last understood.
    objects: Vec<(usize, Stored)>,
    problems: Vec<Problem>,
}

/// A file that has been emptied, or written, so recently may be in the middle of being written.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

impl State {
    /// Of a folder that has not been looked at yet.
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            files: BTreeMap::new(),
            unreadable: Vec::new(),
            conflicts: Vec::new(),
            objects: Objects::new(),
            unsettled: false,
        }
    }

    /// Looks at the folder and says what has changed. Leaves files alone that are `being_written`.
    pub(super) fn look(&mut self, being_written: &HashSet<PathBuf>) -> Vec<Delta> {
        let listing = files::list(&self.root);
        self.unsettled = !being_written.is_empty();
        self.unreadable = listing
            .unreadable
            .iter()
            .map(|(path, error)| self.unreadable(path, error))
            .collect();
        self.forget_removed(&listing);
        for (path, stamp) in listing.files {
            if !being_written.contains(&path) && !self.knows(&path, stamp) {
                self.read(path, stamp);
            }
        }
        self.merge()
    }

    /// What is not understood, in the order of the paths.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let of_files = self.files.values().flat_map(|file| &file.problems);
        let mut all: Vec<_> = of_files
            .chain(&self.unreadable)
            .chain(&self.conflicts)
            .cloned()
            .collect();
        all.sort();
        all
    }

    /// Whether something was left alone that has to be looked at again soon.
    pub(super) fn unsettled(&self) -> bool {
        self.unsettled
    }

    fn knows(&self, path: &Path, stamp: Stamp) -> bool {
        self.files
            .get(path)
            .is_some_and(|file| file.stamp == stamp && !file.racy)
    }

    /// What could not be looked at is not known to be gone.
    fn forget_removed(&mut self, listing: &Listing) {
        self.files.retain(|path, _| {
            let hidden = listing
                .unreadable
                .iter()
                .any(|(unreadable, _)| path.starts_with(unreadable));
            hidden || listing.files.contains_key(path)
        });
    }

    fn read(&mut self, path: PathBuf, stamp: Stamp) {
        let text = fs::read_to_string(&path);
        let now = Stamp::of(&path);
        match text {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.unsettled = true,
            Err(error) => {
                let problem = self.unreadable(&path, &error);
                self.unreadable.push(problem);
            }
            // Somebody is at it.
            Ok(_) if now.ok() != Some(stamp) => self.unsettled = true,
            Ok(_) if self.is_being_emptied(&path, stamp) => self.unsettled = true,
            Ok(text) => self.note(path, stamp, &text),
        }
    }

    /// Writing a file anew begins with nothing in it.
    fn is_being_emptied(&self, path: &Path, stamp: Stamp) -> bool {
        let had_objects = self
            .files
            .get(path)
            .is_some_and(|file| !file.objects.is_empty());
        had_objects && stamp.is_empty() && is_recent(stamp)
    }

    fn note(&mut self, path: PathBuf, stamp: Stamp, text: &str) {
        let reading = Reading::of(&self.name(&path), text);
        let racy = is_recent(stamp);
        self.unsettled |= racy;
        let last_good = self
            .files
            .remove(&path)
            .filter(|_| reading.is_bad())
            .map(|file| file.objects);
        let file = File {
            stamp,
            racy,
            problems: reading.problems,
            objects: last_good.unwrap_or(reading.objects),
        };
        self.files.insert(path, file);
    }

    /// The first file, in the order of their paths, that defines an object has it.
    fn merge(&mut self) -> Vec<Delta> {
        let mut objects = Objects::new();
        let mut owners: BTreeMap<(Kind, ObjectRef), String> = BTreeMap::new();
        self.conflicts.clear();
        for (path, file) in &self.files {
            let name = self.name(path);
            for (line, object) in &file.objects {
                let key = (object.kind(), object.name());
                match owners.entry(key.clone()) {
                    Entry::Vacant(entry) => {
                        entry.insert(format!("{name}:{line}"));
                        objects.insert(key, object.clone());
                    }
                    Entry::Occupied(first) => {
                        self.conflicts
                            .push(conflict(&name, *line, &key, first.get()))
                    }
                }
            }
        }
        let before = std::mem::replace(&mut self.objects, objects);
        difference(&before, &self.objects)
    }

    fn name(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }

    fn unreadable(&self, path: &Path, error: &io::Error) -> Problem {
        Problem {
            place: self.name(path),
            line: None,
            reason: format!("cannot be read: {error}"),
            effect: Effect::LastGoodStateKept,
            hint: None,
        }
    }
}

fn is_recent(stamp: Stamp) -> bool {
    let age = stamp
        .modified
        .and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_some_and(|age| age < SETTLED_AFTER)
}

fn conflict(file: &str, line: usize, (kind, name): &(Kind, ObjectRef), first: &str) -> Problem {
    Problem {
        place: file.to_owned(),
        line: Some(line),
        reason: format!("{kind:?} {name} is already defined at {first}"),
        effect: Effect::ObjectIgnored,
        hint: Some("remove one of them: the first in the order of the files' paths counts".into()),
    }
}

fn difference(before: &Objects, after: &Objects) -> Vec<Delta> {
    let gone = before.keys().filter(|key| !after.contains_key(key));
    let gone = gone.map(|(kind, name)| Delta::Gone(*kind, name.clone()));
    let set = after
        .iter()
        .filter(|(key, object)| before.get(key) != Some(object));
    gone.chain(set.map(|(_, object)| Delta::Set(object.clone())))
        .collect()
}
