//! A worker's lines, from when they are formatted until they are handed over.

use super::{
    AccessLog, Line,
    sink::{Batch, SinkId, Sinks},
};
use std::{cell::RefCell, rc::Rc, time::Duration};
use tokio::sync::Notify;

/// A buffer of this size is handed over at once.
const FULL: usize = 16 * 1024;
/// How long a line may wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// The buffers of one worker, one for each file.
pub(in crate::telemetry) struct Buffers {
    open: RefCell<Vec<(SinkId, Batch)>>,
    waiting: Notify,
    sinks: Sinks,
}

impl Buffers {
    pub(in crate::telemetry) fn new(sinks: Sinks) -> Self {
        Self {
            open: RefCell::default(),
            waiting: Notify::new(),
            sinks,
        }
    }

    /// Formats a line.
    pub(in crate::telemetry) fn push(&self, log: &AccessLog, line: &Line<'_>) {
        let mut open = self.open.borrow_mut();
        let place = open.iter().position(|(sink, _)| *sink == log.sink);
        let place = place.unwrap_or_else(|| {
            open.push((log.sink, Batch::default()));
            open.len() - 1
        });
        let batch = &mut open[place].1;
        if batch.lines == 0 {
            self.waiting.notify_one();
        }
        log.form.push(&mut batch.bytes, line);
        batch.lines += 1;
        if batch.bytes.len() >= FULL {
            self.sinks.send(log.sink, std::mem::take(batch));
        }
    }

    /// Hands everything over.
    pub(in crate::telemetry) fn flush(&self) {
        for (sink, batch) in self.open.borrow_mut().iter_mut() {
            if batch.lines > 0 {
                self.sinks.send(*sink, std::mem::take(batch));
            }
        }
    }

    /// Hands over what waits, again and again.
    pub(in crate::telemetry) async fn run(self: Rc<Self>) {
        loop {
            self.waiting.notified().await;
            tokio::time::sleep(PATIENCE).await;
            self.flush();
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        self.flush();
    }
}
