//! All listeners: what the control plane sends is compiled, warmed and put in force here.
//!
//! One writer, the control side. A changed listener warms beside the one in force. Once it takes over, the connections of
//! those chains that are no longer there drain; the others do not notice.

use super::{
    compiled::{Invalid, Listener},
    table::Table,
};
use crate::{publish::Published, worker::Shared};
use mesh_model::{ListenerName, listener as model};
use parking_lot::Mutex;
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

/// All listeners of the process. The default is for a process that binds no sockets.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Those in force, as workers read them.
    pub table: Published<Table>,
    sockets: Vec<SocketAddr>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    active: BTreeMap<ListenerName, Arc<Listener>>,
    warming: BTreeMap<ListenerName, Arc<Listener>>,
}

impl Listeners {
    /// None yet. `sockets` are those that the process binds, the only ones that a listener may ask for.
    pub fn new(sockets: Vec<SocketAddr>) -> Self {
        Self {
            table: Published::new(Table::default()),
            sockets,
            state: Mutex::default(),
        }
    }

    /// Whether the process takes no connections itself.
    pub fn has_no_sockets(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Adds or changes a listener. Whether it is in force now; if not, it waits for routes or secrets, and
    /// [`Listeners::settle`] puts it in force once they are there.
    ///
    /// # Errors
    /// If it can't be executed; then the one in force stays.
    pub fn apply(&self, model: model::Listener, shared: &Shared) -> Result<bool, Invalid> {
        if model.bind_to_port && !self.sockets.contains(&model.address) {
            return Err(Invalid::Socket {
                listener: model.name,
                address: model.address,
            });
        }
        let mut state = self.state.lock();
        let name = model.name.clone();
        let latest = state.warming.get(&name).or_else(|| state.active.get(&name));
        if latest.is_none_or(|latest| latest.model != model) {
            let listener =
                Listener::compile(model, shared, state.active.get(&name).map(|old| &**old))?;
            state.warming.insert(name.clone(), Arc::new(listener));
        }
        self.promote(&mut state);
        Ok(!state.warming.contains_key(&name))
    }

    /// Removes a listener; its connections drain.
    pub fn remove(&self, name: &ListenerName) {
        let mut state = self.state.lock();
        state.warming.remove(name);
        if let Some(old) = state.active.remove(name) {
            old.chains().for_each(|chain| chain.drain.cancel());
            self.publish(&state);
        }
    }

    /// Puts in force what has become warm. To be called when routes or secrets have come.
    pub fn settle(&self) {
        self.promote(&mut self.state.lock());
    }

    fn promote(&self, state: &mut State) {
        let warm: Vec<_> = state
            .warming
            .extract_if(.., |_, listener| listener.is_warm())
            .collect();
        if warm.is_empty() {
            return;
        }
        let mut replaced = Vec::new();
        for (name, listener) in warm {
            replaced.extend(
                state
                    .active
                    .insert(name, Arc::clone(&listener))
                    .map(|old| (old, listener)),
            );
        }
        // New connections go to the new chains before those of the old ones are told to end.
        self.publish(state);
        for (old, new) in replaced {
            let gone = old
                .chains()
                .filter(|chain| !new.chains().any(|kept| Arc::ptr_eq(kept, chain)));
            gone.for_each(|chain| chain.drain.cancel());
        }
    }

    fn publish(&self, state: &State) {
        self.table
            .publish(Arc::new(Table::new(state.active.values())));
    }

    /// Listeners in force, by name.
    pub fn active(&self) -> Vec<Arc<Listener>> {
        self.state.lock().active.values().cloned().collect()
    }

    /// Listeners that wait for something, by name.
    pub fn warming(&self) -> Vec<Arc<Listener>> {
        self.state.lock().warming.values().cloned().collect()
    }
}
