//! The descriptors behind proto-JSON must go when nobody needs them: a proxy prints its configuration once a month.
//!
//! A program of its own, as it counts every byte that is allocated in the process.

#![expect(unsafe_code, reason = "an allocator is unsafe by its trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use mesh_xds::json::{Pool, Style};
use serde_json::json;

static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting has no influence on it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE_BYTES.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn descriptors_are_freed_with_their_last_holder() {
    const LITTLE: usize = 64 * 1024;
    let before = LIVE_BYTES.load(Relaxed);

    let pool = Pool::load();
    let other = pool.clone();
    let document =
        json!({ "name": "c", "metadata": { "filter_metadata": { "istio": { "a": [1] } } } });
    let bytes = pool
        .read("envoy.config.cluster.v3.Cluster", &document)
        .unwrap();
    let printed = pool
        .print("envoy.config.cluster.v3.Cluster", &bytes, Style::Envoy)
        .unwrap();
    assert_eq!(printed, document);
    drop(pool);
    let held = LIVE_BYTES.load(Relaxed) - before;
    assert!(
        (1 << 20..16 << 20).contains(&held),
        "{held} bytes while one holder is left"
    );

    drop((other, document, printed, bytes));
    let left = LIVE_BYTES.load(Relaxed).saturating_sub(before);
    assert!(
        left < LITTLE,
        "{left} bytes stay after the last holder went"
    );
}
