//! Reads a [`Config`] out of [`Settings`], gathering every problem on the way.

use super::value::{self, Reason};
use super::*;
use mesh_model::port;

/// Reads one setting after the other and remembers what it had to refuse.
///
/// A refused value reads as its type's default, which nobody sees: with a problem there is no configuration.
struct Reader<'a> {
    settings: &'a Settings,
    host: &'a Host,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

pub(super) fn config(settings: &Settings, host: &Host) -> Result<Config, Invalid> {
    let mut reader = Reader {
        settings,
        host,
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let capture = reader.capture();
    let run = reader.run();
    let _: Level = reader.read(Key::LogOutputLevel, |text| Ok(text.parse::<Level>()?));
    reader.refuse_contradictions(&capture, &run);
    match reader.problems.is_empty() {
        true => Ok(Config {
            capture,
            run,
            warnings: reader.warnings,
        }),
        false => Err(Invalid(reader.problems)),
    }
}

impl Reader<'_> {
    fn read<T: Default>(&mut self, key: Key, parse: impl FnOnce(&str) -> Result<T, Reason>) -> T {
        parse(&self.settings.get(key).text).unwrap_or_else(|reason| {
            self.refuse(key, reason);
            T::default()
        })
    }

    fn refuse(&mut self, key: Key, reason: impl Into<Reason>) {
        self.problems
            .push(Problem::new(self.settings.get(key), reason.into()));
    }

    fn port(&mut self, key: Key) -> u16 {
        self.read(key, value::port)
    }

    fn ports(&mut self, key: Key) -> Vec<u16> {
        self.read(key, |text| value::list(text, value::port))
    }

    fn flag(&mut self, key: Key) -> bool {
        self.read(key, value::boolean)
    }

    fn interfaces(&mut self, key: Key) -> Vec<String> {
        self.read(key, |text| value::list(text, value::interface))
    }

    fn capture(&mut self) -> Capture {
        let proxy_uids = self.proxy_uids();
        let dual_stack = self.flag(Key::DualStack);
        Capture {
            outbound_port: self.port(Key::EnvoyPort),
            inbound_port: self.port(Key::InboundCapturePort),
            tunnel_port: self.port(Key::InboundTunnelPort),
            proxy_gids: self.proxy_gids(&proxy_uids),
            proxy_uids,
            interception: self.interception(),
            tproxy: self.tproxy(),
            inbound: self.inbound(),
            outbound: self.outbound(),
            dns: self.dns(),
            loopback_v4: self.read(Key::LoopbackCidr, loopback),
            excluded_interfaces: self.interfaces(Key::ExcludeInterfaces),
            virtual_interfaces: self.interfaces(Key::KubeVirtInterfaces),
            drop_invalid: self.flag(Key::DropInvalid),
            ipv6: self.ipv6(dual_stack),
        }
    }

    fn ipv6(&mut self, dual_stack: bool) -> bool {
        let captured = self.host.speaks_ipv6(dual_stack);
        if !captured && self.host.speaks_ipv6(true) {
            let warning = "IPv6 is not captured: this pod's first address is IPv4 (--dual-stack captures both)";
            self.warnings.push(warning.to_owned());
        }
        captured
    }

    fn proxy_uids(&mut self) -> Vec<u32> {
        let user = self.host.user;
        let given = self.read(Key::ProxyUid, |text| {
            value::list(text, |word| value::id(word, user))
        });
        if !given.is_empty() {
            return given;
        }
        let name = &self.settings.get(Key::EnvoyUser).text;
        vec![user(name).unwrap_or(port::PROXY_UID)]
    }

    fn proxy_gids(&mut self, uids: &[u32]) -> Vec<u32> {
        let group = self.host.group;
        let given = self.read(Key::ProxyGid, |text| {
            value::list(text, |word| value::id(word, group))
        });
        if given.is_empty() {
            uids.to_vec()
        } else {
            given
        }
    }

    fn interception(&mut self) -> Interception {
        self.read(Key::InboundInterceptionMode, |text| match text {
            "" | "REDIRECT" => Ok(Interception::Redirect),
            "TPROXY" => Ok(Interception::Tproxy),
            _ => Err("is neither REDIRECT nor TPROXY".into()),
        })
    }

    fn tproxy(&mut self) -> Tproxy {
        Tproxy {
            mark: self.read(Key::InboundTproxyMark, value::number),
            route_table: self.read(Key::InboundTproxyRouteTable, value::number),
        }
    }

    fn inbound(&mut self) -> Inbound {
        let excluded = self.ports(Key::LocalExcludePorts);
        self.read(Key::InboundPorts, |text| match text.trim() {
            "" => Ok(Inbound::None),
            "*" => Ok(Inbound::AllBut(excluded)),
            list => value::list(list, value::port).map(Inbound::Only),
        })
    }

    fn outbound(&mut self) -> Outbound {
        Outbound {
            ranges: self.read(Key::ServiceCidr, |text| match text.trim() {
                "*" => Ok(Ranges::All),
                list => value::list(list, value::range).map(Ranges::Only),
            }),
            excluded_ranges: self.read(Key::ServiceExcludeCidr, |text| {
                value::list(text, value::range)
            }),
            ports: self.ports(Key::OutboundPorts),
            excluded_ports: self.ports(Key::LocalOutboundPortsExclude),
            groups: self.owner_groups(),
        }
    }

    fn owner_groups(&mut self) -> OwnerGroups {
        let excluded = self.groups(Key::OwnerGroupsExclude);
        if self.settings.get(Key::OwnerGroups).text.trim() == "*" {
            return OwnerGroups::AllBut(excluded);
        }
        if !excluded.is_empty() {
            let all = "cannot be combined with ISTIO_OUTBOUND_OWNER_GROUPS; one of the two must stay at its default";
            self.refuse(Key::OwnerGroupsExclude, all);
        }
        OwnerGroups::Only(self.groups(Key::OwnerGroups))
    }

    fn groups(&mut self, key: Key) -> Vec<u32> {
        let group = self.host.group;
        self.read(key, |text| {
            let groups = value::list(text, |word| value::id(word, group))?;
            match groups.len() {
                0..=MOST_GROUPS => Ok(groups),
                count => Err(format!("names {count} groups, and {MOST_GROUPS} is the most").into()),
            }
        })
    }

    fn dns(&mut self) -> Option<DnsCapture> {
        let any = self.flag(Key::CaptureAllDns);
        if !self.flag(Key::RedirectDns) {
            return None;
        }
        if any {
            return Some(DnsCapture::AnyServer);
        }
        if self.host.nameservers.is_empty() {
            let warning = "DNS is not captured: /etc/resolv.conf names no server (--capture-all-dns captures without)";
            self.warnings.push(warning.to_owned());
            return None;
        }
        Some(DnsCapture::Servers(self.host.nameservers.clone()))
    }

    fn run(&mut self) -> Run {
        if self.flag(Key::NativeNftables) {
            let reason = "is not supported: rules are written through iptables";
            self.refuse(Key::NativeNftables, reason);
        }
        let _: bool = self.flag(Key::CniMode);
        Run {
            action: self.action(),
            dry_run: self.flag(Key::DryRun),
            validation: self.validation(),
            backend: self.read(Key::ForceBinary, |text| match text {
                "" => Ok(None),
                "legacy" => Ok(Some(Variant::Legacy)),
                "nft" => Ok(Some(Variant::Nft)),
                _ => Err("is neither legacy nor nft".into()),
            }),
        }
    }

    fn action(&mut self) -> Action {
        let apply = Action::Apply {
            force: self.flag(Key::ForceApply),
            guarded: self.flag(Key::Reconcile),
        };
        match (self.flag(Key::CleanupOnly), self.flag(Key::SkipRuleApply)) {
            (false, false) => apply,
            (true, false) => Action::CleanUp,
            (false, true) => Action::Nothing,
            (true, true) => {
                self.refuse(Key::SkipRuleApply, "contradicts --cleanup-only");
                Action::Nothing
            }
        }
    }

    fn validation(&mut self) -> Option<Probe> {
        let probe = Probe {
            port: self.port(Key::ProbePort),
            timeout: self.read(Key::ProbeTimeout, value::duration),
        };
        let wanted = self.flag(Key::RunValidation);
        wanted.then_some(probe)
    }

    fn refuse_contradictions(&mut self, capture: &Capture, run: &Run) {
        if !self.problems.is_empty() {
            return;
        }
        if capture.outbound_port == capture.inbound_port {
            let reason = "is also --envoy-port: the sidecar could not tell inbound from outbound";
            self.refuse(Key::InboundCapturePort, reason);
        }
        if capture.interception == Interception::Tproxy && capture.tproxy.mark == OUTBOUND_MARK {
            self.refuse(
                Key::InboundTproxyMark,
                "is the mark of the sidecar's own traffic",
            );
        }
        if run.action == Action::CleanUp && run.validation.is_some() {
            self.refuse(Key::RunValidation, "contradicts --cleanup-only");
        }
        let probe = run.validation.map(|probe| probe.port);
        if probe.is_some_and(|port| {
            port == capture.tunnel_port || capture.outbound.excluded_ports.contains(&port)
        }) {
            self.refuse(
                Key::ProbePort,
                "is a port that is not captured: the validation would fail",
            );
        }
    }
}

/// The IPv4 loopback range: part of 127.0.0.0/8, or rules meant for the pod's own traffic would match more.
fn loopback(text: &str) -> Result<Ipv4Net, Reason> {
    match value::range(text)? {
        IpNet::V4(net) if net.addr().is_loopback() && net.prefix_len() >= 8 => Ok(net),
        _ => Err("is not a range of IPv4 loopback addresses".into()),
    }
}
