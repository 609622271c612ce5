//! What all requests of one downstream connection share.

use super::{
    codec::Activity,
    header::xfcc,
    manager::{Manager, Table},
};
use crate::{connection::Connection, worker::Worker};
use http::HeaderValue;
use mesh_model::name::Direction;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

/// One downstream connection.
pub(super) struct Downstream {
    pub(super) worker: Rc<Worker>,
    pub(super) connection: Rc<Connection>,
    pub(super) manager: Arc<Manager>,
    /// Our element of `x-forwarded-client-cert`.
    pub(super) client_cert: Option<HeaderValue>,
    /// The client may be told that a request was not seen by any application.
    pub(super) is_peer: bool,
    /// HTTP/1 responses say `Connection: close`.
    pub(super) is_draining: Cell<bool>,
    pub(super) activity: Arc<Activity>,
    own_routes: RefCell<Option<Table>>,
}

impl Downstream {
    pub(super) fn new(
        connection: Rc<Connection>,
        manager: Arc<Manager>,
        worker: Rc<Worker>,
    ) -> Rc<Self> {
        Rc::new(Self {
            client_cert: xfcc::element(&manager.forward_client_cert, &connection),
            is_peer: connection.direction == Some(Direction::Inbound) && connection.is_mutual_tls(),
            is_draining: Cell::new(false),
            activity: Activity::new(),
            own_routes: RefCell::new(None),
            worker,
            connection,
            manager,
        })
    }

    /// The routes for a request that begins now.
    pub(super) fn table(&self) -> Table {
        if !self.manager.has_own_routes() {
            return self.manager.table(&self.worker);
        }
        let mut own = self.own_routes.borrow_mut();
        own.get_or_insert_with(|| self.manager.table(&self.worker))
            .clone()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::worker::Shared;

    pub(crate) fn shared() -> Arc<Shared> {
        Arc::default()
    }

    pub(crate) fn connection(direction: Direction) -> Connection {
        Connection {
            id: 1,
            listener: "test".into(),
            direction: Some(direction),
            peer: ([10, 0, 0, 9], 40000).into(),
            destination: ([10, 0, 0, 1], 80).into(),
            server_name: None,
            tls: None,
        }
    }
}
