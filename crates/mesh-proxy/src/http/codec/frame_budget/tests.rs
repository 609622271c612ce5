//! Both halves of every budget: the flood is cut, the largest honest use passes.

use super::*;
use crate::http::codec::preface::PREFACE;
use proptest::prelude::*;
use std::time::Duration;

fn frame(kind: u8, flags: u8, stream: u32, payload: usize) -> Vec<u8> {
    let length = (payload as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.resize(9 + payload, 0);
    frame
}

fn connected() -> FrameBudget {
    let mut budget = FrameBudget::default();
    assert_eq!(budget.received(PREFACE), Ok(()));
    budget
}

/// Frames until the budget is used up; `None`: all passed.
fn cut(budget: &mut FrameBudget, frame: &[u8], most: usize) -> Option<usize> {
    (0..most).find(|_| budget.received(frame).is_err())
}

#[tokio::test(start_paused = true)]
async fn control_floods_are_cut_at_the_burst() {
    for kind in [
        kind::PING,
        kind::SETTINGS,
        kind::PRIORITY,
        kind::WINDOW_UPDATE,
    ] {
        let flood = frame(kind, 0, 0, 4);
        assert_eq!(cut(&mut connected(), &flood, 10_000), Some(1000), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn control_frames_at_an_honest_rate_pass() {
    let mut budget = connected();
    for _ in 0..100 {
        let second = cut(&mut budget, &frame(kind::PING, 0, 0, 8), 200);
        assert_eq!(second, None);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

/// A client that reads a large response sends a window update or two for each DATA frame.
#[tokio::test(start_paused = true)]
async fn window_updates_are_earned_by_data() {
    let mut budget = connected();
    for _ in 0..10_000 {
        budget.sent(&frame(kind::DATA, 0, 1, 16_384));
        let updates = cut(&mut budget, &frame(kind::WINDOW_UPDATE, 0, 1, 4), 10);
        assert_eq!(updates, None);
    }
}

#[tokio::test(start_paused = true)]
async fn empty_data_is_cut_and_ends_of_streams_are_not() {
    let empty = frame(kind::DATA, 0, 1, 0);
    assert_eq!(cut(&mut connected(), &empty, 1000), Some(100));
    let mut budget = connected();
    for stream in 0..1000 {
        let stream = stream * 2 + 1;
        let head = frame(kind::HEADERS, 4, stream, 10);
        assert_eq!(budget.received(&head), Ok(()));
        let end = frame(kind::DATA, END_STREAM, stream, 0);
        assert_eq!(budget.received(&end), Ok(()));
        assert_eq!(cut(&mut budget, &empty, 90), None);
    }
}

#[tokio::test(start_paused = true)]
async fn rapid_resets_are_cut_and_some_cancelling_is_not() {
    let open = |n: u32| {
        [
            frame(kind::HEADERS, 5, n * 2 + 1, 10),
            frame(kind::RST_STREAM, 0, n * 2 + 1, 4),
        ]
        .concat()
    };
    let mut budget = connected();
    let cut = (0..1000).find(|n| budget.received(&open(*n)).is_err());
    assert_eq!(cut, Some(100));

    // Of hedged requests one of two is cancelled.
    let mut budget = connected();
    for n in 0..5000 {
        let result = budget.received(&frame(kind::HEADERS, 5, n * 4 + 1, 10));
        assert_eq!(result, Ok(()));
        assert_eq!(budget.received(&open(n * 2 + 1)), Ok(()), "{n}");
    }

    // A slow server's streams all are, when their time is up.
    let mut budget = connected();
    for n in 0..500 {
        let result = budget.received(&frame(kind::HEADERS, 5, n * 2 + 1, 10));
        assert_eq!(result, Ok(()));
    }
    tokio::time::advance(PREMATURE).await;
    for n in 0..500 {
        let reset = frame(kind::RST_STREAM, 0, n * 2 + 1, 4);
        assert_eq!(budget.received(&reset), Ok(()), "{n}");
    }

    // Now and then all are.
    let mut budget = connected();
    for n in 0..5000 {
        assert_eq!(budget.received(&open(n)), Ok(()), "{n}");
        tokio::time::advance(Duration::from_millis(110)).await;
    }
}

#[test]
fn goaway_names_the_last_stream_and_never_splits_a_frame() {
    let mut budget = connected();
    assert_eq!(budget.received(&frame(kind::HEADERS, 5, 7, 10)), Ok(()));
    let goaway = budget.goaway();
    assert_eq!(goaway[3], 7);
    assert_eq!(goaway[9..], [0, 0, 0, 7, 0, 0, 0, 0xb]);
    budget.sent(&frame(kind::DATA, 0, 1, 100)[..50]);
    assert!(budget.goaway().is_empty());
}

proptest! {
    /// Frames are found whatever the pieces in which they come.
    #[test]
    fn pieces_do_not_matter(
        payloads in prop::collection::vec(0usize..40, 1..20),
        sizes in prop::collection::vec(1usize..30, 1..20),
    ) {
        let bytes: Vec<u8> = payloads.iter().flat_map(|n| frame(kind::DATA, 0, 1, *n)).collect();
        let mut scanner = Scanner::default();
        let mut found = vec![];
        let (mut rest, mut sizes) = (&bytes[..], sizes.iter().cycle());
        while !rest.is_empty() {
            let (mut piece, after) = rest.split_at(rest.len().min(*sizes.next().expect("endless")));
            while let Some(head) = scanner.next(&mut piece) {
                found.push(head.length);
            }
            rest = after;
        }
        prop_assert_eq!(found, payloads);
        prop_assert!(scanner.at_boundary());
    }
}
