//! The gRPC face of the authority: `istio.v1.auth.IstioCertificateService`.
//!
//! Turns metadata into a caller and errors into statuses whose message says what to change. Decides nothing itself.

use super::{
    CertificateAuthority, IssueError,
    caller::{Authenticator, Caller, Peer, Proof, Purpose},
    with_causes,
};
use crate::metrics::Metrics;
use mesh_xds::pb::istio::auth::{
    IstioCertificateRequest, IstioCertificateResponse,
    istio_certificate_service_server::{IstioCertificateService, IstioCertificateServiceServer},
};
use std::{net::Ipv6Addr, sync::Arc};
use tonic::{Request, Response, Status};

/// Largest message taken: a signing request and what surrounds it.
const MAX_MESSAGE_BYTES: usize = 2 * super::request::MAX_BYTES;
/// Options of a request that would need another signer or another identity than the caller's.
const UNSUPPORTED: [&str; 2] = ["CertSigner", "ImpersonatedIdentity"];

/// The service.
pub struct CertificateService {
    authority: Arc<CertificateAuthority>,
    authenticator: Arc<Authenticator>,
    metrics: Arc<Metrics>,
}

impl CertificateService {
    /// The service, ready to be served.
    pub fn new(
        authority: Arc<CertificateAuthority>,
        authenticator: Arc<Authenticator>,
        metrics: Arc<Metrics>,
    ) -> IstioCertificateServiceServer<Self> {
        IstioCertificateServiceServer::new(Self {
            authority,
            authenticator,
            metrics,
        })
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}

#[tonic::async_trait]
impl IstioCertificateService for CertificateService {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        self.metrics.csr_count.increment();
        let credentials = Credentials::of(&request);
        let caller = authenticate(&self.authenticator, credentials, Purpose::Signing)
            .await
            .inspect_err(|_| self.metrics.authentication_failures.increment())?;
        let message = request.into_inner();
        refuse_unsupported(&message)?;
        match self
            .authority
            .issue(&caller, &message.csr, message.validity_duration)
        {
            Ok(cert_chain) => {
                self.metrics.csr_success.increment();
                if matches!(caller.proof, Proof::Certificate { .. }) {
                    self.metrics.csr_by_certificate.increment();
                }
                tracing::debug!(%caller, proof = ?caller.proof, "issued a certificate");
                Ok(Response::new(IstioCertificateResponse { cert_chain }))
            }
            Err(e) => {
                self.metrics.csr_refused.increment();
                let status = status(&e);
                tracing::warn!(%caller, code = ?status.code(), reason = status.message(), "refused a signing request");
                Err(status)
            }
        }
    }
}

/// What a gRPC request brings along to prove who sent it.
#[derive(Clone, Debug)]
pub struct Credentials {
    peer: Option<Peer>,
    authorization: Option<String>,
}

impl Credentials {
    /// Those of a request.
    pub fn of<T>(request: &Request<T>) -> Self {
        let header = request.metadata().get("authorization");
        Self {
            peer: request.extensions().get::<Peer>().cloned(),
            authorization: header.map(|value| value.to_str().unwrap_or_default().to_owned()),
        }
    }
}

/// Who sent a gRPC request.
///
/// # Errors
/// `UNAUTHENTICATED` if nothing proves an identity, `UNAVAILABLE` if nobody can say, `RESOURCE_EXHAUSTED` if it was refused
/// too often.
pub async fn authenticate(
    authenticator: &Authenticator,
    credentials: Credentials,
    purpose: Purpose,
) -> Result<Caller, Status> {
    let Credentials {
        peer,
        authorization,
    } = credentials;
    let certificate = peer.as_ref().and_then(|p| p.certificate.as_ref());
    // Where that is not known, all share one limit.
    let from = peer.as_ref().map(|p| p.address.ip());
    let caller = authenticator
        .authenticate(
            from.unwrap_or(Ipv6Addr::UNSPECIFIED.into()),
            certificate,
            authorization.as_deref(),
            purpose,
        )
        .await;
    caller.map_err(|e| {
        let address = peer.map(|p| p.address);
        tracing::warn!(?address, reason = %e, "refused an unauthenticated caller");
        match &e {
            e if e.is_temporary() => Status::unavailable(e.to_string()),
            e if e.is_too_many() => Status::resource_exhausted(e.to_string()),
            e => Status::unauthenticated(e.to_string()),
        }
    })
}

fn refuse_unsupported(message: &IstioCertificateRequest) -> Result<(), Status> {
    let options = message.metadata.iter().flat_map(|m| &m.fields);
    let set = |value: &prost_types::Value| {
        use prost_types::value::Kind;
        !matches!(&value.kind, None | Some(Kind::NullValue(_)))
            && !matches!(&value.kind, Some(Kind::StringValue(s)) if s.is_empty())
    };
    match options
        .into_iter()
        .find(|(name, value)| UNSUPPORTED.contains(&name.as_str()) && set(value))
    {
        Some((name, _)) => Err(Status::invalid_argument(format!(
            "the option {name} is not supported: leave it out"
        ))),
        None => Ok(()),
    }
}

fn status(error: &IssueError) -> Status {
    let reason = with_causes(error);
    match error {
        IssueError::TooMany { .. } => Status::resource_exhausted(reason),
        IssueError::Request(_) => Status::invalid_argument(reason),
        IssueError::Sign(_) => Status::unavailable(reason),
    }
}

#[cfg(test)]
mod tests;
