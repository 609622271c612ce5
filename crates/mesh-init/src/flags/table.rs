//! The table itself: one row a setting.
//!
//! Names, short forms and defaults are Istio's, because injection templates and pod annotations written for Istio end
//! up here word for word.

/// Names one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is documented by its row's help text")]
pub enum Key {
    EnvoyPort,
    InboundCapturePort,
    InboundTunnelPort,
    ProxyUid,
    ProxyGid,
    InboundInterceptionMode,
    InboundPorts,
    LocalExcludePorts,
    ServiceCidr,
    ServiceExcludeCidr,
    OutboundPorts,
    LocalOutboundPortsExclude,
    ExcludeInterfaces,
    KubeVirtInterfaces,
    InboundTproxyMark,
    InboundTproxyRouteTable,
    RedirectDns,
    CaptureAllDns,
    DropInvalid,
    DualStack,
    DryRun,
    CleanupOnly,
    Reconcile,
    ForceApply,
    SkipRuleApply,
    RunValidation,
    ProbePort,
    ProbeTimeout,
    ForceBinary,
    NativeNftables,
    NetworkNamespace,
    CniMode,
    LogOutputLevel,
    LoopbackCidr,
    OwnerGroups,
    OwnerGroupsExclude,
    EnvoyUser,
}

/// How a setting is given.
pub(super) enum Form {
    /// A flag with a value of this name.
    Value(&'static str),
    /// A flag that may stand alone, or be `--flag=true|false`.
    Switch,
    /// A variable without a flag.
    Environment,
}

/// One row.
pub(super) struct Flag {
    pub(super) key: Key,
    pub(super) long: &'static str,
    pub(super) short: Option<char>,
    pub(super) form: Form,
    pub(super) default: &'static str,
    /// A second variable that Istio reads for this setting.
    pub(super) also_env: Option<&'static str>,
    pub(super) help: &'static str,
}

const fn value(
    key: Key,
    long: &'static str,
    name: &'static str,
    default: &'static str,
    help: &'static str,
) -> Flag {
    Flag {
        key,
        long,
        short: None,
        form: Form::Value(name),
        default,
        also_env: None,
        help,
    }
}

const fn switch(key: Key, long: &'static str, help: &'static str) -> Flag {
    Flag {
        key,
        long,
        short: None,
        form: Form::Switch,
        default: "false",
        also_env: None,
        help,
    }
}

const fn variable(key: Key, long: &'static str, default: &'static str, help: &'static str) -> Flag {
    Flag {
        key,
        long,
        short: None,
        form: Form::Environment,
        default,
        also_env: None,
        help,
    }
}

impl Flag {
    const fn short(self, short: char) -> Flag {
        Flag {
            short: Some(short),
            ..self
        }
    }

    const fn also(self, env: &'static str) -> Flag {
        Flag {
            also_env: Some(env),
            ..self
        }
    }
}

#[rustfmt::skip] // a table: one setting, one or two lines
pub(super) const FLAGS: &[Flag] = &[
    value(Key::EnvoyPort, "envoy-port", "PORT", "15001",
        "Port of the sidecar to which outbound connections are redirected").short('p'),
    value(Key::InboundCapturePort, "inbound-capture-port", "PORT", "15006",
        "Port of the sidecar to which inbound connections are redirected").short('z'),
    value(Key::InboundTunnelPort, "inbound-tunnel-port", "PORT", "15008",
        "Port for tunnelled (HBONE) connections, never captured").short('e'),
    value(Key::ProxyUid, "proxy-uid", "UIDS", "",
        "Users whose traffic is the sidecar's own; by default the user named by ENVOY_USER, else 1337").short('u'),
    value(Key::ProxyGid, "proxy-gid", "GIDS", "",
        "Groups whose traffic is the sidecar's own; by default the same numbers as --proxy-uid").short('g'),
    value(Key::InboundInterceptionMode, "istio-inbound-interception-mode", "MODE", "",
        "REDIRECT or TPROXY; empty means REDIRECT").short('m'),
    value(Key::InboundPorts, "istio-inbound-ports", "PORTS", "",
        "Ports captured inbound: `*`, a list, or empty for none").short('b'),
    value(Key::LocalExcludePorts, "istio-local-exclude-ports", "PORTS", "",
        "Ports not captured inbound; counts only with --istio-inbound-ports `*`").short('d'),
    value(Key::ServiceCidr, "istio-service-cidr", "CIDRS", "",
        "Destinations captured outbound: `*`, a list, or empty for none").short('i'),
    value(Key::ServiceExcludeCidr, "istio-service-exclude-cidr", "CIDRS", "",
        "Destinations not captured outbound").short('x'),
    value(Key::OutboundPorts, "istio-outbound-ports", "PORTS", "",
        "Ports captured outbound whatever the destination").short('q'),
    value(Key::LocalOutboundPortsExclude, "istio-local-outbound-ports-exclude", "PORTS", "",
        "Ports never captured outbound").short('o'),
    value(Key::ExcludeInterfaces, "istio-exclude-interfaces", "NAMES", "",
        "Network interfaces whose traffic is not captured, either way").short('c'),
    value(Key::KubeVirtInterfaces, "kube-virt-interfaces", "NAMES", "",
        "Interfaces of virtual machines: what arrives from them counts as outbound").short('k'),
    value(Key::InboundTproxyMark, "istio-inbound-tproxy-mark", "MARK", "1337",
        "Packet mark of captured inbound connections in TPROXY mode").short('t'),
    value(Key::InboundTproxyRouteTable, "istio-inbound-tproxy-route-table", "TABLE", "133",
        "Routing table that delivers marked packets to this host in TPROXY mode").short('r'),
    switch(Key::RedirectDns, "redirect-dns",
        "Capture DNS queries to the name servers of /etc/resolv.conf").also("ISTIO_META_DNS_CAPTURE"),
    switch(Key::CaptureAllDns, "capture-all-dns",
        "With --redirect-dns: capture queries to any name server"),
    switch(Key::DropInvalid, "drop-invalid",
        "Drop packets that connection tracking calls INVALID").also("INVALID_DROP"),
    switch(Key::DualStack, "dual-stack",
        "Capture IPv6 when any address of the pod is IPv6, not only its first").also("ISTIO_DUAL_STACK"),
    switch(Key::DryRun, "dry-run",
        "Print what would be done, do nothing, need no privileges").short('n'),
    switch(Key::CleanupOnly, "cleanup-only",
        "Remove the mesh's rules and stop"),
    switch(Key::Reconcile, "reconcile",
        "Drop all other TCP and UDP traffic while rules that differ are being replaced"),
    switch(Key::ForceApply, "force-apply",
        "Write the rules even if they are already in place"),
    switch(Key::SkipRuleApply, "skip-rule-apply",
        "Leave the rules alone, for use with --run-validation"),
    switch(Key::RunValidation, "run-validation",
        "Prove the redirection with a connection; exit code 126 if it fails"),
    value(Key::ProbePort, "iptables-probe-port", "PORT", "15002",
        "Port that the validation connects to"),
    value(Key::ProbeTimeout, "probe-timeout", "DURATION", "5s",
        "How long the validation tries"),
    value(Key::ForceBinary, "force-iptables-binary", "legacy|nft", "",
        "Use this iptables variant instead of detecting it"),
    switch(Key::NativeNftables, "native-nftables",
        "Not supported: only `false` is accepted"),
    value(Key::NetworkNamespace, "network-namespace", "PATH", "",
        "Work in this network namespace instead of the current one"),
    switch(Key::CniMode, "cni-mode",
        "Accepted because Istio's CNI plugin sends it; nothing here depends on it"),
    value(Key::LogOutputLevel, "log_output_level", "SCOPE:LEVEL", "default:info",
        "How much to report on stderr: none, error, warn, info, debug"),
    variable(Key::LoopbackCidr, "istio-outbound-ipv4-loopback-cidr", "127.0.0.1/32",
        "IPv4 destinations that count as the pod talking to itself"),
    variable(Key::OwnerGroups, "istio-outbound-owner-groups", "*",
        "Groups whose outbound traffic is captured: `*` or a list of names and ids"),
    variable(Key::OwnerGroupsExclude, "istio-outbound-owner-groups-exclude", "",
        "Groups whose outbound traffic is not captured"),
    variable(Key::EnvoyUser, "envoy-user", "istio-proxy",
        "User that the sidecar runs as, for the default of --proxy-uid"),
];
