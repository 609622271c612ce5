//! `mesh-proxy --config FILE`: Envoy's own command line, for a proxy that no control plane of a mesh configures.

use super::{Invalid, Settings, Typed};
use mesh_xds::{
    bootstrap::{Bootstrap, ReadBootstrapError},
    resource::Decoded,
};
use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::Duration,
};

/// Most of a bootstrap's bytes.
const MOST: u64 = 16 << 20;

/// A proxy of its own, configured by a file.
#[derive(Clone, Debug, clap::Args)]
pub struct Standalone {
    /// Run as a proxy of its own, with the static listeners, clusters and secrets of this bootstrap of Envoy (JSON or
    /// YAML).
    #[arg(short, long, visible_alias = "config-path", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Worker threads; 0: one for each core.
    #[arg(long, requires = "config")]
    pub concurrency: Option<usize>,
    /// Level of the log: trace, debug, info, warning, error, critical, off.
    #[arg(short, long, default_value = "info", requires = "config")]
    pub log_level: String,
    /// Seconds that connections have to finish after SIGTERM.
    #[arg(long, default_value_t = 0, requires = "config")]
    pub drain_time_s: u64,
}

/// Why a proxy can't be started with a bootstrap.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The file can't be read.
    #[error("{}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// It is longer than any bootstrap.
    #[error("{}: more than {MOST} bytes", .0.display())]
    Length(PathBuf),
    /// It is neither JSON nor YAML.
    #[error("{}", .0.display())]
    Syntax(PathBuf, #[source] Box<serde_saphyr::Error>),
    /// It says what is not executed.
    #[error("{}", .0.display())]
    Content(PathBuf, #[source] ReadBootstrapError),
    /// A setting of the process is wrong.
    #[error(transparent)]
    Setting(#[from] Invalid),
}

impl Standalone {
    /// What the file says, and the settings that follow from it and the command line.
    ///
    /// # Errors
    /// If the file can't be read, or says what is not executed.
    pub fn read(&self, file: &Path) -> Result<(Settings, Bootstrap), Unusable> {
        let text = read(file)?;
        // JSON is YAML.
        let json = serde_saphyr::from_str(&text)
            .map_err(|error| Unusable::Syntax(file.into(), Box::new(error)))?;
        let Decoded { value, ignored } =
            Bootstrap::read(&json).map_err(|error| Unusable::Content(file.into(), error))?;
        let mut settings = Settings::new(self.typed(&value), std::iter::empty())?;
        settings.ignored = ignored.iter().map(ToString::to_string).collect();
        if !value.node_cluster.is_empty() {
            settings.node.cluster.clone_from(&value.node_cluster);
        }
        if let Some(admin) = value.admin {
            settings.addresses.admin = admin;
        }
        settings.termination_drain_duration = Duration::ZERO;
        settings.drain_duration = Duration::from_secs(self.drain_time_s);
        Ok((settings, value))
    }

    /// What a sidecar would have been told of the same.
    fn typed(&self, bootstrap: &Bootstrap) -> Typed {
        let name = match bootstrap.node_id.as_str() {
            "" => "mesh-proxy",
            id => id,
        };
        Typed {
            domain: String::new(),
            proxy_log_level: self.log_level.clone(),
            proxy_component_log_level: String::new(),
            log_output_level: "default:info".to_owned(),
            // Envoy's default, too.
            concurrency: Some(self.concurrency.unwrap_or_default()),
            pod_name: name.to_owned(),
            pod_namespace: String::new(),
            instance_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            service_account: String::new(),
            cpu_limit: None,
            trust_domain: String::new(),
            ca_addr: None,
            proxy_config: "{}".to_owned(),
            exit_on_zero_active_connections: false,
            minimum_drain_duration: Duration::ZERO,
            token_path: PathBuf::new(),
            ca_root_path: PathBuf::new(),
            sds_socket: PathBuf::new(),
            pod_info_dir: PathBuf::new(),
            dns_proxy_addr: "localhost:15053".to_owned(),
        }
    }
}

fn read(file: &Path) -> Result<String, Unusable> {
    let failed = |error| Unusable::File(file.into(), error);
    if fs::metadata(file).map_err(failed)?.len() > MOST {
        return Err(Unusable::Length(file.into()));
    }
    fs::read_to_string(file).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Command, reason::one_line};
    use clap::Parser;
    use std::io::Write;

    fn read(text: &str, more: &[&str]) -> Result<(Settings, Bootstrap), Unusable> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        let path = file.path().to_str().expect("text");
        let words = ["mesh-proxy", "--config", path];
        let command = Command::try_parse_from(words.iter().chain(more)).expect("parsed");
        assert!(command.verb.is_none());
        command.standalone.read(file.path())
    }

    #[test]
    fn yaml_and_json_mean_the_same() {
        let yaml = "node: {id: a, cluster: b}\nadmin:\n  address:\n    socket_address: {address: 127.0.0.1, port_value: 99}\n";
        let json = r#"{"node": {"id": "a", "cluster": "b"}, "admin": {"address": {"socketAddress": {"address": "127.0.0.1", "portValue": 99}}}}"#;
        let ours = ["--concurrency", "2", "--drain-time-s", "3"];
        let (settings, first) = read(yaml, &ours).expect("read");
        let (_, second) = read(json, &ours).expect("read");
        assert_eq!(first, second);
        assert_eq!(settings.concurrency.get(), 2);
        assert_eq!(settings.drain_duration, Duration::from_secs(3));
        assert_eq!(settings.addresses.admin.to_string(), "127.0.0.1:99");
        assert_eq!(settings.node.cluster, "b");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, what) in [
            ("a: [", "line"),
            (
                "static_resources: {clusters: [{name: a, type: NONE}]}",
                "static_resources.clusters[0].type",
            ),
            ("dynamic_resources: {ads_config: {}}", "dynamic_resources"),
        ] {
            let error = read(text, &[]).expect_err(text);
            let error = one_line(&error);
            assert!(error.contains(what), "{error}");
        }
        let missing = Path::new("/nonexistent/bootstrap.yaml");
        assert!(matches!(super::read(missing), Err(Unusable::File(..))));
    }

    #[test]
    fn a_verb_or_a_file_but_not_both() {
        let parse = |words: &[&str]| Command::try_parse_from(words);
        assert!(parse(&["mesh-proxy"]).is_err());
        assert!(parse(&["mesh-proxy", "--concurrency", "1"]).is_err());
        assert!(parse(&["mesh-proxy", "-c", "a", "wait"]).is_err());
        assert!(parse(&["mesh-proxy", "wait"]).is_ok());
    }
}
