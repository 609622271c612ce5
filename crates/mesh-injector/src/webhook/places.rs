//! How many connections there may be: in all, and from one address, so that no pod takes the places of the API server.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

/// Connections at once; the API servers of a cluster need a handful.
const MOST: usize = 1024;
/// Connections at once from one address.
const MOST_OF_ONE: usize = 64;

/// The places for connections. Clones are the same places.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One place; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    address: IpAddr,
}

impl Places {
    /// A place for a connection from `address`; `None` if all are taken, or all that it may have.
    pub fn take(&self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut taken = self.0.lock();
        let of_one = taken.by_address.get(&address).copied().unwrap_or_default();
        if taken.all >= MOST || of_one >= MOST_OF_ONE {
            return None;
        }
        taken.all += 1;
        taken.by_address.insert(address, of_one + 1);
        Some(Place {
            places: self.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock();
        taken.all -= 1;
        let of_one = taken.by_address.get(&self.address).copied();
        match of_one.unwrap_or_default() {
            0 | 1 => taken.by_address.remove(&self.address),
            more => taken.by_address.insert(self.address, more - 1),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_61_one_address_cannot_take_the_places_of_others() {
        let places = Places::default();
        let address = |n: u8| IpAddr::from([10, 0, 0, n]);
        let mut held: Vec<_> = (0..1000).filter_map(|_| places.take(address(1))).collect();
        assert_eq!(held.len(), MOST_OF_ONE);
        let mapped = "::ffff:10.0.0.1".parse().expect("an address");
        assert!(places.take(mapped).is_none(), "it is the same one");
        assert!(places.take(address(2)).is_some());
        held.pop();
        assert!(places.take(address(1)).is_some());
        held.extend(
            (3..200)
                .flat_map(|n| (0..64).map(move |_| n))
                .filter_map(|n| places.take(address(n))),
        );
        assert_eq!(held.len(), MOST);
        held.clear();
        let taken = places.0.lock();
        assert!(taken.all == 0 && taken.by_address.is_empty());
    }
}
