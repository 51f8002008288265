//! Encryption of a connection.

use std::io;
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, ClientConfig, Error, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;
use veracity_processor::ProcessorError;

use crate::server::Server;

/// What is needed to encrypt connections to a server.
#[derive(Clone)]
pub(crate) struct Encryption {
    pub(crate) connector: TlsConnector,
    pub(crate) name: ServerName<'static>,
}

impl Encryption {
    /// Reads the certificate authorities that `server` is to be checked against.
    ///
    /// # Errors
    ///
    /// Permanent: the file cannot be read, or the system has none.
    pub(crate) fn of(server: &Server) -> Result<Self, ProcessorError> {
        let wrong = |message: String| ProcessorError::permanent(message);
        let name = ServerName::try_from(server.host.clone())
            .map_err(|_| wrong(format!("`{}` cannot stand in a certificate", server.host)))?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                let verifier = verifier(server)?;
                // Nothing is weakened: a verifier of one's own can only be set this way.
                Ok(config
                    .dangerous()
                    .with_custom_certificate_verifier(verifier))
            })
            .map_err(|error| match error {
                Error::General(message) => wrong(message),
                error => wrong(format!(
                    "no certificate authorities to check against: {error}"
                )),
            })?
            .with_no_client_auth();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
        })
    }
}

fn verifier(server: &Server) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let mut own = Vec::new();
    if let Some(path) = &server.ca_file {
        let unusable = |why: String| {
            let path = path.display();
            Error::General(format!("tls_ca_file `{path}` cannot be used: {why}"))
        };
        let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            // Tried here, where it is known which file it is from.
            let tried = RootCertStore::empty().add(certificate.clone());
            tried.map_err(|error| unusable(error.to_string()))?;
            own.push(certificate);
        }
        if own.is_empty() {
            return Err(unusable("it holds no certificate".to_owned()));
        }
    }
    let provider = Arc::new(ring::default_provider());
    Ok(Arc::new(Verifier::new_with_extra_roots(own, provider)?))
}

/// Why a connection could not be encrypted.
pub(crate) fn failure(error: &io::Error) -> ProcessorError {
    let tls = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<Error>());
    match tls {
        None => {
            ProcessorError::retryable(format!("connection lost during the TLS handshake: {error}"))
        }
        Some(Error::AlertReceived(AlertDescription::InternalError)) => {
            ProcessorError::retryable(format!("TLS handshake failed: {error}"))
        }
        Some(Error::InvalidCertificate(_)) => ProcessorError::permanent(format!(
            "the server's certificate is refused, nothing was sent: {error}"
        )),
        Some(Error::InvalidMessage(_)) => ProcessorError::permanent(format!(
            "TLS handshake failed, nothing was sent: {error}; does this port want `smtp://`?"
        )),
        Some(_) => {
            ProcessorError::permanent(format!("TLS handshake failed, nothing was sent: {error}"))
        }
    }
}
