//! Which failures of a client's TLS handshake may pass.

use rustls::{AlertDescription, CertificateError, Error as Cause};

use crate::tls::error::TlsError;

impl TlsError {
    /// Returns whether another attempt may succeed although nothing else has changed:
    ///
    /// - What arrived was not TLS, or was damaged. While a server restarts, a load balancer in front of it may answer
    ///   in its place, without TLS.
    /// - The server ended the handshake with an alert (RFC 8446 §6.2) that servers and load balancers also send while
    ///   they start, are overloaded, or have no certificate yet, such as `internal_error` or `handshake_failure`.
    /// - The server's certificate has expired, or is not valid yet: it may be renewed, or this machine's clock may not
    ///   be set yet. (It is not trusted all the same. Each attempt verifies it again.)
    ///
    /// Everything else is final:
    ///
    /// - The server is not trusted: its certificate is invalid, was issued by an unknown authority, or is for another
    ///   name.
    /// - The server does not accept the client's certificate, or does not know the name: the alerts about certificates,
    ///   `access_denied` and `unrecognized_name`.
    /// - The two have no version, algorithm or application protocol in common, or the server violates TLS.
    /// - The client itself: files, keys, a configuration that cannot work, or a system without trusted certificates.
    ///
    /// A handshake that is cut off is no error of TLS, but a [`ConnectError::Io`](crate::ConnectError::Io).
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Handshake { error, .. } => match error {
                Cause::AlertReceived(alert) => is_transient_alert(*alert),
                Cause::InvalidCertificate(error) => is_about_time(error),
                Cause::DecryptError
                | Cause::InappropriateHandshakeMessage { .. }
                | Cause::InappropriateMessage { .. }
                | Cause::InvalidMessage(_)
                | Cause::PeerSentOversizedRecord => true,
                _ => false,
            },
            Self::File { .. }
            | Self::ForeignConfig
            | Self::NoFiles
            | Self::NoPlatformTrust(_)
            | Self::Pem { .. }
            | Self::Rustls(_) => false,
        }
    }
}

/// Returns whether a certificate is invalid at this time only.
const fn is_about_time(error: &CertificateError) -> bool {
    use CertificateError::*;
    matches!(error, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}

/// Returns whether a server that sends this alert may accept another handshake: if it is not about the client's
/// certificate, the server's name, or what both support.
const fn is_transient_alert(alert: AlertDescription) -> bool {
    use AlertDescription::*;
    matches!(
        alert,
        // Nothing is wrong with the handshake.
        CloseNotify | InternalError | UserCanceled
        // Servers without a certificate or a key send this one, too.
        | HandshakeFailure
        // A server whose tickets or keys have just changed.
        | UnknownPSKIdentity
        // What the client sent was damaged on the way.
        | BadRecordMac | DecodeError | DecompressionFailure | DecryptError | DecryptionFailed
        | IllegalParameter | RecordOverflow | UnexpectedMessage
    )
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use rustls::{
        AlertDescription, CertificateError, ContentType, Error as Cause, InvalidMessage,
        PeerIncompatible, PeerMisbehaved, pki_types::UnixTime,
    };

    use super::is_transient_alert;
    use crate::tls::error::TlsError;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn is_transient(error: Cause) -> bool {
        TlsError::Handshake { server: "example.org".into(), error }.is_transient()
    }

    #[test]
    fn alerts_are_transient_unless_they_are_about_certificates_names_or_what_both_support() {
        let transient: Vec<_> =
            (0..=255).filter(|code| is_transient_alert(AlertDescription::from(*code))).collect();
        // RFC 8446 §6, RFC 5246 §7.2.
        assert_eq!(transient, [0, 10, 20, 21, 22, 30, 40, 47, 50, 51, 80, 90, 115]);
        assert!(is_transient(Cause::AlertReceived(AlertDescription::InternalError)));
        assert!(!is_transient(Cause::AlertReceived(AlertDescription::UnknownCA)));
    }

    #[test]
    fn what_is_not_tls_or_damaged_is_transient() {
        for cause in [
            Cause::InvalidMessage(InvalidMessage::InvalidContentType),
            Cause::DecryptError,
            Cause::PeerSentOversizedRecord,
            Cause::InappropriateMessage {
                expect_types: vec![ContentType::Handshake],
                got_type: ContentType::ApplicationData,
            },
        ] {
            assert!(is_transient(cause.clone()), "{cause}");
        }
    }

    #[test]
    fn a_certificate_that_is_invalid_at_this_time_only_is_transient() {
        let (now, then) = (UnixTime::since_unix_epoch(s(2)), UnixTime::since_unix_epoch(s(1)));
        for error in [
            CertificateError::Expired,
            CertificateError::ExpiredContext { time: now, not_after: then },
            CertificateError::NotValidYet,
            CertificateError::NotValidYetContext { time: then, not_before: now },
        ] {
            assert!(is_transient(Cause::InvalidCertificate(error.clone())), "{error}");
        }
    }

    #[test]
    fn distrust_and_what_no_wait_changes_are_final() {
        for cause in [
            Cause::InvalidCertificate(CertificateError::UnknownIssuer),
            Cause::InvalidCertificate(CertificateError::NotValidForName),
            Cause::InvalidCertificate(CertificateError::Revoked),
            Cause::NoCertificatesPresented,
            Cause::UnsupportedNameType,
            Cause::NoApplicationProtocol,
            Cause::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            Cause::PeerMisbehaved(PeerMisbehaved::IllegalTlsInnerPlaintext),
            Cause::General("a verifier of the platform".into()),
        ] {
            assert!(!is_transient(cause.clone()), "{cause}");
        }
        let error = io::ErrorKind::NotFound.into();
        for error in [
            TlsError::NoPlatformTrust("none".into()),
            TlsError::missing("certificate"),
            TlsError::File { path: "ca.pem".into(), error },
        ] {
            assert!(!error.is_transient(), "{error}");
        }
    }
}
