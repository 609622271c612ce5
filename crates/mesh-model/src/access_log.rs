//! What is logged of each request or connection (Envoy `AccessLog`).

/// One access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// File that lines are appended to; `/dev/stdout` for standard output.
    pub path: String,
    /// Form of a line.
    pub format: AccessLogFormat,
    /// Only what no filter chain or route matched is logged (Envoy response flag filter `NR`).
    pub only_no_route: bool,
}

impl AccessLog {
    /// A log of everything to the file at `path`.
    pub fn file(path: impl Into<String>, format: AccessLogFormat) -> Self {
        Self {
            path: path.into(),
            format,
            only_no_route: false,
        }
    }
}

/// Form of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// Text with `%OPERATORS%`, including the newline.
    Text(String),
    /// One JSON object a line; each value is text with operators.
    Json(Vec<(String, String)>),
}

/// Istio's default line.
pub const ISTIO_TEXT_FORMAT: &str = concat!(
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% ",
    "%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" ",
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" ",
    "\"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% ",
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% ",
    "%ROUTE_NAME%\n"
);
