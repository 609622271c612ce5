//! What a process runs: every task has a name and an owner, and none outlives the owner's deadline.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{runtime::Handle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, warn};

/// A set of tasks. Clones are the same set.
///
/// Tasks are meant to end by themselves when their [`Shutdown`](crate::shutdown::Shutdown) begins; those that do not
/// are dropped at the deadline of [`Tasks::join`], at their next await.
#[derive(Clone, Debug, Default)]
pub struct Tasks(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    tracker: TaskTracker,
    abort: CancellationToken,
    running: Mutex<BTreeMap<&'static str, usize>>,
    panics: AtomicU64,
}

/// How long dropped tasks get to reach an await.
const LAST_BREATH: Duration = Duration::from_secs(1);

impl Tasks {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task on the current runtime. A panic ends it, and is logged and counted.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn_on(&Handle::current(), name, task);
    }

    /// Runs a task on the runtime of `handle`.
    pub fn spawn_on<F>(&self, handle: &Handle, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = Running::enter(&self.0, name);
        self.0.tracker.spawn_on(running.run(task), handle);
    }

    /// Runs a task on the current thread, which may hold what other threads must not see.
    ///
    /// # Panics
    /// Outside a `LocalSet` or a local runtime.
    pub fn spawn_local<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + 'static,
    {
        let running = Running::enter(&self.0, name);
        self.0.tracker.spawn_local(running.run(task));
    }

    /// Names of the tasks that run, each with its number.
    pub fn running(&self) -> Vec<(&'static str, usize)> {
        self.0
            .running
            .lock()
            .iter()
            .map(|(name, count)| (*name, *count))
            .collect()
    }

    /// How many tasks have panicked.
    pub fn panics(&self) -> u64 {
        self.0.panics.load(Ordering::Relaxed)
    }

    /// Waits for all tasks, also for those that are spawned meanwhile, until the deadline or until `forced`. What
    /// still runs then is dropped; its names are the answer.
    pub async fn join(
        &self,
        deadline: Duration,
        forced: impl Future<Output = ()>,
    ) -> Vec<(&'static str, usize)> {
        self.0.tracker.close();
        tokio::select! {
            biased;
            () = self.0.tracker.wait() => return Vec::new(),
            () = forced => {}
            () = tokio::time::sleep(deadline) => {}
        }
        let late = self.running();
        warn!(tasks = ?late, "tasks did not end in time and are dropped");
        self.0.abort.cancel();
        if timeout(LAST_BREATH, self.0.tracker.wait()).await.is_err() {
            warn!(tasks = ?self.running(), "tasks block their thread and are left behind");
        }
        late
    }
}

/// Counts a task in, and out when it ends in whatever way.
struct Running {
    set: Arc<Inner>,
    name: &'static str,
}

impl Running {
    fn enter(set: &Arc<Inner>, name: &'static str) -> Self {
        *set.running.lock().entry(name).or_default() += 1;
        Self {
            set: Arc::clone(set),
            name,
        }
    }

    async fn run<F: Future<Output = ()>>(self, task: F) {
        let _ = self.set.abort.run_until_cancelled(task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.set.panics.fetch_add(1, Ordering::Relaxed);
            error!(task = self.name, "task ended by a panic");
        }
        let mut running = self.set.running.lock();
        if let Some(count) = running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::{
        sync::oneshot,
        task::LocalSet,
        time::{Instant, sleep},
    };

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn tasks_that_end_are_waited_for() {
        let tasks = Tasks::new();
        let begin = Instant::now();
        for seconds in [1, 3] {
            tasks.spawn("sleeper", sleep(Duration::from_secs(seconds)));
        }
        assert_eq!(tasks.running(), [("sleeper", 2)]);
        assert!(tasks.join(DEADLINE, pending()).await.is_empty());
        assert_eq!(begin.elapsed(), Duration::from_secs(3));
        assert!(tasks.running().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_do_not_end_are_named_and_dropped_at_the_deadline() {
        let tasks = Tasks::new();
        let (kept, mut dropped) = oneshot::channel::<()>();
        tasks.spawn("stuck", async move {
            let _kept = kept;
            pending().await
        });
        tasks.spawn("quick", ready(()));
        let begin = Instant::now();
        assert_eq!(tasks.join(DEADLINE, pending()).await, [("stuck", 1)]);
        assert_eq!(begin.elapsed(), DEADLINE);
        assert!(dropped.try_recv().is_err(), "what it owned is gone");
        assert!(tasks.running().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn force_ends_the_waiting() {
        let tasks = Tasks::new();
        tasks.spawn("stuck", pending());
        let begin = Instant::now();
        let late = tasks.join(DEADLINE, sleep(Duration::from_secs(2))).await;
        assert_eq!(
            (late, begin.elapsed()),
            (vec![("stuck", 1)], Duration::from_secs(2))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_task_spawns_while_it_ends_is_waited_for_too() {
        let tasks = Tasks::new();
        let inner = tasks.clone();
        let (done, mut finished) = oneshot::channel();
        tasks.spawn("outer", async move {
            sleep(Duration::from_secs(1)).await;
            inner.spawn("inner", async move {
                sleep(Duration::from_secs(1)).await;
                let _ = done.send(());
            });
        });
        assert!(tasks.join(DEADLINE, pending()).await.is_empty());
        assert_eq!(finished.try_recv(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_ends_its_task_alone_and_is_counted() {
        let tasks = Tasks::new();
        let (done, finished) = oneshot::channel();
        tasks.spawn("broken", async { panic!("on purpose") });
        tasks.spawn("sound", async move {
            sleep(Duration::from_secs(1)).await;
            let _ = done.send(());
        });
        assert!(tasks.join(DEADLINE, pending()).await.is_empty());
        assert_eq!((tasks.panics(), finished.await), (1, Ok(())));
    }

    #[tokio::test(start_paused = true)]
    async fn local_tasks_are_owned_like_others() {
        let tasks = Tasks::new();
        let local = LocalSet::new();
        let rc = std::rc::Rc::new(());
        let held = std::rc::Rc::clone(&rc);
        let set = tasks.clone();
        local
            .run_until(async move {
                set.spawn_local("local", async move {
                    let _held = held;
                    pending().await
                });
                assert_eq!(set.join(DEADLINE, pending()).await, [("local", 1)]);
            })
            .await;
        assert_eq!(std::rc::Rc::strong_count(&rc), 1);
    }
}
