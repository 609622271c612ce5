//! ENTER: a connection is accepted, its original destination found, its first bytes inspected, its filter chain picked.

pub mod socket; //       what accepts, bound once
pub mod accept; //       accepts, while there is room
pub mod dispatch; //     shares connections among the workers
pub mod serve; //        one connection, from accept to its chain's last filter
pub mod original_dst; // where it was going before the rules redirected it
pub mod table; //        which listener it belongs to
pub mod inspect; //      TLS or not, HTTP or not
pub mod chain_match; //  which filter chain
pub mod compiled; //     listeners and chains as they are executed
pub mod listeners; //    all of them: apply, warm, put in force, drain

pub use compiled::{Chain, Invalid, Listener};
pub use listeners::Listeners;
pub use serve::serve;
