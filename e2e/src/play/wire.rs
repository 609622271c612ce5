//! What is on the wire: every frame that a node sees, of which none may hold what was meant for two pods alone.

#![expect(
    unsafe_code,
    reason = "statistics of a packet socket, which no crate reads"
)]

use anyhow::{Context, Result, ensure};
use nix::libc;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io::{ErrorKind, Read},
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

/// Addresses of a frame that stays on the node: there, kubelet and containerd tell each other what kubectl asks for.
const LOOPBACK: [u8; 12] = [0; 12];

/// All frames of the network namespace that we are in.
pub(super) struct Capture(Socket);

impl Capture {
    /// From now on.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`.
    pub(super) fn start() -> Result<Self> {
        // The kernel wants the number of the protocol in network order.
        let all = Protocol::from(i32::from((libc::ETH_P_ALL as u16).to_be()));
        let socket =
            Socket::new(Domain::PACKET, Type::RAW, Some(all)).context("a packet socket")?;
        socket.set_recv_buffer_size(16 * 1024 * 1024)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        Ok(Self(socket))
    }

    /// Ends after a moment of quiet for stragglers; says how many frames there were, and how many held `marker`.
    ///
    /// # Errors
    /// If a frame was not seen: the kernel dropped it, or there is no end of them.
    pub(super) fn end(mut self, marker: &str) -> Result<Seen> {
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut frame = vec![0; 64 * 1024];
        let mut seen = Seen::default();
        while Instant::now() < deadline {
            match self.0.read(&mut frame) {
                Ok(length) if frame[..length].starts_with(&LOOPBACK) => {}
                Ok(length) => {
                    seen.frames += 1;
                    let marker = marker.as_bytes();
                    let holds = frame[..length].windows(marker.len()).any(|w| w == marker);
                    seen.holding += u64::from(holds);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let dropped = self.dropped()?;
                    ensure!(dropped == 0, "{dropped} frames were not seen");
                    return Ok(seen);
                }
                Err(error) => return Err(error).context("a packet socket"),
            }
        }
        anyhow::bail!("frames do not end: {seen:?}")
    }

    /// Frames that did not fit into the socket's buffer.
    fn dropped(&self) -> Result<u32> {
        let mut statistics = libc::tpacket_stats {
            tp_packets: 0,
            tp_drops: 0,
        };
        let mut length = size_of_val(&statistics) as libc::socklen_t;
        // SAFETY: the descriptor is open, and the kernel writes at most `length` bytes to where they belong.
        let result = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        };
        ensure!(
            result == 0,
            "PACKET_STATISTICS: {}",
            std::io::Error::last_os_error()
        );
        Ok(statistics.tp_drops)
    }
}

/// What a capture saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) frames: u64,
    /// Those with the marker in them.
    pub(super) holding: u64,
}
