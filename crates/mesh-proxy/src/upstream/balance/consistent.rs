//! Balancing by hashes: what has the same hash goes to the same endpoint, and little moves when endpoints come and go.
//!
//! Tables are filled as Envoy fills them, number for number, so that an Envoy and we send the same request to the same
//! endpoint. They hold what is healthy in each priority (or everything, in panic), and are made once for each layout.

use super::super::{endpoint::Endpoint, hash};
use mesh_model::cluster::RingHash;

/// An endpoint by its index, with its share of the whole; shares add up to 1.
pub(in crate::upstream) type Share = (u32, f64);

/// A table from hashes to indices of endpoints.
#[derive(Debug)]
pub(in crate::upstream) enum Table {
    /// Hashes in order, each with its endpoint.
    Ring(Box<[(u64, u32)]>),
    /// Endpoints, by the rest of a division.
    Maglev(Box<[u32]>),
}

impl Table {
    /// A ring of the endpoints in `shares`.
    pub(in crate::upstream) fn ring(shares: &[Share], all: &[Endpoint], ring: &RingHash) -> Self {
        let least = least(shares);
        let scale = (least * f64::from(ring.minimum_size)).ceil() / least;
        let scale = scale.min(f64::from(ring.maximum_size));
        let mut entries = Vec::with_capacity(scale.ceil() as usize);
        // Sums, because an endpoint's number of entries need not be whole.
        let (mut current, mut wanted) = (0.0, 0.0);
        let mut key = String::new();
        for (index, share) in shares {
            wanted += scale * share;
            let address = all[*index as usize].host.address;
            let mut number = 0u32;
            while current < wanted {
                key.clear();
                let _ = std::fmt::Write::write_fmt(&mut key, format_args!("{address}_{number}"));
                entries.push((hash::by(ring.function, key.as_bytes()), *index));
                number += 1;
                current += 1.0;
            }
        }
        entries.sort_by_key(|(hash, _)| *hash);
        Self::Ring(entries.into())
    }

    /// A Maglev table of `size` entries, a prime.
    pub(in crate::upstream) fn maglev(shares: &[Share], all: &[Endpoint], size: u32) -> Self {
        const FREE: u32 = u32::MAX;
        let largest = shares.iter().map(|(_, share)| *share).fold(0.0, f64::max);
        let mut candidates: Vec<Candidate> = shares
            .iter()
            .map(|(index, share)| Candidate::new(*index, *share, all, size))
            .collect();
        // The order of endpoints must not matter.
        candidates.sort_by(|a, b| a.key.cmp(&b.key));
        let mut table = vec![
            FREE;
            if candidates.is_empty() {
                0
            } else {
                size as usize
            }
        ];
        let mut free = table.len();
        let mut round = 0.0;
        while free > 0 {
            round += 1.0;
            for candidate in &mut candidates {
                if free == 0 {
                    break;
                }
                // One that weighs a third of the largest has its turn in every third round.
                if round * candidate.share < candidate.due {
                    continue;
                }
                candidate.due += largest;
                loop {
                    let place = candidate.next_place(size);
                    if table[place] == FREE {
                        table[place] = candidate.index;
                        break;
                    }
                }
                free -= 1;
            }
        }
        Self::Maglev(table.into())
    }

    /// The endpoint of `hash`; a higher `attempt` gives another one, if there is one.
    pub(in crate::upstream) fn get(&self, hash: u64, attempt: u32) -> Option<u32> {
        match self {
            Self::Ring(ring) => {
                let next = ring.partition_point(|entry| entry.0 < hash);
                let at = (next % ring.len().max(1)) + attempt as usize;
                ring.get(at % ring.len().max(1)).map(|entry| entry.1)
            }
            Self::Maglev(table) => {
                let hash = match u64::from(attempt) {
                    0 => hash,
                    attempt => hash ^ (u64::MAX - attempt + 1),
                };
                let at = hash.checked_rem(table.len() as u64)?;
                table.get(at as usize).copied()
            }
        }
    }
}

fn least(shares: &[Share]) -> f64 {
    shares.iter().map(|(_, share)| *share).fold(1.0, f64::min)
}

/// An endpoint that fills its part of a Maglev table.
struct Candidate {
    index: u32,
    key: String,
    share: f64,
    due: f64,
    offset: u64,
    skip: u64,
    next: u64,
}

impl Candidate {
    fn new(index: u32, share: f64, all: &[Endpoint], size: u32) -> Self {
        let key = all[index as usize].host.address.to_string();
        let size = u64::from(size);
        Self {
            index,
            share,
            due: 0.0,
            offset: hash::xx(key.as_bytes(), 0) % size,
            skip: hash::xx(key.as_bytes(), 1) % (size - 1).max(1) + 1,
            next: 0,
            key,
        }
    }

    fn next_place(&mut self, size: u32) -> usize {
        let place = self.offset.wrapping_add(self.skip.wrapping_mul(self.next)) % u64::from(size);
        self.next += 1;
        place as usize
    }
}

/// Shares of `chosen` by their weights, all localities alike.
pub(in crate::upstream) fn shares(chosen: &[(u32, &Endpoint)], whole: f64) -> Vec<Share> {
    let sum: u64 = chosen.iter().map(|(_, e)| u64::from(e.weight)).sum();
    let share = |e: &Endpoint| f64::from(e.weight) * whole / sum.max(1) as f64;
    chosen.iter().map(|(index, e)| (*index, share(e))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Host, cluster::tests::transport};
    use mesh_model::cluster::HashFunction;
    use std::collections::HashMap;

    fn endpoints(weights: &[u32]) -> Vec<Endpoint> {
        let transport = transport();
        let ports = 19_001u16..;
        let each = weights.iter().zip(ports).map(|(weight, port)| Endpoint {
            weight: *weight,
            ..Endpoint::unknown(
                Host::new(([127, 0, 0, 1], port).into()),
                std::sync::Arc::clone(&transport),
            )
        });
        each.collect()
    }

    fn of(all: &[Endpoint]) -> Vec<Share> {
        shares(&(0..).zip(all).collect::<Vec<_>>(), 1.0)
    }

    fn ring(minimum: u32, function: HashFunction) -> RingHash {
        RingHash {
            minimum_size: minimum,
            function,
            ..RingHash::default()
        }
    }

    /// Which of five endpoints an Envoy 1.40 sent forty requests to, that were hashed by `user-0` to `user-39`.
    #[test]
    fn requests_go_where_an_envoy_sends_them() {
        let (same, weighted) = ([1; 5], [1, 2, 1, 3, 1]);
        let murmur = ring(1024, HashFunction::MurmurHash2);
        let small = RingHash {
            minimum_size: 7,
            maximum_size: 20,
            ..RingHash::default()
        };
        type Make<'a> = &'a dyn Fn(&[Share], &[Endpoint]) -> Table;
        let by_ring = |ring: RingHash| move |s: &[Share], a: &[Endpoint]| Table::ring(s, a, &ring);
        let by_maglev = |size| move |s: &[Share], a: &[Endpoint]| Table::maglev(s, a, size);
        let rings = [RingHash::default(), murmur, small].map(by_ring);
        let maglevs = [65_537, 251].map(by_maglev);
        let rows: [(Make<'_>, [u32; 5], &str); 6] = [
            (&rings[0], same, "4325321135244413233144453325242315252423"),
            (
                &rings[0],
                weighted,
                "4425341134244413234444443325242215232423",
            ),
            (&rings[1], same, "5231515555445321153314245344432422123455"),
            (
                &rings[2],
                weighted,
                "2232433444244344342444434444424244434442",
            ),
            (
                &maglevs[0],
                same,
                "2451414122232344522555543242243152515311",
            ),
            (
                &maglevs[1],
                weighted,
                "3424523122341423442221424244334142343542",
            ),
        ];
        for (row, (make, weights, want)) in rows.into_iter().enumerate() {
            let all = endpoints(&weights);
            let table = make(&of(&all), &all);
            let sent = (0..40).map(|n| {
                let hash = hash::xx(format!("user-{n}").as_bytes(), 0);
                let index = table.get(hash, 0).expect("an endpoint");
                (all[index as usize].host.address.port() % 10).to_string()
            });
            assert_eq!(sent.collect::<String>(), want, "row {row}");
        }
    }

    #[test]
    fn what_has_the_same_hash_goes_to_the_same_endpoint() {
        let all = endpoints(&[1, 1, 1, 1]);
        let rings = [HashFunction::XxHash, HashFunction::MurmurHash2];
        let tables = rings.map(|function| Table::ring(&of(&all), &all, &ring(1024, function)));
        for table in tables
            .iter()
            .chain([&Table::maglev(&of(&all), &all, 65_537)])
        {
            let mut counts = HashMap::<u32, u32>::new();
            for n in 0..4000u32 {
                let hash = hash::xx(&n.to_le_bytes(), 0);
                let index = table.get(hash, 0).expect("an endpoint");
                assert_eq!(table.get(hash, 0), Some(index));
                *counts.entry(index).or_default() += 1;
            }
            assert!(
                counts.values().all(|n| (750..1250).contains(n)),
                "{counts:?}"
            );
        }
    }

    #[test]
    fn weights_count() {
        let all = endpoints(&[1, 2, 5]);
        let share = |table: &Table, index| {
            let indices: Vec<u32> = match table {
                Table::Ring(ring) => ring.iter().map(|entry| entry.1).collect(),
                Table::Maglev(table) => table.to_vec(),
            };
            let of_it = indices.iter().filter(|i| **i == index).count();
            of_it as f64 / indices.len() as f64
        };
        let ring = Table::ring(&of(&all), &all, &ring(1024, HashFunction::XxHash));
        let maglev = Table::maglev(&of(&all), &all, 65_537);
        for table in [ring, maglev] {
            for (index, want) in [(0, 0.125), (1, 0.25), (2, 0.625)] {
                let is = share(&table, index);
                assert!((is - want).abs() < 0.001, "{index}: {is}");
            }
        }
    }

    #[test]
    fn a_largest_size_is_kept_and_few_endpoints_make_no_trouble() {
        let all = endpoints(&[1; 8]);
        let small = RingHash {
            minimum_size: 4,
            maximum_size: 4,
            ..RingHash::default()
        };
        let Table::Ring(entries) = Table::ring(&of(&all), &all, &small) else {
            unreachable!("a ring")
        };
        assert_eq!(entries.len(), 4);
        let none = [
            Table::ring(&[], &[], &RingHash::default()),
            Table::maglev(&[], &[], 2),
        ];
        assert!(none.iter().all(|table| table.get(7, 3).is_none()));
        let one = endpoints(&[1]);
        assert_eq!(Table::maglev(&of(&one), &one, 2).get(u64::MAX, 9), Some(0));
    }

    #[test]
    fn an_endpoint_that_goes_moves_little_else() {
        let all = endpoints(&[1; 5]);
        let before = of(&all);
        let after = shares(&(0..).zip(&all[..4]).collect::<Vec<_>>(), 1.0);
        let pairs = [
            (
                Table::ring(&before, &all, &RingHash::default()),
                Table::ring(&after, &all, &RingHash::default()),
            ),
            (
                Table::maglev(&before, &all, 65_537),
                Table::maglev(&after, &all, 65_537),
            ),
        ];
        // The rest of a division would move three in four.
        for (before, after) in pairs {
            let hashes = (0..2000u32).map(|n| hash::xx(&n.to_le_bytes(), 0));
            let moved = hashes.filter(|hash| {
                let was = before.get(*hash, 0);
                was != Some(4) && was != after.get(*hash, 0)
            });
            let moved = moved.count();
            assert!(moved < 300, "{moved} of 2000");
        }
    }
}
