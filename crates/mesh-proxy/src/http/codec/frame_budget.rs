//! Limits what an HTTP/2 client may send that costs us and not it: floods of control frames, of empty frames, of resets.
//!
//! Stands on the byte stream in front of the HTTP/2 library, reads frame headers only, and cuts the connection when a
//! budget is used up. Every budget leaves room for the largest honest use: what answers to data that we send (window
//! updates) is earned by sending it.

use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// Control frames (PING, SETTINGS, PRIORITY, WINDOW_UPDATE) that may come at once.
const CONTROL_BURST: f64 = 1000.0;
/// Control frames for each second.
const CONTROL_RATE: f64 = 200.0;
/// Control frames for each DATA frame, in either direction.
const CONTROL_PER_DATA: f64 = 10.0;
/// Empty DATA frames that may come on all streams together, and for each stream that is opened.
const EMPTY_DATA: u32 = 100;
/// Premature resets that may come in a period whatever else comes; beyond, half of the streams may end so.
const RESETS: u32 = 100;
const RESET_PERIOD: Duration = Duration::from_secs(10);
/// A stream that is reset sooner is reset prematurely.
const PREMATURE: Duration = Duration::from_secs(1);
/// Young streams that are remembered; more than that are not open at once.
const MOST_YOUNG: usize = 1024;

mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const PRIORITY: u8 = 2;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const WINDOW_UPDATE: u8 = 8;
}
const END_STREAM: u8 = 1;

/// A client has used up a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Excess {
    /// PING, SETTINGS, PRIORITY or WINDOW_UPDATE frames.
    #[error("too many control frames")]
    Control,
    /// DATA frames with nothing in them.
    #[error("too many empty frames")]
    Empty,
    /// RST_STREAM frames.
    #[error("too many resets")]
    Resets,
}

/// The budgets of one connection.
#[derive(Debug)]
pub(super) struct FrameBudget {
    received: Scanner,
    sent: Scanner,
    control: f64,
    control_at: Option<Instant>,
    empty_data: u32,
    period: Option<Instant>,
    // Streams by number, which rises, with the time of their beginning.
    young: VecDeque<(u32, Instant)>,
    opened: u32,
    resets: u32,
    last_stream: u32,
}

impl Default for FrameBudget {
    fn default() -> Self {
        Self {
            received: Scanner {
                skip: super::preface::PREFACE.len(),
                ..Scanner::default()
            },
            sent: Scanner::default(),
            control: CONTROL_BURST,
            control_at: None,
            empty_data: EMPTY_DATA,
            period: None,
            young: VecDeque::new(),
            opened: 0,
            resets: 0,
            last_stream: 0,
        }
    }
}

impl FrameBudget {
    /// Counts what the client has sent.
    ///
    /// # Errors
    /// If a budget is used up.
    pub(super) fn received(&mut self, mut bytes: &[u8]) -> Result<(), Excess> {
        while let Some(frame) = self.received.next(&mut bytes) {
            self.count(frame)?;
        }
        Ok(())
    }

    /// Counts what we have sent.
    pub(super) fn sent(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self.sent.next(&mut bytes) {
            if frame.kind == kind::DATA {
                self.earn();
            }
        }
    }

    /// A GOAWAY frame with ENHANCE_YOUR_CALM; empty in the middle of a frame of ours.
    pub(super) fn goaway(&self) -> Vec<u8> {
        if !self.sent.at_boundary() {
            return vec![];
        }
        let mut frame = vec![0, 0, 8, 7, 0, 0, 0, 0, 0];
        frame.extend(self.last_stream.to_be_bytes());
        frame.extend(0xb_u32.to_be_bytes());
        frame
    }

    fn earn(&mut self) {
        self.control = (self.control + CONTROL_PER_DATA).min(CONTROL_BURST);
    }

    fn count(&mut self, frame: FrameHead) -> Result<(), Excess> {
        match frame.kind {
            kind::PING | kind::SETTINGS | kind::PRIORITY | kind::WINDOW_UPDATE => self.control(),
            kind::DATA if frame.length == 0 && frame.flags & END_STREAM == 0 => self.empty(),
            kind::DATA => {
                self.earn();
                Ok(())
            }
            kind::HEADERS => {
                if frame.stream > self.last_stream {
                    self.open(frame.stream);
                }
                Ok(())
            }
            kind::RST_STREAM => self.reset(frame.stream),
            _ => Ok(()),
        }
    }

    fn control(&mut self) -> Result<(), Excess> {
        if self.control < 1.0 {
            let now = Instant::now();
            let before = self.control_at.replace(now);
            let earned = before.map_or(0.0, |b| now.duration_since(b).as_secs_f64() * CONTROL_RATE);
            self.control = (self.control + earned).min(CONTROL_BURST);
            if self.control < 1.0 {
                return Err(Excess::Control);
            }
        }
        self.control_at.get_or_insert_with(Instant::now);
        self.control -= 1.0;
        Ok(())
    }

    fn empty(&mut self) -> Result<(), Excess> {
        self.empty_data = self.empty_data.checked_sub(1).ok_or(Excess::Empty)?;
        Ok(())
    }

    fn open(&mut self, stream: u32) {
        let now = Instant::now();
        if self.period.is_none_or(|since| now - since >= RESET_PERIOD) {
            self.period = Some(now);
            (self.opened, self.resets) = (0, 0);
        }
        self.last_stream = stream;
        self.opened += 1;
        self.empty_data = EMPTY_DATA;
        let grown = |(_, began): &(u32, Instant)| now - *began >= PREMATURE;
        while self.young.len() >= MOST_YOUNG || self.young.front().is_some_and(grown) {
            self.young.pop_front();
        }
        self.young.push_back((stream, now));
    }

    // Honest clients cancel too, and a few cancel much; but not most of what they ask for, and not at once.
    fn reset(&mut self, stream: u32) -> Result<(), Excess> {
        let found = self.young.binary_search_by_key(&stream, |(s, _)| *s);
        if !found.is_ok_and(|at| self.young[at].1.elapsed() < PREMATURE) {
            return Ok(());
        }
        self.resets += 1;
        if self.resets > RESETS && u64::from(self.resets) * 2 > u64::from(self.opened) {
            return Err(Excess::Resets);
        }
        Ok(())
    }
}

/// What a frame begins with (RFC 9113 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FrameHead {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

/// Finds frame heads in a stream of bytes that comes in pieces.
#[derive(Debug, Default)]
struct Scanner {
    // Bytes that belong to no frame head.
    skip: usize,
    head: [u8; 9],
    have: usize,
}

impl Scanner {
    // The next head; what was looked at is taken off `bytes`.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<FrameHead> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        *bytes = &bytes[skipped..];
        let wanted = (self.head.len() - self.have).min(bytes.len());
        let (new, rest) = bytes.split_at(wanted);
        self.head[self.have..self.have + wanted].copy_from_slice(new);
        self.have += wanted;
        *bytes = rest;
        if self.have < self.head.len() {
            return None;
        }
        self.have = 0;
        let [l0, l1, l2, kind, flags, stream @ ..] = self.head;
        let length = usize::from(l0) << 16 | usize::from(l1) << 8 | usize::from(l2);
        self.skip = length;
        Some(FrameHead {
            length,
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        })
    }

    fn at_boundary(&self) -> bool {
        self.skip == 0 && self.have == 0
    }
}

#[cfg(test)]
mod tests;
