//! A listener as it is executed.

use super::chain_match::{ChainTable, Inspected, SameMatch};
use crate::{
    http,
    network::{Rbac, TcpProxy},
    telemetry::{Observers, substitution::InvalidFormat},
    tls::DownstreamContext,
    worker::Shared,
};
use mesh_model::{
    ListenerName,
    filter::NetworkFilter,
    listener::{self as model, FilterChain},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long a TLS handshake may take where the chain does not say.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A compiled listener.
#[derive(Debug)]
pub struct Listener {
    /// What it was compiled from.
    pub model: model::Listener,
    table: ChainTable,
    chains: Vec<Arc<Chain>>,
    default: Option<Arc<Chain>>,
    /// Logs of connections that no chain takes.
    pub observers: Observers,
}

/// A compiled filter chain.
#[derive(Debug)]
pub struct Chain {
    /// What it was compiled from.
    pub model: FilterChain,
    /// TLS that it terminates.
    pub tls: Option<DownstreamContext>,
    /// How long that may take.
    pub handshake_timeout: Duration,
    /// Metadata is exchanged where the peer negotiates it.
    pub exchanges_metadata: bool,
    /// Who may connect, judged in this order.
    pub policies: Box<[Rbac]>,
    /// What happens to its connections.
    pub terminal: Terminal,
    /// Cancelled when its connections are to end in an orderly way: it has changed, or the process ends.
    pub drain: CancellationToken,
}

/// The last filter of a chain.
#[derive(Debug)]
pub enum Terminal {
    /// HTTP.
    Http(Arc<http::Manager>),
    /// Bytes.
    Tcp(TcpProxy),
}

/// A listener that can't be executed.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// The filters of a chain do not end with a terminal one, or have one before the end.
    #[error(
        "listener {listener}: filter_chains[{chain}].filters: the last, and only the last, must be the connection manager or the TCP proxy"
    )]
    Terminal {
        /// The listener.
        listener: ListenerName,
        /// Place of the chain.
        chain: usize,
    },
    /// A format, of an access log or of a header, is not understood.
    #[error("listener {listener}")]
    Format {
        /// The listener.
        listener: ListenerName,
        /// What of it.
        #[source]
        source: InvalidFormat,
    },
    /// Two chains claim the same connections.
    #[error("listener {listener}")]
    SameMatch {
        /// The listener.
        listener: ListenerName,
        /// Which.
        #[source]
        source: SameMatch,
    },
    /// It wants a socket of its own, which sidecars have for the two capture listeners only.
    #[error(
        "listener {listener}: address: a sidecar binds its capture sockets only, not {address}"
    )]
    Socket {
        /// The listener.
        listener: ListenerName,
        /// The address that it wants.
        address: SocketAddr,
    },
}

impl Listener {
    /// Compiles `model`. Chains that `old` has in the same form are kept, with their connections.
    ///
    /// # Errors
    /// If it can't be executed.
    pub fn compile(
        model: model::Listener,
        shared: &Shared,
        old: Option<&Self>,
    ) -> Result<Self, Invalid> {
        let name = || model.name.clone();
        let table = ChainTable::new(model.filter_chains.iter().map(|chain| &chain.matches))
            .map_err(|source| Invalid::SameMatch {
                listener: name(),
                source,
            })?;
        let compile = |(place, chain): (usize, &FilterChain)| {
            if let Some(kept) = old.and_then(|old| old.kept(chain)) {
                return Ok(kept);
            }
            let compiled =
                Chain::compile(chain, &model, shared).map_err(|source| Invalid::Format {
                    listener: name(),
                    source,
                })?;
            compiled.map(Arc::new).ok_or_else(|| Invalid::Terminal {
                listener: name(),
                chain: place,
            })
        };
        let mut all = model
            .chains()
            .enumerate()
            .map(compile)
            .collect::<Result<Vec<_>, _>>()?;
        let default = model
            .default_filter_chain
            .is_some()
            .then(|| all.pop())
            .flatten();
        let observers = shared
            .telemetry
            .observers(None, &model.access_logs)
            .map_err(|source| Invalid::Format {
                listener: name(),
                source,
            })?;
        Ok(Self {
            table,
            chains: all,
            default,
            observers,
            model,
        })
    }

    fn kept(&self, wanted: &FilterChain) -> Option<Arc<Chain>> {
        self.chains().find(|chain| chain.model == *wanted).cloned()
    }

    /// All chains.
    pub fn chains(&self) -> impl Iterator<Item = &Arc<Chain>> {
        self.chains.iter().chain(&self.default)
    }

    /// The chain for a connection.
    pub fn pick(&self, inspected: &Inspected) -> Option<&Arc<Chain>> {
        self.table
            .pick(inspected)
            .map(|place| &self.chains[place])
            .or(self.default.as_ref())
    }

    /// Addresses it stands for.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        std::iter::once(self.model.address).chain(self.model.additional_addresses.iter().copied())
    }

    /// Whether all that its chains need has arrived.
    pub fn is_warm(&self) -> bool {
        self.chains().all(|chain| chain.is_warm())
    }
}

impl Chain {
    /// `None`: the filters do not end with a terminal one, or have one before the end.
    fn compile(
        model: &FilterChain,
        listener: &model::Listener,
        shared: &Shared,
    ) -> Result<Option<Self>, InvalidFormat> {
        let Some((last, before)) = model.filters.split_last() else {
            return Ok(None);
        };
        let is_terminal = |f: &NetworkFilter| {
            matches!(
                f,
                NetworkFilter::HttpConnectionManager(_) | NetworkFilter::TcpProxy(_)
            )
        };
        if before.iter().any(is_terminal) {
            return Ok(None);
        }
        let terminal = match last {
            NetworkFilter::HttpConnectionManager(manager) => Terminal::Http(Arc::new(
                http::Manager::compile(manager, listener.direction, shared)?,
            )),
            NetworkFilter::TcpProxy(proxy) => {
                Terminal::Tcp(TcpProxy::compile(proxy, before, shared)?)
            }
            NetworkFilter::MetadataExchange(_)
            | NetworkFilter::Stats(_)
            | NetworkFilter::Rbac(_) => return Ok(None),
        };
        let policies = before.iter().filter_map(|filter| match filter {
            NetworkFilter::Rbac(rbac) => Some(Rbac::new(rbac, &shared.telemetry)),
            _ => None,
        });
        Ok(Some(Self {
            model: model.clone(),
            tls: model
                .tls
                .clone()
                .map(|tls| DownstreamContext::new(tls, &shared.secrets)),
            handshake_timeout: model
                .transport_connect_timeout
                .filter(|t| !t.is_zero())
                .unwrap_or(HANDSHAKE),
            exchanges_metadata: before
                .iter()
                .any(|f| matches!(f, NetworkFilter::MetadataExchange(_))),
            policies: policies.collect(),
            terminal,
            drain: shared.drain.token(listener.direction).child_token(),
        }))
    }

    fn is_warm(&self) -> bool {
        let routes = match &self.terminal {
            Terminal::Http(manager) => manager.is_warm(),
            Terminal::Tcp(_) => true,
        };
        routes && self.tls.as_ref().is_none_or(DownstreamContext::is_warm)
    }
}
