//! One line of an access log in Istio's default format.

/// What we look at of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// `HTTP/1.1`, or nothing if it is a TCP connection.
    pub(super) protocol: Option<String>,
    pub(super) status: u16,
    pub(super) flags: String,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) cluster: String,
    pub(super) server_name: String,
}

impl Line {
    /// Reads `text`, if it is such a line.
    pub(super) fn read(text: &str) -> Option<Self> {
        let fields = fields(text);
        let [
            _,
            request,
            status,
            flags,
            ..,
            cluster,
            _,
            _,
            _,
            server_name,
            _,
        ] = &fields[..]
        else {
            return None;
        };
        if fields.len() != 22 {
            return None;
        }
        let protocol = request.rsplit(' ').next().unwrap_or_default();
        Some(Self {
            protocol: (protocol != "-").then(|| protocol.to_owned()),
            status: status.parse().ok()?,
            flags: (*flags).to_owned(),
            received: fields[7].parse().ok()?,
            sent: fields[8].parse().ok()?,
            cluster: (*cluster).to_owned(),
            server_name: (*server_name).to_owned(),
        })
    }
}

/// Words, and what stands in quotes, without them.
fn fields(text: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        fields.push(field);
        rest = after.trim_start();
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_and_a_connection() {
        let request = r#"[2026-01-01T00:00:00.000Z] "GET /a HTTP/2" 200 - via_upstream - "-" 0 5 1 0 "-" "curl/8" "id" "a:81" "10.0.0.1:81" outbound|81||a.test.svc.cluster.local 10.0.0.2:1 10.0.0.3:81 10.0.0.2:2 - default"#;
        let line = Line::read(request).expect("a line");
        assert_eq!(line.protocol.as_deref(), Some("HTTP/2"));
        assert_eq!((line.status, line.sent, &*line.flags), (200, 5, "-"));
        assert_eq!(line.cluster, "outbound|81||a.test.svc.cluster.local");
        let connection = r#"[2026-01-01T00:00:00.000Z] "- - -" 0 - - - "-" 7 8 1 - "-" "-" "-" "-" "10.0.0.1:9000" inbound|9000|| 127.0.0.6:1 10.0.0.3:9000 10.0.0.2:2 outbound_.9000_._.a.test.svc.cluster.local -"#;
        let line = Line::read(connection).expect("a line");
        assert_eq!((line.protocol, line.received, line.sent), (None, 7, 8));
        assert_eq!(
            line.server_name,
            "outbound_.9000_._.a.test.svc.cluster.local"
        );
        assert_eq!(Line::read("[a] starting"), None);
    }
}
