//! Real signals, in a process of their own.

use std::{future::pending, time::Duration};

use mesh_runtime::{
    shutdown::{Shutdown, Signals},
    tasks::Tasks,
};
use nix::sys::signal::{Signal, raise};

#[tokio::test]
async fn one_signal_asks_and_a_second_one_forces() {
    let (shutdown, tasks) = (Shutdown::new(), Tasks::new());
    let signals = Signals::catch().unwrap();
    let begun = shutdown.begun();
    tasks.spawn("orderly", begun);
    tasks.spawn("stuck", pending());
    let program = async {
        raise(Signal::SIGTERM).unwrap();
        shutdown.begun().await;
        raise(Signal::SIGINT).unwrap();
        tasks
            .join(Duration::from_secs(600), shutdown.forced())
            .await
    };
    let late = tokio::time::timeout(
        Duration::from_secs(10),
        shutdown.while_running(signals, program),
    )
    .await;
    assert_eq!(
        late.expect("the second signal ends the waiting"),
        [("stuck", 1)]
    );
}
