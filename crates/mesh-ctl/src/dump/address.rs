//! `envoy.config.core.v3.Address`.

use serde::Deserialize;

/// An address of any kind.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Address {
    socket_address: Option<SocketAddress>,
    pipe: Option<Pipe>,
    envoy_internal_address: Option<Internal>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SocketAddress {
    address: String,
    port_value: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pipe {
    path: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Internal {
    server_listener_name: String,
    endpoint_id: String,
}

impl Address {
    /// The address without its port: an IP address, a host name, the path of a Unix socket, or
    /// `envoy://<listener>/<endpoint>`.
    pub(crate) fn host(&self) -> String {
        if let Some(socket) = &self.socket_address {
            socket.address.clone()
        } else if let Some(pipe) = &self.pipe {
            pipe.path.clone()
        } else if let Some(internal) = &self.envoy_internal_address {
            internal.url()
        } else {
            String::new()
        }
    }

    /// The port; 0 for what has none.
    pub(crate) fn port(&self) -> u32 {
        self.socket_address
            .as_ref()
            .map_or(0, |socket| socket.port_value)
    }

    /// Address and port, if it has one.
    pub(crate) fn with_port(&self) -> String {
        match &self.socket_address {
            Some(socket) => format!("{}:{}", socket.address, socket.port_value),
            None => self.host(),
        }
    }

    /// Whether it is a Unix socket.
    pub(crate) fn is_pipe(&self) -> bool {
        self.pipe.is_some()
    }
}

impl Internal {
    fn url(&self) -> String {
        format!("envoy://{}/{}", self.server_listener_name, self.endpoint_id)
    }
}
