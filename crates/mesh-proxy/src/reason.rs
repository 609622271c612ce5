//! An error for a log line or an answer: what happened and all that caused it, in one line.

use std::error::Error;

/// `error` and its causes, separated by colons.
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let all: Vec<_> = anyhow::Chain::new(error).map(ToString::to_string).collect();
    all.join(": ")
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn every_cause_is_told() {
        let io = std::io::Error::other("no route to host");
        let error = crate::tls::Error::Handshake(io);
        assert_eq!(one_line(&error), "TLS handshake: no route to host");
        assert_eq!(
            one_line(&crate::tls::Error::Timeout),
            "TLS handshake timed out"
        );
    }
}
