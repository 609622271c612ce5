//! The addresses of a name, for the proxy's own connections: the hosts file first, then the pod's name servers.
//!
//! Used beside the path only, by clusters whose endpoints have names. Keeps nothing: what is known of a name, and when it
//! is asked for again, is the business of whoever asks.

use super::{
    ResolvConf,
    message::{LARGEST_DATAGRAM, Question, Received, Transport},
    upstream::{self, Upstream},
};
use arc_swap::ArcSwap;
use futures_util::future::{BoxFuture, FutureExt};
use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};
use mesh_model::cluster::LookupFamily;
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Names of names that are followed.
const MOST_ALIASES: usize = 16;

/// What a name stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The addresses, never none.
    pub all: Vec<IpAddr>,
    /// How long they may be kept; `None`: nothing is said.
    pub ttl: Option<Duration>,
}

/// Why a name stands for nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It can't be asked for.
    #[error("it is no name")]
    NoName,
    /// Nobody answered.
    #[error("name servers")]
    Unanswered(#[source] upstream::Failure),
    /// What was answered is no answer.
    #[error("the answer can't be read")]
    Unreadable,
    /// The name server says no.
    #[error("the name server says {0}")]
    Refused(ResponseCode),
    /// There are no addresses of that name.
    #[error("it has no address")]
    NoAddress,
}

/// Finds addresses.
pub trait Lookup: Send + Sync {
    /// The addresses of `host`.
    fn addresses<'a>(
        &'a self,
        host: &'a str,
        family: LookupFamily,
    ) -> BoxFuture<'a, Result<Addresses, Failure>>;
}

/// Finds addresses as resolvers of this pod do.
#[derive(Debug)]
pub struct Lookups {
    hosts: PathBuf,
    conf: ArcSwap<ResolvConf>,
}

impl Default for Lookups {
    /// Without a name server.
    fn default() -> Self {
        Self::new("/etc/hosts", ResolvConf::default())
    }
}

impl Lookups {
    /// By this hosts file and these name servers.
    pub fn new(hosts: impl Into<PathBuf>, conf: ResolvConf) -> Self {
        Self {
            hosts: hosts.into(),
            conf: ArcSwap::from_pointee(conf),
        }
    }

    /// Names are asked of these servers from now on.
    pub fn put_in_force(&self, conf: ResolvConf) {
        self.conf.store(Arc::new(conf));
    }

    async fn find(&self, host: &str, family: LookupFamily) -> Result<Addresses, Failure> {
        let local = in_hosts(&self.hosts, host);
        let local: Vec<_> = chosen(family, &local);
        if !local.is_empty() {
            return Ok(Addresses {
                all: local,
                ttl: None,
            });
        }
        let conf = self.conf.load_full();
        let servers = Upstream::new(conf.servers.clone());
        let mut outcome = Err(Failure::NoName);
        for name in candidates(host, &conf.search) {
            outcome = by_family(&servers, &name, family).await;
            let next = matches!(
                outcome,
                Err(Failure::NoAddress | Failure::Refused(ResponseCode::NXDomain))
            );
            if !next {
                return outcome;
            }
        }
        outcome
    }
}

impl Lookup for Lookups {
    fn addresses<'a>(
        &'a self,
        host: &'a str,
        family: LookupFamily,
    ) -> BoxFuture<'a, Result<Addresses, Failure>> {
        self.find(host, family).boxed()
    }
}

/// The names that `host` may stand for. One with a dot is taken as it is first: it seldom is incomplete.
fn candidates(host: &str, search: &[String]) -> Vec<String> {
    let complete = search.iter().map(|domain| format!("{host}.{domain}"));
    let itself = std::iter::once(host.to_owned());
    match host.contains('.') {
        true => itself.chain(complete).collect(),
        false => complete.chain(itself).collect(),
    }
}

/// What of `all` is wanted.
fn chosen(family: LookupFamily, all: &[IpAddr]) -> Vec<IpAddr> {
    let of = |v6: bool| -> Vec<IpAddr> {
        let wanted = all.iter().filter(|address| address.is_ipv6() == v6);
        wanted.copied().collect()
    };
    let or = |first: Vec<IpAddr>, then: Vec<IpAddr>| if first.is_empty() { then } else { first };
    match family {
        LookupFamily::V4Only => of(false),
        LookupFamily::V6Only => of(true),
        LookupFamily::Auto => or(of(true), of(false)),
        LookupFamily::V4Preferred => or(of(false), of(true)),
        LookupFamily::All => all.to_vec(),
    }
}

async fn by_family(
    servers: &Upstream,
    name: &str,
    family: LookupFamily,
) -> Result<Addresses, Failure> {
    let v4 = || ask(servers, name, RecordType::A);
    let v6 = || ask(servers, name, RecordType::AAAA);
    match family {
        LookupFamily::V4Only => v4().await,
        LookupFamily::V6Only => v6().await,
        LookupFamily::Auto => match v6().await {
            Ok(found) => Ok(found),
            Err(_) => v4().await,
        },
        LookupFamily::V4Preferred => match v4().await {
            Ok(found) => Ok(found),
            Err(_) => v6().await,
        },
        LookupFamily::All => match futures_util::future::join(v4(), v6()).await {
            (Ok(mut one), Ok(other)) => {
                one.all.extend(other.all);
                one.ttl = one.ttl.into_iter().chain(other.ttl).min();
                Ok(one)
            }
            (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
            (Err(failure), Err(_)) => Err(failure),
        },
    }
}

async fn ask(servers: &Upstream, name: &str, kind: RecordType) -> Result<Addresses, Failure> {
    let name = Name::from_ascii(format!("{name}.")).map_err(|_| Failure::NoName)?;
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name.clone(), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(LARGEST_DATAGRAM);
    message.set_edns(edns);
    let bytes = message.to_vec().map_err(|_| Failure::NoName)?;
    let mut answer = Failure::Unreadable;
    for transport in [Transport::Udp, Transport::Tcp] {
        let question = question(&bytes, transport)?;
        let bytes = servers.ask(&question, &bytes).await;
        let bytes = bytes.map_err(Failure::Unanswered)?;
        let message = Message::from_vec(&bytes).map_err(|_| Failure::Unreadable)?;
        if message.metadata.truncation && transport == Transport::Udp {
            continue;
        }
        match read(&message, &name) {
            Ok(found) => return Ok(found),
            Err(failure) => answer = failure,
        }
        break;
    }
    Err(answer)
}

fn question(bytes: &[u8], transport: Transport) -> Result<Box<Question>, Failure> {
    match Received::read(bytes, transport) {
        Received::Question(question) => Ok(question),
        Received::Refused(_) | Received::Nothing => Err(Failure::NoName),
    }
}

/// The addresses of `name` in an answer, by way of the names that it stands for.
fn read(message: &Message, name: &Name) -> Result<Addresses, Failure> {
    let code = message.metadata.response_code;
    if code != ResponseCode::NoError {
        return Err(Failure::Refused(code));
    }
    let (mut owner, mut ttl) = (name.clone(), u32::MAX);
    for _ in 0..MOST_ALIASES {
        let of_it = || message.answers.iter().filter(|record| record.name == owner);
        let addresses: Vec<(IpAddr, u32)> = of_it()
            .filter_map(|record| match &record.data {
                RData::A(address) => Some((address.0.into(), record.ttl)),
                RData::AAAA(address) => Some((address.0.into(), record.ttl)),
                _ => None,
            })
            .collect();
        if !addresses.is_empty() {
            let shortest = addresses.iter().map(|(_, ttl)| *ttl).min();
            let ttl = shortest.unwrap_or_default().min(ttl);
            return Ok(Addresses {
                all: addresses.into_iter().map(|(address, _)| address).collect(),
                ttl: Some(Duration::from_secs(ttl.into())),
            });
        }
        let alias = of_it().find_map(|record| match &record.data {
            RData::CNAME(target) => Some((target.0.clone(), record.ttl)),
            _ => None,
        });
        let Some((target, of_alias)) = alias else {
            return Err(Failure::NoAddress);
        };
        ttl = ttl.min(of_alias);
        owner = target;
    }
    Err(Failure::NoAddress)
}

/// What the hosts file says of `host`. One that can't be read says nothing.
fn in_hosts(path: &Path, host: &str) -> Vec<IpAddr> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        words
            .any(|name| name.eq_ignore_ascii_case(host))
            .then_some(address)
    });
    lines.collect()
}

#[cfg(test)]
mod tests;
