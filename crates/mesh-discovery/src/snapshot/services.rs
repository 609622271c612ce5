//! All services, with their indexes.

use super::{Resolution, Service, ServicePort};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// All services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// Oldest first.
    by_age: Vec<Arc<Service>>,
    by_host: HashMap<Arc<str>, Arc<Service>>,
    /// Oldest first.
    by_port: BTreeMap<u16, Vec<Arc<Service>>>,
    /// Oldest first.
    by_namespace: HashMap<Arc<str>, Vec<Arc<Service>>>,
    /// Aliases by the host that they stand for in the end, oldest first.
    aliases: HashMap<Arc<str>, Vec<Arc<Service>>>,
}

/// Longest chain of aliases that is followed; a longer one is taken for a circle.
const LONGEST_ALIAS_CHAIN: usize = 8;

impl Services {
    /// Builds the indexes.
    pub fn new(services: impl IntoIterator<Item = Arc<Service>>) -> Self {
        let mut all = Self {
            by_age: services.into_iter().collect(),
            ..Self::default()
        };
        all.by_age.sort_by(|a, b| a.age.cmp(&b.age));
        all.by_host = all
            .by_age
            .iter()
            .map(|s| (s.host.clone(), s.clone()))
            .collect();
        for service in all.by_age.iter().filter(|s| !s.is_alias()) {
            for port in &service.ports {
                all.by_port
                    .entry(port.number)
                    .or_default()
                    .push(service.clone());
            }
        }
        for service in &all.by_age {
            all.by_namespace
                .entry(service.namespace.clone())
                .or_default()
                .push(service.clone());
        }
        for alias in all.by_age.iter().filter(|s| s.is_alias()) {
            if let Some(target) = all.concrete(alias) {
                all.aliases.entry(target).or_default().push(alias.clone());
            }
        }
        all
    }

    /// All, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.by_age.iter()
    }

    /// All ports of all services that are no aliases, oldest service first.
    pub fn ports(&self) -> impl Iterator<Item = (&Arc<Service>, &ServicePort)> {
        let concrete = self.by_age.iter().filter(|s| !s.is_alias());
        concrete.flat_map(|service| service.ports.iter().map(move |port| (service, port)))
    }

    /// The service of that host name.
    pub fn get(&self, host: &str) -> Option<&Arc<Service>> {
        self.by_host.get(host)
    }

    /// Those with a port of that number, aliases aside, oldest first.
    pub fn on_port(&self, number: u16) -> &[Arc<Service>] {
        self.by_port.get(&number).map_or(&[], Vec::as_slice)
    }

    /// Those of a namespace, oldest first.
    pub fn in_namespace(&self, namespace: &str) -> &[Arc<Service>] {
        self.by_namespace.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// All namespaces with services, and theirs, oldest first.
    pub fn namespaces(&self) -> impl Iterator<Item = (&str, &[Arc<Service>])> {
        let all = self.by_namespace.iter();
        all.map(|(namespace, services)| (&**namespace, services.as_slice()))
    }

    /// The aliases of a host, oldest first.
    pub fn aliases(&self, host: &str) -> &[Arc<Service>] {
        self.aliases.get(host).map_or(&[], Vec::as_slice)
    }

    /// The host that an alias stands for in the end, if that is a service of ours.
    fn concrete(&self, alias: &Service) -> Option<Arc<str>> {
        let mut service = alias;
        for _ in 0..LONGEST_ALIAS_CHAIN {
            match &service.resolution {
                Resolution::Alias(target) => service = self.by_host.get(target)?,
                Resolution::Addresses(_) | Resolution::Headless => {
                    return Some(service.host.clone());
                }
            }
        }
        None
    }
}
