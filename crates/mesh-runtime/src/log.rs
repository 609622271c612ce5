//! Logs: to standard error, as text or JSON, with levels that can change while the process runs.
//!
//! Levels are set by scope, under the names that Istio and Envoy use. Each binary brings the table of its scopes and
//! says which of its modules they cover, so that `--proxyComponentLogLevel=upstream:debug` and
//! `POST /logging?upstream=debug` mean the same thing here as there. Access logs do not pass through here.

mod flags;
mod level;
mod scope;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal},
    thread,
};

use parking_lot::Mutex;
use tracing::{Subscriber, error, field::display};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

pub use flags::{Flags, FlagsError};
pub use level::{InvalidLevels, Level, parse_levels};
pub use scope::{Family, Levels, Scope, UnknownScope};

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line (`--log_as_json`).
    Json,
}

/// The log is set up already, by us or by somebody else.
#[derive(Debug, thiserror::Error)]
#[error("a log is installed already")]
pub struct AlreadyInstalled(#[source] tracing_subscriber::util::TryInitError);

/// The levels in force. Dropping it leaves the log as it is.
#[derive(Debug)]
pub struct Logging {
    levels: Mutex<Levels>,
    filter: reload::Handle<Targets, Registry>,
}

impl Logging {
    /// Starts the log of this process: events of `tracing` and of `log`, and every panic.
    ///
    /// # Errors
    /// If there is a log already.
    pub fn install(levels: Levels, format: Format) -> Result<Self, AlreadyInstalled> {
        let (logging, subscriber) =
            Self::build(levels, format, io::stderr, io::stderr().is_terminal());
        subscriber.try_init().map_err(AlreadyInstalled)?;
        log_panics();
        Ok(logging)
    }

    /// Levels that no log obeys: for who shows and changes them where there is none, as in tests.
    pub fn detached(levels: Levels) -> Self {
        Self::build(levels, Format::Text, io::sink, false).0
    }

    /// Every scope with its level, in the order of the table: what `GET /logging` lists.
    pub fn levels(&self) -> Vec<(&'static str, Level)> {
        self.levels.lock().list().collect()
    }

    /// Sets all scopes of a family, and its default: `POST /logging?level=debug` for Envoy's.
    pub fn set_all(&self, family: Family, level: Level) {
        let mut levels = self.levels.lock();
        levels.set_all(family, level);
        self.apply(&levels);
    }

    /// Sets one scope: `POST /logging?upstream=debug`.
    ///
    /// # Errors
    /// If there is no such scope; nothing changes then.
    pub fn set(&self, scope: &str, level: Level) -> Result<(), UnknownScope> {
        let mut levels = self.levels.lock();
        levels.set(scope, level)?;
        self.apply(&levels);
        Ok(())
    }

    fn apply(&self, levels: &Levels) {
        // Fails only if the subscriber is gone, and then nothing is logged anyway.
        let _ = self.filter.reload(levels.targets());
    }

    fn build<W>(levels: Levels, format: Format, writer: W, colour: bool) -> (Self, impl Subscriber)
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let (filter, handle) = reload::Layer::new(levels.targets());
        let layer = fmt::layer().with_writer(writer).with_ansi(colour);
        let layer = match format {
            Format::Text => layer.boxed(),
            Format::Json => layer.json().flatten_event(true).boxed(),
        };
        // The filter stands first, so that an event nobody wants is dropped at its source.
        let subscriber = Registry::default().with(filter).with(layer);
        (
            Self {
                levels: Mutex::new(levels),
                filter: handle,
            },
            subscriber,
        )
    }
}

/// Panics become log lines, with their place. What happens to the task or connection is its owner's business.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("(no message)");
        let place = panic.location().map(ToString::to_string);
        let backtrace = Backtrace::capture();
        let backtrace =
            (backtrace.status() == BacktraceStatus::Captured).then(|| display(&backtrace));
        error!(
            thread = thread::current().name(),
            place, backtrace, "panic: {message}"
        );
    }));
}

#[cfg(test)]
mod tests;
