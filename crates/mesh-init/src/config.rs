//! What the arguments mean: [`Settings`] checked and given their types.
//!
//! Everything that can be refused is refused here, all at once and before anything is touched. What a [`Config`] says
//! can be carried out as it stands; nothing behind this module looks at a flag's text again.

use crate::flags::{Given, Key, Origin, Settings};
use crate::host::Host;
use crate::log::Level;
use ipnet::{IpNet, Ipv4Net};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

mod read;
mod value;

/// Most owner groups in one list: each becomes a match or a rule that every outbound connection passes.
const MOST_GROUPS: usize = 64;
/// The mark that the rules of TPROXY mode put on the sidecar's own loopback traffic; fixed, as in Istio.
pub(crate) const OUTBOUND_MARK: u32 = 1338;

/// A run of `istio-iptables`, fully understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What to capture.
    pub capture: Capture,
    /// What to do about it.
    pub run: Run,
    /// What was asked for and cannot be had, to be logged.
    pub warnings: Vec<String>,
}

/// Which traffic of the pod goes through the sidecar. The rules follow from this and an address family alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Port of the sidecar for outbound connections.
    pub outbound_port: u16,
    /// Port of the sidecar for inbound connections.
    pub inbound_port: u16,
    /// Port of tunnelled connections, never captured.
    pub tunnel_port: u16,
    /// Users that the sidecar runs as.
    pub proxy_uids: Vec<u32>,
    /// Groups that the sidecar runs as.
    pub proxy_gids: Vec<u32>,
    /// How inbound connections reach the sidecar.
    pub interception: Interception,
    /// The numbers of TPROXY mode; also needed to clean up after it.
    pub tproxy: Tproxy,
    /// Inbound connections to capture.
    pub inbound: Inbound,
    /// Outbound connections to capture.
    pub outbound: Outbound,
    /// DNS queries to capture.
    pub dns: Option<DnsCapture>,
    /// IPv4 destinations that count as the pod talking to itself.
    pub loopback_v4: Ipv4Net,
    /// Interfaces whose traffic is left alone.
    pub excluded_interfaces: Vec<String>,
    /// Interfaces of virtual machines, whose arriving traffic is outbound.
    pub virtual_interfaces: Vec<String>,
    /// Drop packets that connection tracking cannot place.
    pub drop_invalid: bool,
    /// Write rules for IPv6 too.
    pub ipv6: bool,
}

impl Capture {
    /// The numbers of TPROXY mode, if anything is captured in it.
    pub(crate) fn transparent(&self) -> Option<Tproxy> {
        let used = self.interception == Interception::Tproxy && self.inbound != Inbound::None;
        used.then_some(self.tproxy)
    }
}

/// How inbound connections reach the sidecar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interception {
    /// By rewriting the destination; the application sees the sidecar as its peer.
    #[default]
    Redirect,
    /// By a transparent socket; the application sees the client's address.
    Tproxy,
}

/// The numbers of TPROXY mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tproxy {
    /// Mark of captured packets.
    pub mark: u32,
    /// Routing table that delivers them to this host.
    pub route_table: u32,
}

/// Inbound connections to capture, by destination port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Inbound {
    /// None.
    #[default]
    None,
    /// All but these.
    AllBut(Vec<u16>),
    /// Only these.
    Only(Vec<u16>),
}

/// Outbound connections to capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// By destination address.
    pub ranges: Ranges,
    /// Destinations to leave alone.
    pub excluded_ranges: Vec<IpNet>,
    /// Ports to capture whatever the destination address.
    pub ports: Vec<u16>,
    /// Ports to leave alone, whatever else is said.
    pub excluded_ports: Vec<u16>,
    /// Whose traffic.
    pub groups: OwnerGroups,
}

/// Destination addresses to capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// All.
    All,
    /// These; none if empty.
    Only(Vec<IpNet>),
}

impl Default for Ranges {
    fn default() -> Self {
        Ranges::Only(Vec::new())
    }
}

/// Whose outbound traffic is captured, by the group of the socket's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerGroups {
    /// Everyone's but these groups'.
    AllBut(Vec<u32>),
    /// Only these groups'.
    Only(Vec<u32>),
}

/// Which DNS queries are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsCapture {
    /// Those to any server.
    AnyServer,
    /// Those to these servers.
    Servers(Vec<IpAddr>),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Put the rules in place or remove them.
    pub action: Action,
    /// Only print it.
    pub dry_run: bool,
    /// Prove afterwards that the redirection works.
    pub validation: Option<Probe>,
    /// The iptables variant to use, instead of detecting it.
    pub backend: Option<Variant>,
}

/// What happens to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// They are brought into place.
    Apply {
        /// Even if they are there already.
        force: bool,
        /// With everything else dropped while differing rules are replaced.
        guarded: bool,
    },
    /// They are removed.
    CleanUp,
    /// They stay as they are.
    Nothing,
}

/// The connection that proves the redirection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Where it goes; any port that is not excluded will do, nobody listens there.
    pub port: u16,
    /// How long to try.
    pub timeout: Duration,
}

/// A variant of the iptables programs: the kernel interface that they speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// `ip_tables`.
    Legacy,
    /// `nf_tables`.
    Nft,
}

impl Config {
    /// Understands `settings` on `host`.
    ///
    /// # Errors
    /// Every value that is not understood or contradicts another, together.
    pub fn new(settings: &Settings, host: &Host) -> Result<Self, Invalid> {
        read::config(settings, host)
    }
}

/// The level of `--log_output_level`, for what is said before the rest is understood.
pub(crate) fn log_level(settings: &Settings) -> Level {
    settings
        .get(Key::LogOutputLevel)
        .text
        .parse()
        .unwrap_or_default()
}

/// The namespace of `--network-namespace`; needed before [`Host`] can be read, and with it [`Config`].
pub(crate) fn network_namespace(settings: &Settings) -> Option<&std::path::Path> {
    let text = &settings.get(Key::NetworkNamespace).text;
    (!text.is_empty()).then(|| std::path::Path::new(text))
}

/// One refused value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting: `--flag`, or its variable.
    pub name: String,
    /// What it was given.
    pub value: String,
    /// The environment variable that the value came from.
    pub variable: Option<String>,
    /// Why it is refused; completes the sentence “`value` …”.
    pub reason: String,
    /// What to do instead.
    pub hint: Option<String>,
}

impl Problem {
    fn new(given: &Given, reason: value::Reason) -> Self {
        let variable = match &given.origin {
            Origin::Environment(variable) if *variable != given.name => Some(variable.clone()),
            _ => None,
        };
        Self {
            name: given.name.clone(),
            value: given.text.clone(),
            variable,
            reason: reason.text,
            hint: reason.hint,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(variable) = &self.variable {
            write!(f, " (from {variable})")?;
        }
        write!(f, ": `{}` {}", self.value, self.reason)?;
        match &self.hint {
            Some(hint) => write!(f, "\n    hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The values that were refused; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub Vec<Problem>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused, and nothing was touched:")?;
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Invalid {}

#[cfg(test)]
mod tests;
