//! Closes connections that have been idle for too long, or whose host is no longer an endpoint.

use super::{Inner, Pool, Pools};
use std::{rc::Rc, time::Duration};
use tokio::task::spawn_local;

/// How often is looked.
const INTERVAL: Duration = Duration::from_secs(1);

impl Inner {
    /// Looks from now on, as long as there is anything to look at.
    pub(super) fn start_sweeping(self: &Rc<Self>) {
        if self.sweeping.replace(true) {
            return;
        }
        // Weak: pools that are dropped are not kept alive by their sweeper.
        let pools = Rc::downgrade(self);
        spawn_local(async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                let Some(pools) = pools.upgrade() else { return };
                if pools.sweep() {
                    pools.sweeping.set(false);
                    return;
                }
            }
        });
    }

    // Whether nothing is left.
    fn sweep(&self) -> bool {
        let mut pools = self.pools.borrow_mut();
        pools.retain(|_, pool| {
            pool.sweep();
            !pool.is_unused()
        });
        pools.is_empty()
    }
}

impl Pools {
    /// Connections that are open, of all pools.
    pub fn open_connections(&self) -> u32 {
        self.0.pools.borrow().values().map(|p| p.open.get()).sum()
    }
}

impl Pool {
    fn sweep(&self) {
        let limit = self.idle_limit();
        let removed = self.host.is_removed();
        let most = self.max_requests.get();
        let mut idle = self.idle.borrow_mut();
        idle.retain(|c| !removed && c.is_usable(limit) && !c.facts.has_served(most));
        let spent = |c: &super::Multiplexed| {
            let rested = c.facts.idle_for().unwrap_or_default();
            c.streams.get() == 0
                && (removed
                    || c.is_retired.get()
                    || c.facts.has_served(most)
                    || limit.is_some_and(|l| rested >= l))
        };
        let mut multiplexed = self.multiplexed.borrow_mut();
        multiplexed.retain(|c| !c.sender.is_closed() && !spent(c));
    }

    fn is_unused(&self) -> bool {
        self.open.get() == 0 && self.connecting.get() == 0 && self.waiters.count() == 0
    }
}
