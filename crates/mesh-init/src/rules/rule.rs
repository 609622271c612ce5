//! One rule, and its text.
//!
//! The text is exactly what `iptables-save` prints for the rule: the order of the matches, the implied `-m tcp`, masks
//! and numbers in full. `iptables-restore` reads the same text back.

use super::Chain;
use ipnet::IpNet;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The comment on rules of ours that stand in the kernel's chains and do not jump to a chain of ours.
///
/// Chain names tell our other rules; without a mark these would be taken for someone else's when the flags change or
/// the rules are removed.
pub(crate) const OWNER_TAG: &str = "mesh-init";

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

/// The end of a connection that a port belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// The owner of the socket that a packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A user.
    User(u32),
    /// A group.
    Group(u32),
}

/// A condition beyond addresses, interfaces and protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// The port is this one.
    Port(Protocol, Side, u16),
    /// The destination port is another one.
    NotToPort(Protocol, u16),
    /// The destination port is none of these.
    NotToPorts(Vec<u16>),
    /// The socket's owner is this one.
    Owner(Owner),
    /// The socket's owner is another one, or there is no socket.
    NotOwner(Owner),
    /// Connection tracking has the packet in one of these states.
    State(&'static str),
    /// The packet has this mark.
    Mark(u32),
    /// The packet has another mark.
    NotMark(u32),
    /// The connection has this mark.
    ConnectionMark(u32),
}

/// What becomes of a packet that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Leave the chain; from one of the kernel's chains: pass.
    Return,
    /// Pass.
    Accept,
    /// Vanish.
    Drop,
    /// Go through a chain of ours.
    Jump(Chain),
    /// Go to this port of this host.
    Redirect(u16),
    /// Mark the packet.
    SetMark(u32),
    /// Give the packet's mark to the connection.
    SaveMark,
    /// Give the connection's mark to the packet.
    RestoreMark,
    /// Go to a transparent socket at this port, with this mark; the flag is for IPv6.
    Tproxy {
        /// The port.
        port: u16,
        /// The mark.
        mark: u32,
        /// Whether the rule is one of IPv6, whose text differs.
        ipv6: bool,
    },
    /// Be tracked in this zone.
    Zone(u16),
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    source: Option<IpNet>,
    destination: Option<(bool, IpNet)>,
    arriving_on: Option<String>,
    leaving_on: Option<String>,
    protocol: Option<Protocol>,
    matches: Vec<Match>,
    tagged: bool,
    target: Target,
}

impl Rule {
    /// A rule that matches everything.
    pub(super) fn new(target: Target) -> Self {
        Self {
            source: None,
            destination: None,
            arriving_on: None,
            leaving_on: None,
            protocol: None,
            matches: Vec::new(),
            tagged: false,
            target,
        }
    }

    pub(super) fn jump(chain: Chain) -> Self {
        Self::new(Target::Jump(chain))
    }

    pub(super) fn pass() -> Self {
        Self::new(Target::Return)
    }

    pub(super) fn from(self, source: IpNet) -> Self {
        Self {
            source: Some(source),
            ..self
        }
    }

    pub(super) fn to(self, destination: IpNet) -> Self {
        Self {
            destination: Some((true, destination)),
            ..self
        }
    }

    pub(super) fn not_to(self, destination: IpNet) -> Self {
        Self {
            destination: Some((false, destination)),
            ..self
        }
    }

    pub(super) fn arriving_on(self, interface: &str) -> Self {
        Self {
            arriving_on: Some(interface.to_owned()),
            ..self
        }
    }

    pub(super) fn leaving_on(self, interface: &str) -> Self {
        Self {
            leaving_on: Some(interface.to_owned()),
            ..self
        }
    }

    pub(super) fn protocol(self, protocol: Protocol) -> Self {
        Self {
            protocol: Some(protocol),
            ..self
        }
    }

    pub(super) fn tcp(self) -> Self {
        self.protocol(Protocol::Tcp)
    }

    /// Adds a condition; a port brings its protocol.
    pub(super) fn when(mut self, condition: Match) -> Self {
        if let Match::Port(protocol, ..) | Match::NotToPort(protocol, _) = &condition {
            self.protocol = Some(*protocol);
        }
        self.matches.push(condition);
        self
    }

    pub(super) fn dport(self, protocol: Protocol, port: u16) -> Self {
        self.when(Match::Port(protocol, Side::Destination, port))
    }

    pub(super) fn sport(self, protocol: Protocol, port: u16) -> Self {
        self.when(Match::Port(protocol, Side::Source, port))
    }

    pub(super) fn owned_by(self, owner: Owner) -> Self {
        self.when(Match::Owner(owner))
    }

    /// Marks the rule as ours; see [`OWNER_TAG`].
    pub(crate) fn tagged(self) -> Self {
        Self {
            tagged: true,
            ..self
        }
    }

    /// A guard rule: drops a protocol. For the filter table of `--reconcile`.
    pub(crate) fn guard(protocol: Protocol) -> Self {
        Self::new(Target::Drop).protocol(protocol).tagged()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = self.source.filter(|net| net.prefix_len() > 0) {
            write!(f, "-s {source} ")?;
        }
        match self.destination {
            // iptables-save leaves out a range that matches everything.
            Some((true, net)) if net.prefix_len() > 0 => write!(f, "-d {net} ")?,
            Some((false, net)) => write!(f, "! -d {net} ")?,
            Some((true, _)) | None => {}
        }
        if let Some(interface) = &self.arriving_on {
            write!(f, "-i {interface} ")?;
        }
        if let Some(interface) = &self.leaving_on {
            write!(f, "-o {interface} ")?;
        }
        if let Some(protocol) = self.protocol {
            write!(f, "-p {} ", protocol.name())?;
        }
        self.matches
            .iter()
            .try_for_each(|condition| write!(f, "{condition} "))?;
        if self.tagged {
            write!(f, "-m comment --comment {OWNER_TAG} ")?;
        }
        write!(f, "-j {}", self.target)
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Match::Port(protocol, Side::Source, port) => {
                write!(f, "-m {} --sport {port}", protocol.name())
            }
            Match::Port(protocol, Side::Destination, port) => {
                write!(f, "-m {} --dport {port}", protocol.name())
            }
            Match::NotToPort(protocol, port) => {
                write!(f, "-m {} ! --dport {port}", protocol.name())
            }
            Match::NotToPorts(ports) => {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                write!(f, "-m multiport ! --dports {}", ports.join(","))
            }
            Match::Owner(owner) => write!(f, "-m owner {owner}"),
            Match::NotOwner(owner) => write!(f, "-m owner ! {owner}"),
            Match::State(states) => write!(f, "-m conntrack --ctstate {states}"),
            Match::Mark(mark) => write!(f, "-m mark --mark {mark:#x}"),
            Match::NotMark(mark) => write!(f, "-m mark ! --mark {mark:#x}"),
            Match::ConnectionMark(mark) => write!(f, "-m connmark --mark {mark:#x}"),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::User(id) => write!(f, "--uid-owner {id}"),
            Owner::Group(id) => write!(f, "--gid-owner {id}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ALL_BITS: &str = "--nfmask 0xffffffff --ctmask 0xffffffff";
        match self {
            Target::Return => f.write_str("RETURN"),
            Target::Accept => f.write_str("ACCEPT"),
            Target::Drop => f.write_str("DROP"),
            Target::Jump(chain) => f.write_str(chain.name()),
            Target::Redirect(port) => write!(f, "REDIRECT --to-ports {port}"),
            Target::SetMark(mark) => write!(f, "MARK --set-xmark {mark:#x}/0xffffffff"),
            Target::SaveMark => write!(f, "CONNMARK --save-mark {ALL_BITS}"),
            Target::RestoreMark => write!(f, "CONNMARK --restore-mark {ALL_BITS}"),
            Target::Tproxy { port, mark, ipv6 } => {
                let any: &dyn fmt::Display = match ipv6 {
                    true => &Ipv6Addr::UNSPECIFIED,
                    false => &Ipv4Addr::UNSPECIFIED,
                };
                write!(
                    f,
                    "TPROXY --on-port {port} --on-ip {any} --tproxy-mark {mark:#x}/0xffffffff"
                )
            }
            Target::Zone(zone) => write!(f, "CT --zone {zone}"),
        }
    }
}
