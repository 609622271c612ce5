//! The sockets, bound before anything else, so that a port in use is known at once.

use crate::config::Settings;
use mesh_runtime::listen::{self, BindError};
use tokio::net::TcpListener;

/// The sockets of the process; `None` for a port that is switched off.
pub(super) struct Sockets {
    pub(super) http: Option<TcpListener>,
    pub(super) grpc: Option<TcpListener>,
    pub(super) secure_grpc: Option<TcpListener>,
    pub(super) monitoring: Option<TcpListener>,
}

impl Sockets {
    pub(super) async fn bind(settings: &Settings) -> Result<Self, BindError> {
        Ok(Self {
            http: listen::bind(&settings.http, "--httpAddr").await?,
            grpc: listen::bind(&settings.grpc, "--grpcAddr").await?,
            secure_grpc: listen::bind(&settings.secure_grpc, "--secureGRPCAddr").await?,
            monitoring: listen::bind(&settings.monitoring, "--monitoringAddr").await?,
        })
    }
}
