//! The pod's resolv.conf, followed: whoever changes it is heard within seconds.
//!
//! Looked at beside the queries, never for one of them. A look costs one `stat`; the file is read only when that says
//! something new. A file that is missing, or that names no server, is taken for one that is being written: what is known
//! stays in force.

use super::ResolvConf;
use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// A resolv.conf, and what was seen of it.
#[derive(Debug)]
pub struct Following {
    path: PathBuf,
    pause: Duration,
    seen: Option<Stamp>,
    is_missed: bool,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Following {
    /// The file at `path`, looked at every few seconds.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::every(LOOK, path)
    }

    pub(super) fn every(pause: Duration, path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            pause,
            seen: None,
            is_missed: false,
        }
    }

    /// Runs for ever, and gives what the file says to `put_in_force` whenever it may have changed.
    pub async fn run(mut self, put_in_force: impl Fn(ResolvConf)) {
        loop {
            match self.look() {
                Ok(Some(conf)) => put_in_force(conf),
                Ok(None) => {}
                Err(error) if !self.is_missed => {
                    self.is_missed = true;
                    let path = self.path.display();
                    tracing::warn!(%error, "{path}: the name servers that are known stay in force");
                }
                Err(_) => {}
            }
            tokio::time::sleep(self.pause).await;
        }
    }

    /// What the file says, if it is not as it was at the last look and is of use.
    fn look(&mut self) -> io::Result<Option<ResolvConf>> {
        let stamp = Stamp::of(&self.path)?;
        self.is_missed = false;
        if self.seen == Some(stamp) {
            return Ok(None);
        }
        let conf = ResolvConf::read(&self.path)?;
        self.seen = Some(stamp);
        Ok(Some(conf).filter(|conf| !conf.servers.is_empty()))
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|found| Self::from(&found))
    }
}

impl From<&Metadata> for Stamp {
    fn from(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            length: found.len(),
            changed: (found.mtime(), found.mtime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_when_it_has_changed_and_only_then() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("resolv.conf");
        let mut following = Following::new(&path);
        assert!(following.look().is_err(), "it is not there yet");
        let write = |text: &str| std::fs::write(&path, text).expect("written");
        let mut servers = || {
            let conf = following.look().expect("it is there")?;
            Some(
                conf.servers
                    .iter()
                    .map(|s| s.ip().to_string())
                    .collect::<Vec<_>>(),
            )
        };
        write("nameserver 10.96.0.10\n");
        assert_eq!(servers(), Some(vec!["10.96.0.10".to_owned()]));
        assert_eq!(servers(), None, "as it was");
        write("");
        assert_eq!(servers(), None, "it is being written");
        write("nameserver 10.96.0.11\nnameserver 10.96.0.12\n");
        assert_eq!(servers().map(|all| all.len()), Some(2));
        // As the kubelet and editors do: another file under the same name, here even of the same length and time.
        let (other, before) = (
            folder.path().join("new"),
            std::fs::metadata(&path).expect("there"),
        );
        std::fs::write(&other, "nameserver 10.96.0.13\nnameserver 10.96.0.14\n").expect("written");
        let file = std::fs::File::options()
            .write(true)
            .open(&other)
            .expect("opened");
        file.set_modified(before.modified().expect("a time"))
            .expect("set");
        std::fs::rename(&other, &path).expect("renamed");
        assert_eq!(
            servers().map(|all| all[0].clone()).as_deref(),
            Some("10.96.0.13")
        );
    }
}
