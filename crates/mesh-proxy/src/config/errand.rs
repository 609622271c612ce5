//! The verbs that run beside a proxy of the same pod: hooks and people call them. Flags are those of Istio's agent, whose
//! place in pods we take.

use http::{Method, Uri};
use mesh_model::port;
use std::time::Duration;

/// What `wait` was told.
#[derive(Clone, Debug, clap::Args)]
pub struct Wait {
    /// Seconds to wait at most.
    #[arg(long = "timeoutSeconds", default_value_t = 60)]
    timeout_seconds: u64,
    /// Milliseconds that one question may take.
    #[arg(long = "requestTimeoutMillis", default_value_t = 500)]
    request_timeout_millis: u64,
    /// Milliseconds from one question to the next.
    #[arg(long = "periodMillis", default_value_t = 500)]
    period_millis: u64,
    /// What to ask; answered with 200, the proxy is ready.
    #[arg(long, default_value = "http://localhost:15021/healthz/ready", value_parser = url)]
    pub url: Uri,
}

impl Wait {
    /// How long to wait at most.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    /// How long one question may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_millis)
    }

    /// How long from one question to the next.
    pub fn period(&self) -> Duration {
        Duration::from_millis(self.period_millis)
    }
}

/// What `request` was told.
#[derive(Clone, Debug, clap::Args)]
pub struct Request {
    /// Port of the proxy; 15000 is the admin interface, 15020 the agent.
    #[arg(long = "debug-port", default_value_t = port::ADMIN)]
    pub port: u16,
    /// HTTP method, such as GET or POST.
    #[arg(value_parser = method)]
    pub method: Method,
    /// Path with its query, such as `config_dump?include_eds`; the slash before it may be left out.
    #[arg(value_parser = path)]
    pub path: Uri,
    /// What to send with it.
    #[arg(default_value = "")]
    pub body: String,
}

fn url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    if url.scheme_str() != Some("http") || url.host().is_none_or(str::is_empty) {
        return Err("it has to begin with http:// and name a host".into());
    }
    Ok(url)
}

fn method(text: &str) -> Result<Method, String> {
    let method = text.to_ascii_uppercase();
    method
        .parse()
        .map_err(|_| "it is no HTTP method such as GET".into())
}

fn path(text: &str) -> Result<Uri, String> {
    let slash = if text.starts_with('/') { "" } else { "/" };
    let path = format!("{slash}{text}").parse();
    path.map_err(|error: http::uri::InvalidUri| error.to_string())
}

#[cfg(test)]
mod tests {
    use crate::config::{Command, Verb};
    use clap::Parser;
    use std::time::Duration;

    fn typed(line: &str) -> Result<Verb, clap::Error> {
        let words = std::iter::once("mesh-proxy").chain(line.split(' '));
        Command::try_parse_from(words).map(|command| command.verb.expect("a verb"))
    }

    #[test]
    fn hooks_as_injection_writes_them() {
        let Ok(Verb::Wait(wait)) = typed("wait") else {
            panic!("not a wait")
        };
        assert_eq!(wait.url, "http://localhost:15021/healthz/ready");
        assert_eq!(wait.timeout(), Duration::from_secs(60));
        let Ok(Verb::Request(drain)) = typed("request --debug-port=15020 POST drain") else {
            panic!("not a request")
        };
        assert_eq!(
            (drain.port, drain.method.as_str(), drain.path.path()),
            (15020, "POST", "/drain")
        );
        let Ok(Verb::Request(dump)) = typed("request get /config_dump?include_eds") else {
            panic!("not a request")
        };
        assert_eq!((dump.port, dump.method.as_str()), (15000, "GET"));
        assert_eq!(dump.path.query(), Some("include_eds"));
    }

    #[test]
    fn what_could_break_out_of_the_request_is_refused() {
        for (verb, words) in [
            ("a line", vec!["request", "GET", "stats\r\nhost: evil"]),
            ("a space", vec!["request", "GET", "stats HTTP/1.1"]),
            ("a method", vec!["request", "GET /", "stats"]),
            ("https", vec!["wait", "--url", "https://localhost:15021/"]),
            ("no host", vec!["wait", "--url", "/healthz/ready"]),
            ("no number", vec!["wait", "--periodMillis", "-1"]),
        ] {
            let words = std::iter::once("mesh-proxy").chain(words);
            assert!(Command::try_parse_from(words).is_err(), "{verb}");
        }
    }
}
