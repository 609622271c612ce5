//! The Linux capabilities that iptables needs, and which of them a program that we start will hold.

use std::fmt;

/// A capability, see capabilities(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capability {
    /// Running as another user, which the validation does for its client.
    SetUid,
    /// Changing rules and routes.
    NetAdmin,
    /// The raw socket through which the legacy programs reach the kernel.
    NetRaw,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Capability::SetUid => "CAP_SETUID",
            Capability::NetAdmin => "CAP_NET_ADMIN",
            Capability::NetRaw => "CAP_NET_RAW",
        })
    }
}

impl Capability {
    /// Its bit in the kernel's sets.
    const fn bit(self) -> u32 {
        match self {
            Capability::SetUid => 7,
            Capability::NetAdmin => 12,
            Capability::NetRaw => 13,
        }
    }
}

/// Whether a program that this process starts holds `capability`. Root passes on what it has; anyone else only what is
/// ambient. What cannot be read is taken for held, so that nobody is told to add what is not missing.
pub(crate) fn held(capability: Capability) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root = nix::unistd::geteuid().is_root();
    set_has(&status, if root { "CapEff" } else { "CapAmb" }, capability)
}

fn set_has(status: &str, set: &str, capability: Capability) -> bool {
    let bits = status.lines().find_map(|line| {
        let hex = line.strip_prefix(set)?.strip_prefix(':')?;
        u64::from_str_radix(hex.trim(), 16).ok()
    });
    bits.is_none_or(|bits| bits & (1 << capability.bit()) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tx\nCapPrm:\t0000000000003000\nCapEff:\t0000000000001000\nCapAmb:\t0000000000000000\n";

    #[test]
    fn sets_are_read_bit_by_bit() {
        assert!(set_has(STATUS, "CapEff", Capability::NetAdmin));
        assert!(!set_has(STATUS, "CapEff", Capability::NetRaw));
        assert!(set_has(STATUS, "CapPrm", Capability::NetRaw));
        assert!(!set_has(STATUS, "CapAmb", Capability::NetAdmin));
        assert!(set_has("", "CapEff", Capability::NetAdmin));
    }
}
