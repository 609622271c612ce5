//! mesh-ctl
