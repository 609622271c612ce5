//! The two functions by which Envoy places endpoints, and by which it hashes requests.

use mesh_model::cluster::HashFunction;
use twox_hash::XxHash64;

/// Seed of the GNU C++ library's `std::hash`.
const MURMUR_SEED: u64 = 0xc70f_6907;

/// xxHash of `bytes`, 64 bits.
pub(crate) fn xx(bytes: &[u8], seed: u64) -> u64 {
    XxHash64::oneshot(seed, bytes)
}

/// The hash of `bytes` by which an endpoint is placed.
pub(super) fn by(function: HashFunction, bytes: &[u8]) -> u64 {
    match function {
        HashFunction::XxHash => xx(bytes, 0),
        HashFunction::MurmurHash2 => murmur2(bytes),
    }
}

// MurmurHash64A, in the variant that keeps all bits of the last bytes.
fn murmur2(bytes: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
    let mix = |word: u64| word ^ (word >> 47);
    let mut hash = MURMUR_SEED ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        hash = (hash ^ mix(word).wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let last = rest
            .iter()
            .rev()
            .fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        hash = (hash ^ last).wrapping_mul(MULTIPLIER);
    }
    mix(mix(hash).wrapping_mul(MULTIPLIER))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Envoy's own tests of its functions.
    #[test]
    fn hashes_are_envoys() {
        for (text, want_xx, want_murmur) in [
            ("foo", 3_728_699_739_546_630_719, 9_631_199_822_919_835_226),
            ("bar", 5_234_164_152_756_840_025, 11_474_628_671_133_349_555),
            (
                "foo\nbar",
                8_917_841_378_505_826_757,
                16_306_510_975_912_980_159,
            ),
            (
                "lyft",
                4_400_747_396_090_729_504,
                12_847_078_931_730_529_320,
            ),
            ("", 17_241_709_254_077_376_921, 6_142_509_188_972_423_790),
        ] {
            assert_eq!(xx(text.as_bytes(), 0), want_xx, "{text}");
            assert_eq!(murmur2(text.as_bytes()), want_murmur, "{text}");
        }
    }
}
