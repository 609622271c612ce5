//! The webhook as it is installed: what its config maps do not say, because its Deployment's arguments and environment and
//! its own URL do. Who decides in its place has to know these, too.
//!
//! They are read by the injector's own table of settings, so that what it would refuse is refused here.

use std::collections::BTreeMap;

use clap::{CommandFactory, FromArgMatches};
use mesh_api::k8s::api::admissionregistration::v1::MutatingWebhookConfiguration;
use mesh_injector::Settings;
use mesh_injector::webhook::config::{Command, Native};
use mesh_injector::webhook::live::{Kubelets, Live};
use mesh_injector::webhook::path;
use serde_json::Value;

/// The container of the injector's pods.
const CONTAINER: &str = "sidecar-injector";
/// What the webhook's URL begins with.
const PATH: &str = "/inject";

/// An argument or a variable that the injector would not start with.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unstartable(String);

/// How the injector of `deployment` is started.
///
/// # Errors
/// What the injector would say instead of starting.
pub(crate) fn started(deployment: &Value) -> Result<Command, Unstartable> {
    let containers = deployment.pointer("/spec/template/spec/containers");
    let containers = containers
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let ours = containers.iter().find(|one| one["name"] == CONTAINER);
    let container = ours.or(containers.first()).unwrap_or(&Value::Null);
    let table = Command::command().args_override_self(true);
    let mut words = vec![CONTAINER.to_owned()];
    words.extend(variables(&table, container));
    let arguments = container["args"].as_array().into_iter().flatten();
    words.extend(arguments.filter_map(Value::as_str).map(str::to_owned));
    // Our own environment says nothing about that container.
    let table = table.mut_args(|argument| argument.env(None));
    let read = table.try_get_matches_from(words);
    read.and_then(|matches| Command::from_arg_matches(&matches))
        .map_err(|error| Unstartable(first_line(&error)))
}

/// The variables of a container that are settings of `table`, as the flags that they stand for. Flags that follow win.
fn variables(table: &clap::Command, container: &Value) -> Vec<String> {
    let value = |name: &str| {
        let list = container["env"].as_array()?;
        let found = list.iter().find(|variable| variable["name"] == name)?;
        found["value"].as_str()
    };
    let flag = |argument: &clap::Arg| {
        let value = value(argument.get_env()?.to_str()?)?;
        Some(format!("--{}={value}", argument.get_long()?))
    };
    table.get_arguments().filter_map(flag).collect()
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

/// What is in force in an injector that was started so, where its config maps say `settings`, and `kubelets` by the name of
/// their node whether they are new.
pub(crate) fn in_force(
    command: &Command,
    settings: Settings,
    kubelets: BTreeMap<String, bool>,
) -> Settings {
    let settings = Settings {
        native_sidecars: command.native_sidecars == Native::True,
        proxy_user: command.proxy_user.unwrap_or(settings.proxy_user),
        revision: command.revision.clone().unwrap_or(settings.revision),
        ..settings
    };
    let where_new = Kubelets {
        native_sidecars: command.native_sidecars == Native::Auto,
        pre_stop_sleep: command.pre_stop_sleep,
    };
    let live = Live::new(settings, where_new);
    live.set_kubelets(kubelets);
    live.settings()
}

/// Where the API server calls the webhook of `configuration`: namespace, Service, path; `None` if by a URL.
pub(crate) fn service(
    configuration: &MutatingWebhookConfiguration,
) -> Option<(&str, &str, Option<&str>)> {
    let entry = configuration.webhooks.as_deref()?.first()?;
    let service = entry.client_config.service.as_ref()?;
    Some((&service.namespace, &service.name, service.path.as_deref()))
}

/// Applies what the webhook's path adds to its settings.
///
/// # Errors
/// What the webhook would answer instead of a decision.
pub(crate) fn follow(path: &str, settings: &mut Settings) -> Result<(), path::Unpaired> {
    path::apply(path.strip_prefix(PATH).unwrap_or_default(), settings)
}

#[cfg(test)]
mod tests {
    use mesh_injector::ProxyUser;
    use serde_json::json;

    use super::*;

    fn kubelets(new: bool) -> BTreeMap<String, bool> {
        BTreeMap::from([("n".to_owned(), new)])
    }

    fn deployment(arguments: &[&str], environment: Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": [
            {"name": "other", "args": ["--nonsense"]},
            {"name": CONTAINER, "args": arguments, "env": environment}]}}}})
    }

    #[test]
    fn variables_count_and_arguments_win() {
        let environment = json!([
            {"name": "ENABLE_NATIVE_SIDECARS", "value": "false"},
            {"name": "PRE_STOP_SLEEP_SECONDS", "value": "9"},
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "OTHERS", "value": "x"},
        ]);
        let command = started(&deployment(&["--proxy-user=refuse"], environment.clone()));
        let command = command.expect("it starts");
        let settings = in_force(&command, Settings::default(), kubelets(true));
        assert!(!settings.native_sidecars);
        assert_eq!(settings.pre_stop_sleep, 9);
        assert_eq!(settings.proxy_user, ProxyUser::Refuse);

        let arguments = ["--native-sidecars", "true", "--pre-stop-sleep=1"];
        let command = started(&deployment(&arguments, environment)).expect("it starts");
        let settings = in_force(&command, Settings::default(), kubelets(false));
        assert!(settings.native_sidecars);
        // Old kubelets do not know the hook.
        assert_eq!(settings.pre_stop_sleep, 0);
        assert_eq!(settings.proxy_user, Settings::default().proxy_user);
    }

    #[test]
    fn what_says_nothing_is_the_default() {
        let command = started(&Value::Null).expect("it starts");
        let new = in_force(&command, Settings::default(), kubelets(true));
        assert!(new.native_sidecars && new.pre_stop_sleep > 0);
        let old = in_force(&command, Settings::default(), BTreeMap::new());
        assert_eq!(old, Settings::default());
    }

    #[test]
    fn what_the_injector_would_refuse_is_refused_in_its_words() {
        let environment = json!([{"name": "ENABLE_NATIVE_SIDECARS", "value": "perhaps"}]);
        for deployment in [
            deployment(&[], environment),
            deployment(&["--native-sidecars=perhaps"], json!([])),
        ] {
            let error = started(&deployment).expect_err("refused").to_string();
            assert!(error.starts_with("invalid value 'perhaps'"), "{error}");
            assert!(error.contains("--native-sidecars"), "{error}");
        }
    }

    #[test]
    fn the_path_is_followed() {
        let mut settings = Settings::default();
        follow("/inject/cluster/c1/net/n1", &mut settings).expect("pairs");
        assert_eq!((&*settings.cluster_id, &*settings.network), ("c1", "n1"));
        assert!(follow("/inject/cluster", &mut settings).is_err());
        follow("/inject", &mut settings).expect("nothing");
        assert_eq!(settings.cluster_id, "c1");
    }
}
