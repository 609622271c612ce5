//! Settings of istiod that mean nothing here. They are taken, so that a manifest written for istiod starts, and the log
//! says of each that it does nothing, and why.

/// What was typed of them.
#[derive(Debug, Default, clap::Args)]
pub struct Unused {
    /// Files that name the networks of a mesh.
    #[arg(long = "networksConfig", value_name = "FILE", hide = true)]
    networks_config: Option<String>,
    /// Requests a second to the API server.
    #[arg(long = "kubernetesApiQPS", value_name = "NUMBER", hide = true)]
    kubernetes_api_qps: Option<f32>,
    /// Requests at once to the API server.
    #[arg(long = "kubernetesApiBurst", value_name = "NUMBER", hide = true)]
    kubernetes_api_burst: Option<u32>,
    /// Port of ControlZ.
    #[arg(long = "ctrlz_port", value_name = "PORT", hide = true)]
    ctrlz_port: Option<u16>,
    /// Address of ControlZ.
    #[arg(long = "ctrlz_address", value_name = "ADDRESS", hide = true)]
    ctrlz_address: Option<String>,
    /// Address of the webhooks.
    #[arg(long = "httpsAddr", value_name = "ADDR", hide = true)]
    https_addr: Option<String>,
}

impl Unused {
    /// What has no effect, each with the reason.
    pub(super) fn explain(&self) -> Vec<String> {
        let requests = "watches need few requests, and after a failure they wait by themselves";
        let control = "there is no ControlZ: the debug pages of --httpAddr show the same";
        let all = [
            (
                "--networksConfig",
                self.networks_config.is_some(),
                "all pods are on one network",
            ),
            (
                "--kubernetesApiQPS",
                self.kubernetes_api_qps.is_some(),
                requests,
            ),
            (
                "--kubernetesApiBurst",
                self.kubernetes_api_burst.is_some(),
                requests,
            ),
            ("--ctrlz_port", self.ctrlz_port.is_some(), control),
            ("--ctrlz_address", self.ctrlz_address.is_some(), control),
            (
                "--httpsAddr",
                self.https_addr.is_some(),
                "webhooks are served by mesh-injector",
            ),
        ];
        let typed = all.into_iter().filter(|(_, typed, _)| *typed);
        typed
            .map(|(flag, _, why)| format!("{flag} has no effect: {why}"))
            .collect()
    }
}
