use super::*;
use crate::{
    push::Published,
    testing::{proxy, service, slice, world},
    translate::Proxy,
};
use tokio::time::Instant;

const WEB: &str = "outbound|80||web.test.svc.cluster.local";

fn published() -> Published {
    Published::first(world(
        &(service("web")
            + &slice("web", &["10.0.0.1"])
            + &service("db")
            + &slice("db", &["10.0.0.9"])),
    ))
}

fn endpoints(push: &Published, proxy: &Proxy, name: &str) -> SharedResource {
    let mut all = push.resources(proxy, ResourceType::Endpoint, [name].into_iter());
    all.pop().expect("one")
}

fn same_bytes(a: &SharedResource, b: &SharedResource) -> bool {
    a.wire().as_ptr() == b.wire().as_ptr()
}

fn host(name: &str) -> Change {
    Change {
        endpoints: [Arc::from(format!("{name}.test.svc.cluster.local"))].into(),
        ..Change::default()
    }
}

#[test]
fn two_proxies_share_bytes() {
    let push = published();
    let (a, b) = (proxy("a", "10.0.1.1"), proxy("b", "10.0.1.2"));
    for kind in [ResourceType::Cluster, ResourceType::Listener] {
        let of = |proxy| push.resources(proxy, kind, std::iter::empty());
        let (of_a, of_b) = (of(&a), of(&b));
        assert!(!of_a.is_empty() && of_a.len() == of_b.len());
        for (x, y) in of_a.iter().zip(&of_b) {
            assert!(same_bytes(x, y), "{}", x.name());
        }
    }
    assert!(same_bytes(
        &endpoints(&push, &a, WEB),
        &endpoints(&push, &b, WEB)
    ));
}

#[test]
fn only_what_changed_is_encoded_again() {
    let (push, proxy) = (published(), proxy("a", "10.0.1.1"));
    let db = "outbound|80||db.test.svc.cluster.local";
    let before = (endpoints(&push, &proxy, WEB), endpoints(&push, &proxy, db));
    let changed = world(
        &(service("web")
            + &slice("web", &["10.0.0.2"])
            + &service("db")
            + &slice("db", &["10.0.0.9"])),
    );
    let next = push.next(changed, host("web"), Instant::now());
    let after = (endpoints(&next, &proxy, WEB), endpoints(&next, &proxy, db));
    assert_ne!(before.0.version(), after.0.version());
    assert!(same_bytes(&before.1, &after.1));
}

#[test]
fn a_stream_that_lags_behind_gets_its_own_world() {
    let (old, proxy) = (published(), proxy("a", "10.0.1.1"));
    let changed = world(&(service("web") + &slice("web", &["10.0.0.2"])));
    let new = old.next(changed, host("web"), Instant::now());
    let of_new = endpoints(&new, &proxy, WEB);
    let of_old = endpoints(&old, &proxy, WEB);
    assert_ne!(of_new.version(), of_old.version());
    assert!(
        same_bytes(&of_new, &endpoints(&new, &proxy, WEB)),
        "the newer one stays"
    );
}

#[test]
fn what_comes_out_equal_after_a_full_change_keeps_its_bytes() {
    let (push, proxy) = (published(), proxy("a", "10.0.1.1"));
    let before = endpoints(&push, &proxy, WEB);
    let next = push.next(push.world.clone(), Change::everything(), Instant::now());
    assert!(same_bytes(&before, &endpoints(&next, &proxy, WEB)));
}

#[test]
fn unknown_names_are_answered_empty_and_not_remembered() {
    let (push, proxy) = (published(), proxy("a", "10.0.1.1"));
    for n in 0..100 {
        let name = format!("outbound|{n}||nowhere");
        let empty = endpoints(&push, &proxy, &name);
        assert_eq!(empty.name(), name);
        let names = [name.as_str()];
        assert!(
            push.resources(&proxy, ResourceType::Route, names.into_iter())
                .is_empty()
        );
    }
    assert!(push.cache().is_empty());
}

#[test]
fn what_nobody_asks_for_is_forgotten() {
    let (push, proxy) = (published(), proxy("a", "10.0.1.1"));
    endpoints(&push, &proxy, WEB);
    let next = push.next(push.world.clone(), Change::everything(), Instant::now());
    assert_eq!(next.cache().len(), 1);
    let last = next.next(push.world.clone(), Change::everything(), Instant::now());
    assert_eq!(last.cache().len(), 0);
}
