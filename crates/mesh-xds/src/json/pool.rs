//! The descriptors, in memory only while somebody holds them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use prost_reflect::DescriptorPool;

/// Written by mesh-codegen.
const DESCRIPTORS: &[u8] = include_bytes!("../generated/descriptors.bin");

static LIVE: Mutex<Weak<DescriptorPool>> = Mutex::new(Weak::new());

/// A handle to the descriptors of every message that Istio pushes and that the admin interface prints.
///
/// Holders share one copy of about eight megabytes; it is freed when the last handle goes. Take one for a request or a
/// command, do not store it. Freed means given to the allocator: one that keeps empty pages (mimalloc does until it is
/// used again) has to be told if the process is to be small at once.
#[derive(Clone, Debug)]
pub struct Pool(Arc<DescriptorPool>);

impl Pool {
    /// The descriptors: shared with another holder if there is one, else decoded now, which takes tens of
    /// milliseconds of CPU and therefore does not belong on a thread that serves traffic.
    pub fn load() -> Self {
        let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = live.upgrade() {
            return Self(pool);
        }
        let pool =
            DescriptorPool::decode(DESCRIPTORS).expect("constant bytes, which the tests decode");
        let pool = Arc::new(pool);
        *live = Arc::downgrade(&pool);
        Self(pool)
    }

    /// Whether messages of this full name can be printed and read.
    pub fn knows(&self, full_name: &str) -> bool {
        self.0.get_message_by_name(full_name).is_some()
    }

    pub(crate) fn descriptors(&self) -> &DescriptorPool {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_share_one_copy() {
        let (a, b) = (Pool::load(), Pool::load());
        assert!(Arc::ptr_eq(&a.0, &b.0));
    }

    #[test]
    fn knows_what_istio_pushes_and_the_admin_interface_prints() {
        let pool = Pool::load();
        for name in [
            "envoy.admin.v3.ConfigDump",
            "envoy.admin.v3.Clusters",
            "envoy.admin.v3.ServerInfo",
            "envoy.admin.v3.Certificates",
            "envoy.config.bootstrap.v3.Bootstrap",
            "envoy.service.discovery.v3.DeltaDiscoveryResponse",
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "envoy.extensions.transport_sockets.tls.v3.Secret",
            "xds.type.v3.TypedStruct",
            "udpa.type.v1.TypedStruct",
            "istio.networking.nds.v1.NameTable",
            "stats.PluginConfig",
        ] {
            assert!(pool.knows(name), "{name} is missing in descriptors.bin");
        }
        assert!(!pool.knows("acme.v1.NotKnown"));
    }
}
