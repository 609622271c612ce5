//! Which listener a connection belongs to: by the socket that accepted it, and by where it was going.

use super::compiled::Listener;
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// All listeners in force.
#[derive(Debug, Default)]
pub struct Table {
    by_address: HashMap<SocketAddr, Arc<Listener>, foldhash::fast::RandomState>,
}

impl Table {
    /// The table of these listeners. Of two with the same address the first stays.
    pub fn new<'a>(listeners: impl IntoIterator<Item = &'a Arc<Listener>>) -> Self {
        let mut by_address = HashMap::default();
        for listener in listeners {
            for address in listener.addresses() {
                by_address
                    .entry(address)
                    .or_insert_with(|| Arc::clone(listener));
            }
        }
        Self { by_address }
    }

    /// The listener of the socket `socket`, if there is one yet.
    pub fn of_socket(&self, socket: SocketAddr) -> Option<&Arc<Listener>> {
        self.at(socket)
    }

    /// The listener that `first` hands a connection to: that of `destination`, or `first` itself.
    pub fn hand_off<'a>(
        &'a self,
        first: &'a Arc<Listener>,
        destination: SocketAddr,
    ) -> &'a Arc<Listener> {
        if !first.model.use_original_dst {
            return first;
        }
        self.at(destination).unwrap_or(first)
    }

    /// By the address itself, else by its port on all addresses of its family.
    fn at(&self, address: SocketAddr) -> Option<&Arc<Listener>> {
        let wildcard: IpAddr = if address.is_ipv4() {
            [0; 4].into()
        } else {
            [0; 16].into()
        };
        let exact = self.by_address.get(&address);
        exact.or_else(|| {
            self.by_address
                .get(&SocketAddr::new(wildcard, address.port()))
        })
    }
}
