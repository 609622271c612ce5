//! The files that logs go to, and the thread that writes them.
//!
//! The thread may block as long as it likes, on a full pipe say: in front of it stands a queue of bounded length, and
//! what does not fit into it is dropped and counted.

use crate::telemetry::counter::{Scope, Stat};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::fd::AsFd,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Batches that may wait for the thread. A batch is about 16 KiB.
const QUEUE: usize = 128;

/// Pause before something that has to wait is tried again.
const RETRY: Duration = Duration::from_millis(10);

/// Number of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::telemetry) struct SinkId(usize);

/// Whole lines.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
}

/// What became of the lines.
#[derive(Debug, Default)]
struct Fates {
    written: AtomicU64,
    /// The thread was too far behind.
    dropped: AtomicU64,
    /// The file took no more.
    failed: AtomicU64,
}

enum Message {
    Write(SinkId, Batch),
    Reopen,
    Finish(Sender<()>),
}

/// All files. Cloning shares them.
#[derive(Clone, Default)]
pub(in crate::telemetry) struct Sinks(Arc<Inner>);

#[derive(Default)]
struct Inner {
    paths: Arc<Mutex<Vec<Arc<str>>>>,
    // Empty until something is to be logged.
    queue: OnceLock<SyncSender<Message>>,
    fates: Arc<Fates>,
}

impl Sinks {
    /// The file at `path`. It is opened when the first line is written.
    pub(super) fn sink(&self, path: &str) -> SinkId {
        self.0.queue.get_or_init(|| self.start());
        let mut paths = self.0.paths.lock();
        let known = paths.iter().position(|p| **p == *path);
        SinkId(known.unwrap_or_else(|| {
            paths.push(path.into());
            paths.len() - 1
        }))
    }

    /// Starts the thread. It ends with the last clone.
    fn start(&self) -> SyncSender<Message> {
        let (queue, messages) = sync_channel(QUEUE);
        let writer = Writer {
            paths: Arc::clone(&self.0.paths),
            files: HashMap::new(),
            fates: Arc::clone(&self.0.fates),
        };
        let started = thread::Builder::new()
            .name("access-log".into())
            .spawn(move || writer.run(&messages));
        if let Err(error) = started {
            tracing::error!("no thread for access logs, all lines are lost: {error}");
        }
        queue
    }

    /// Hands a batch over, or drops it if the thread is too far behind.
    pub(super) fn send(&self, sink: SinkId, batch: Batch) {
        let lines = batch.lines;
        let message = Message::Write(sink, batch);
        let queue = self.0.queue.get();
        if queue.is_none_or(|queue| queue.try_send(message).is_err()) {
            self.0.fates.dropped.fetch_add(lines, Relaxed);
        }
    }

    /// Lines that were written, and those that were lost.
    pub(in crate::telemetry) fn stats(&self) -> [Stat; 3] {
        let stat = |name, value: &AtomicU64| {
            Stat::counter(Scope::Process("access_log"), name, value.load(Relaxed))
        };
        let fates = &self.0.fates;
        [
            stat("lines_written", &fates.written),
            stat("lines_dropped", &fates.dropped),
            stat("lines_failed", &fates.failed),
        ]
    }

    pub(in crate::telemetry) fn reopen(&self) {
        if let Some(queue) = self.0.queue.get() {
            // With a full queue the thread is stuck in a file that opening anew would not free.
            let _ = queue.try_send(Message::Reopen);
        }
    }

    pub(in crate::telemetry) fn finish(&self, patience: Duration) {
        let Some(queue) = self.0.queue.get() else {
            return;
        };
        let deadline = Instant::now() + patience;
        let (done, finished) = channel();
        let mut message = Message::Finish(done);
        while let Err(TrySendError::Full(unsent)) = queue.try_send(message) {
            if Instant::now() > deadline {
                return;
            }
            message = unsent;
            thread::sleep(RETRY);
        }
        // Whether it came in time or not, we go on.
        let _ = finished.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

struct Writer {
    paths: Arc<Mutex<Vec<Arc<str>>>>,
    files: HashMap<SinkId, File>,
    fates: Arc<Fates>,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        for message in messages {
            match message {
                Message::Write(sink, batch) => self.write(sink, &batch),
                Message::Reopen => self.files.clear(),
                // Whoever waited may have gone.
                Message::Finish(done) => drop(done.send(())),
            }
        }
    }

    fn write(&mut self, sink: SinkId, batch: &Batch) {
        let written = self
            .file(sink)
            .and_then(|file| write_all(file, &batch.bytes));
        let fate = match written {
            Ok(()) => &self.fates.written,
            Err(error) => {
                // The next batch tries to open the file anew.
                self.files.remove(&sink);
                let path = self.paths.lock()[sink.0].clone();
                tracing::warn!(target: "misc", "access log {path}: {error}; {} lines are lost", batch.lines);
                &self.fates.failed
            }
        };
        fate.fetch_add(batch.lines, Relaxed);
    }

    fn file(&mut self, sink: SinkId) -> io::Result<&mut File> {
        match self.files.entry(sink) {
            std::collections::hash_map::Entry::Occupied(file) => Ok(file.into_mut()),
            std::collections::hash_map::Entry::Vacant(place) => {
                let path = self.paths.lock()[sink.0].clone();
                Ok(place.insert(open(&path)?))
            }
        }
    }
}

/// Opens a file for appending. Our own standard streams are used as they are: opening them by path fails where another
/// user owns the pipe behind them.
fn open(path: &str) -> io::Result<File> {
    match path {
        "/dev/stdout" => Ok(io::stdout().as_fd().try_clone_to_owned()?.into()),
        "/dev/stderr" => Ok(io::stderr().as_fd().try_clone_to_owned()?.into()),
        _ => OpenOptions::new().create(true).append(true).open(path),
    }
}

/// As [`Write::write_all`], on a stream that somebody else may have made non-blocking too.
fn write_all(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(RETRY);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
