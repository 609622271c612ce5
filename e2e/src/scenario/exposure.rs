//! What a pod's proxy shows to whom, and where it leads those who come to it by another way than the rules.
//!
//! ```text
//! visitor  a connection from a place of one's choice, and what came of it
//! loops    a pod that calls itself, in every way
//! relay    strangers who ask a capture port for third parties
//! admin    pages and orders of the proxy's own ports
//! escape   applications that run as the proxy's user
//! ```

mod admin;
mod escape;
mod loops;
mod relay;
mod visitor;

use super::{hostile, loss};
use crate::{
    netns::Programs,
    stage::{SERVER, SERVER_ADDRESS, Stage},
};
use anyhow::{Context, Result};

/// Plays it.
pub(crate) fn play() -> Result<()> {
    let mut stage = Stage::pods(&Programs::beside_us()?, &|text| println!("{text}"))?;
    let ledger = loss::ledger_file(&stage.launcher.shared())?;
    loss::serve(&mut stage.launcher, SERVER, &ledger)?;
    stage.launcher.endpoints(|pod| pod.name() == SERVER)?;
    stage.wait_for_endpoint(SERVER_ADDRESS)?;

    loops::play(&stage, &ledger).context("self-calls")?;
    relay::play(&mut stage).context("open relay")?;
    admin::play(&stage).context("the proxy's own ports")?;
    hostile::serves(&stage).context("afterwards")?;
    escape::play(&mut stage).context("the proxy's user")
}
