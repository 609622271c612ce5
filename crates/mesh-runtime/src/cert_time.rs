//! Whether TLS failed because of the time: by one of two clocks a certificate is over, or not valid yet.
//!
//! Whoever reads that a certificate "has expired" looks for who should have renewed it; more often a clock is wrong. So such
//! failures bear a word of their own.

use rustls::{AlertDescription, CertificateError, Error};
use std::io;

/// The word, wherever such a failure is told or counted.
pub const REASON: &str = "cert_time";
/// What to do about it.
pub const HINT: &str = "one of the two clocks is wrong, or the certificate was not renewed in time: compare `date -u` on both nodes";

/// Whether a handshake, or what came instead of the first answer, failed because of the time: by our clock, or by the
/// peer's.
pub fn is_reason_of(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(Error::InvalidCertificate(why)) => is_time(why),
        Some(Error::AlertReceived(alert)) => *alert == AlertDescription::CertificateExpired,
        _ => false,
    }
}

fn is_time(why: &CertificateError) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(
        why,
        Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::UnixTime;
    use std::time::Duration;

    #[test]
    fn only_what_a_clock_decides_is_of_the_time() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let certificate = |why| Error::InvalidCertificate(why);
        let (time, not_after, not_before) = (at(2), at(1), at(3));
        for (error, want) in [
            (certificate(CertificateError::Expired), true),
            (
                certificate(CertificateError::ExpiredContext { time, not_after }),
                true,
            ),
            (certificate(CertificateError::NotValidYet), true),
            (
                certificate(CertificateError::NotValidYetContext { time, not_before }),
                true,
            ),
            (certificate(CertificateError::UnknownIssuer), false),
            (certificate(CertificateError::NotValidForName), false),
            (
                Error::AlertReceived(AlertDescription::CertificateExpired),
                true,
            ),
            (Error::AlertReceived(AlertDescription::UnknownCA), false),
        ] {
            let text = error.to_string();
            let error = io::Error::new(io::ErrorKind::InvalidData, error);
            assert_eq!(is_reason_of(&error), want, "{text}");
        }
        assert!(!is_reason_of(&io::ErrorKind::ConnectionReset.into()));
    }
}
