//! Where hyper's own tasks run: on the worker that has the connection.

use std::future::Future;

/// Spawns onto the worker's `LocalSet`, which owns its tasks and ends them with itself.
#[derive(Clone, Copy, Debug)]
pub struct LocalExec;

impl<F> hyper::rt::Executor<F> for LocalExec
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
