//! mesh-init
