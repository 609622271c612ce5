//! ENTER: a connection is accepted, its original destination found, its first bytes inspected, its filter chain picked.

pub mod chain_match; //  which filter chain
pub mod inspect; //      TLS or not, HTTP or not
pub mod original_dst; // where it was going before the rules redirected it
