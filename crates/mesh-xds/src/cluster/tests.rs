use super::*;
use crate::arbitrary;
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(value in arbitrary::cluster::cluster()) {
        let bytes = value.encode();
        prop_assert_eq!(&bytes, &value.clone().encode());
        let decoded = Cluster::decode(&bytes).expect("our own encoding");
        prop_assert_eq!(decoded, Decoded { value, ignored: vec![] });
    }
}
