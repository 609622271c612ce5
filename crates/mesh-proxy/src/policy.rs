//! Policies, as filters of requests and of connections execute them.
//!
//! Engines only: they judge the facts that they are given, and know nothing of chains, replies or logs. The filters that
//! ask them stand in [`http`](crate::http) and [`network`](crate::network).

pub(crate) mod jwt; //      tokens that say who asks
pub(crate) mod metadata; // what filters write about a request
pub(crate) mod rbac; //     who may do what

mod stat_name; // names of statistics that the configuration makes

pub(crate) use stat_name::interned;
