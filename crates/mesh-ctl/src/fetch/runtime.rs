//! The runtime of the whole command: a connection to a cluster lives on the one that it was made on.

use std::future::Future;
use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// Runs `future` to its end.
///
/// # Errors
/// Those of `future`; or if the system has no threads left.
pub(crate) fn block_on<T, E: From<io::Error>>(
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let runtime = match RUNTIME.get() {
        Some(runtime) => runtime,
        None => {
            let made = Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()?;
            RUNTIME.get_or_init(|| made)
        }
    };
    runtime.block_on(future)
}
