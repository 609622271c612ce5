//! One AdmissionReview: bytes in, bytes out. Pure; nothing that comes from outside can make it panic.
//!
//! A review that we cannot follow is answered as one, with `allowed: false` and the reason: that is what the API server
//! shows to the user. What is no review at all, as far as a question could be answered by its `uid`, is [`NotAReview`],
//! which becomes an HTTP error.

use json_patch::Patch;
use mesh_api::k8s::ByteString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Invalid, NamespaceFacts, Outcome, Settings, Skip, Why, inject_json};

const GROUP_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";
/// Longest warning that the API server hands on whole, in characters.
const WARNING_CHARS: usize = 256;

/// The answer to a review.
#[derive(Debug)]
pub struct Answer {
    /// The response, in JSON.
    pub body: Vec<u8>,
    /// The namespace that the pod is created in.
    pub namespace: String,
    /// The pod's name, or what it is generated from.
    pub pod: String,
    /// What was decided.
    pub verdict: Verdict,
}

/// What was decided about a pod.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It gets a proxy.
    Injected(Why),
    /// It is left alone.
    Skipped(Skip),
    /// It may not be created.
    Refused(String),
}

/// Bytes that are no review.
#[derive(Debug, thiserror::Error)]
pub enum NotAReview {
    /// Not JSON, or of another shape.
    #[error("the body is no {KIND}")]
    Json(#[from] serde_json::Error),
    /// A review of another version.
    #[error(
        "`{0}` is not supported, only {KIND} of {GROUP_VERSION} (hint: admissionReviewVersions of the webhook must be [v1])"
    )]
    Version(String),
    /// A review without a question.
    #[error("the review has no request")]
    NoRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    api_version: String,
    kind: String,
    request: Option<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    uid: String,
    #[serde(default)]
    kind: GroupVersionKind,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    sub_resource: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    object: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GroupVersionKind {
    group: String,
    version: String,
    kind: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    api_version: String,
    kind: &'static str,
    response: Response,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Response {
    uid: String,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    /// In base64, as documented; an array of numbers would be three times the size.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<ByteString>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
    message: String,
    reason: &'static str,
    code: u16,
}

/// Answers the review in `body`.
///
/// # Errors
/// If it is none: not even the `uid` of a request can be read from it.
pub fn answer(body: &[u8], settings: &Settings) -> Result<Answer, NotAReview> {
    let (asked, (mut response, verdict)) = match read(body) {
        Ok(request) => (Asked::of(&request), respond(&request, settings)),
        Err(error) => match Asked::in_malformed(body) {
            Some(asked) => (asked, refuse(format!("{:#}", anyhow::Error::new(error)))),
            None => return Err(error),
        },
    };
    response.uid = asked.uid;
    let body = serde_json::to_vec(&Reply {
        api_version: asked.api_version,
        kind: KIND,
        response,
    })?;
    Ok(Answer {
        body,
        namespace: asked.namespace,
        pod: asked.pod,
        verdict,
    })
}

fn read(body: &[u8]) -> Result<Request, NotAReview> {
    let Review {
        api_version,
        kind,
        request,
    } = serde_json::from_slice(body)?;
    if api_version != GROUP_VERSION || kind != KIND {
        return Err(NotAReview::Version(format!("{api_version} {kind}")));
    }
    request.ok_or(NotAReview::NoRequest)
}

/// What an answer and its log line need of the question.
struct Asked {
    api_version: String,
    uid: String,
    namespace: String,
    pod: String,
}

impl Asked {
    fn of(request: &Request) -> Self {
        Self {
            api_version: GROUP_VERSION.to_owned(),
            uid: request.uid.clone(),
            namespace: request.namespace.clone(),
            pod: pod_name(&request.name, &request.object),
        }
    }

    /// Of a review of another shape or version, which is answered in its own.
    fn in_malformed(body: &[u8]) -> Option<Self> {
        let review: Value = serde_json::from_slice(body).ok()?;
        let text = |pointer| review.pointer(pointer).and_then(Value::as_str);
        let own = text("/apiVersion").filter(|version| version.starts_with("admission.k8s.io/"));
        Some(Self {
            uid: text("/request/uid")
                .filter(|uid| !uid.is_empty())?
                .to_owned(),
            api_version: own.unwrap_or(GROUP_VERSION).to_owned(),
            namespace: text("/request/namespace").unwrap_or_default().to_owned(),
            pod: pod_name(
                text("/request/name").unwrap_or_default(),
                &review["request"]["object"],
            ),
        })
    }
}

fn respond(request: &Request, settings: &Settings) -> (Response, Verdict) {
    if let Err(message) = check(request) {
        return refuse(message);
    }
    // The namespace's labels are not in a review: the selectors of the webhook's entries have looked at them already.
    let namespace = NamespaceFacts::named(&*request.namespace);
    match inject_json(&request.object, &namespace, settings) {
        Err(invalid) => refuse(message(&invalid)),
        Ok(Outcome::Skipped(reason)) => {
            let response = Response {
                allowed: true,
                warnings: skip_warning(&reason).into_iter().collect(),
                ..Response::default()
            };
            (response, Verdict::Skipped(reason))
        }
        Ok(Outcome::Injected(injected)) => match encode(&injected.patch) {
            Err(error) => refuse(format!("the patch cannot be written: {error}")),
            Ok(patch) => {
                let response = Response {
                    allowed: true,
                    patch_type: Some("JSONPatch"),
                    patch: Some(patch),
                    warnings: injected.warnings.iter().map(|text| warning(text)).collect(),
                    ..Response::default()
                };
                (response, Verdict::Injected(injected.why))
            }
        },
    }
}

/// We inject pods when they are created; asked for anything else, the webhook's rules are wrong.
fn check(request: &Request) -> Result<(), String> {
    let GroupVersionKind {
        group,
        version,
        kind,
    } = &request.kind;
    let hint = "hint: the webhook's rule must be CREATE of pods in v1, nothing else";
    if (group.as_str(), version.as_str(), kind.as_str()) != ("", "v1", "Pod") {
        let named = [group, version, kind].map(String::as_str).join("/");
        return Err(format!(
            "only pods can be injected, not `{}`\n{hint}",
            named.trim_matches('/')
        ));
    }
    if !request.sub_resource.is_empty() {
        return Err(format!(
            "only pods can be injected, not pods/{}\n{hint}",
            request.sub_resource
        ));
    }
    if request.operation != "CREATE" {
        return Err(format!(
            "pods are injected when they are created, not at `{}`\n{hint}",
            request.operation
        ));
    }
    Ok(())
}

fn encode(patch: &Patch) -> serde_json::Result<ByteString> {
    serde_json::to_vec(patch).map(ByteString)
}

fn refuse(message: String) -> (Response, Verdict) {
    let response = Response {
        status: Some(Status {
            status: "Failure",
            message: message.clone(),
            reason: "BadRequest",
            code: 400,
        }),
        ..Response::default()
    };
    (response, Verdict::Refused(message))
}

fn message(invalid: &Invalid) -> String {
    format!("the pod cannot be injected: {invalid}")
}

/// What a user should know of a pod that was left alone although its namespace or its labels asked for injection.
fn skip_warning(reason: &Skip) -> Option<String> {
    match reason {
        Skip::HostNetwork | Skip::IgnoredNamespace(_) => {
            Some(warning(&format!("not in the mesh: {reason}")))
        }
        Skip::Label | Skip::Annotation | Skip::NeverInject | Skip::Policy => None,
    }
}

/// One line without control characters, as an HTTP header wants it.
fn warning(text: &str) -> String {
    let line = text.replace('\n', "; ");
    line.chars()
        .filter(|c| !c.is_control())
        .take(WARNING_CHARS)
        .collect()
}

fn pod_name(name: &str, object: &Value) -> String {
    let of_object = |pointer| object.pointer(pointer).and_then(Value::as_str);
    Some(name)
        .filter(|name| !name.is_empty())
        .or_else(|| of_object("/metadata/name"))
        .or_else(|| of_object("/metadata/generateName"))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests;
