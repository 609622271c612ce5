//! A folder of ordinary Kubernetes YAML instead of an API server.
//!
//! Every `*.yaml`, `*.yml` and `*.json` file in the folder and those within it counts, each with any number of documents;
//! names that begin with a dot do not. A thread of its own waits for the kernel to report a change, and looks at
//! everything now and then in case it did not. It ends with its [`Folder`].

mod files;
mod reading;
mod state;
mod waiting;

use super::{Delta, Problem, Source, problem};
use state::State;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc as sync_mpsc},
    thread::{self, JoinHandle},
};
use tokio::sync::{mpsc, watch};
use waiting::{Event, Waiting};

/// Batches that may wait for the reader before the folder's thread does.
const BATCHES: usize = 16;

/// A watched folder.
#[derive(Debug)]
pub struct Folder {
    batches: mpsc::Receiver<Vec<Delta>>,
    problems: watch::Receiver<Arc<[Problem]>>,
    events: sync_mpsc::Sender<Event>,
    thread: Option<JoinHandle<()>>,
}

/// A folder that cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is no folder that we can read.
    #[error("{} is no folder that can be read", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its thread cannot be started.
    #[error("no thread can be started to watch the folder")]
    Thread(#[source] io::Error),
}

impl Folder {
    /// Starts watching `path`.
    ///
    /// # Errors
    /// If it is no folder that can be read. What is wrong with the files in it is no error but a [`Problem`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let unreadable = |source| OpenError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let root = path.canonicalize().map_err(unreadable)?;
        root.read_dir().map_err(unreadable)?;
        let (events, received) = sync_mpsc::channel();
        let (send_batch, batches) = mpsc::channel(BATCHES);
        let (send_problems, problems) = watch::channel(Arc::default());
        let waiting = Waiting::new(root.clone(), events.clone(), received);
        let work = move || work(State::new(root), waiting, &send_batch, &send_problems);
        let thread = thread::Builder::new().name("config-dir".into()).spawn(work);
        Ok(Self {
            batches,
            problems,
            events,
            thread: Some(thread.map_err(OpenError::Thread)?),
        })
    }
}

impl Source for Folder {
    async fn next(&mut self) -> Option<Vec<Delta>> {
        self.batches.recv().await
    }

    fn problems(&self) -> watch::Receiver<Arc<[Problem]>> {
        self.problems.clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.batches.close();
        // The thread is gone already if nobody receives this.
        let _ = self.events.send(Event::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread: look, tell, wait, look again.
fn work(
    mut state: State,
    mut waiting: Waiting,
    batches: &mpsc::Sender<Vec<Delta>>,
    problems: &watch::Sender<Arc<[Problem]>>,
) {
    let mut first = true;
    loop {
        let deltas = state.look(&waiting.being_written());
        problem::report(&state.problems(), problems);
        if (first || !deltas.is_empty()) && batches.blocking_send(deltas).is_err() {
            return;
        }
        first = false;
        if waiting.wait(state.unsettled()).is_stop() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
