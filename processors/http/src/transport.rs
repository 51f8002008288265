//! The way to the receiver: the HTTP client, and what its failures mean.

use std::error::Error;
use std::io;
use std::path::Path;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Certificate, Client, redirect};
use rustls::{CertificateError, crypto};
use url::Url;
use veracity_processor::{ProcessorError, chain};

use crate::guard::{Guard, Refused};

/// A client that goes to `url` and nowhere else: it follows no redirect, and takes no
/// address of the host of `url` that is not public unless `allow_private`.
///
/// # Errors
///
/// If `ca_file` cannot be read, or there are no certificates to trust.
pub(crate) fn client(
    url: &Url,
    allow_private: bool,
    ca_file: Option<&Path>,
) -> Result<Client, ProcessorError> {
    // It fails if the program has installed one, which then serves as well.
    let _ = crypto::ring::default_provider().install_default();
    let guard = Guard {
        host: url.host_str().unwrap_or_default().to_owned(),
        allow_private,
    };
    let mut builder = Client::builder()
        .user_agent(concat!("veracity/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        // Requests are rare: little is gained by a connection that is kept, and one that
        // is made anew is checked anew.
        .pool_max_idle_per_host(0)
        .dns_resolver(guard);
    if url.scheme() == "http" {
        // The system may have none, and none is needed.
        builder = builder.tls_certs_only([]);
    } else if let Some(path) = ca_file {
        builder = builder.tls_certs_merge(certificates(path)?);
    }
    builder.build().map_err(|error| {
        let reason = chain(&error.without_url());
        ProcessorError::permanent(format!("cannot make the HTTP client: {reason}"))
    })
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, ProcessorError> {
    let fault = |reason: &str| {
        let path = path.display();
        ProcessorError::permanent(format!("`tls_ca_file` `{path}`: {reason}"))
    };
    let pem = std::fs::read(path).map_err(|error| fault(&error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| fault(&chain(&error)))?;
    if certificates.is_empty() {
        return Err(fault("holds no certificate in PEM form"));
    }
    Ok(certificates)
}

/// Whether requests to `url` go through a proxy of the environment or the system, as the
/// client decides it.
pub(crate) fn is_proxied(url: &Url) -> bool {
    let uri: Option<http::Uri> = url.as_str().parse().ok();
    uri.is_some_and(|uri| Matcher::from_system().intercept(&uri).is_some())
}

/// Why no answer came.
pub(crate) fn fault(error: reqwest::Error) -> ProcessorError {
    if let Some(refused) = find::<Refused>(&error) {
        return ProcessorError::permanent(refused.to_string());
    }
    if let Some(rustls::Error::InvalidCertificate(reason)) = find::<rustls::Error>(&error) {
        return ProcessorError::permanent(certificate_fault(reason));
    }
    let what = if error.is_dns() {
        "cannot resolve the host"
    } else if error.is_connect() {
        "cannot connect"
    } else {
        "the connection broke before there was an answer"
    };
    let error = error.without_url();
    ProcessorError::retryable(format!("{what}: {}", root(&error)))
}

fn certificate_fault(reason: &CertificateError) -> String {
    let hint = match reason {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "; `tls_ca_file` names authorities that are trusted beside those of the system"
        }
        _ => "",
    };
    let reason = rustls::Error::InvalidCertificate(reason.clone());
    format!("its certificate is refused: {reason}{hint}")
}

/// The first cause of `error` that is a `T`, also inside of I/O errors, which hide theirs.
fn find<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// The innermost cause.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Past the check of the settings, as a name would get that leads to a private address.
    #[tokio::test]
    async fn a_name_that_leads_to_a_private_address_is_not_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = Url::parse(&format!("http://localhost:{port}/")).unwrap();
        let client = client(&url, false, None).unwrap();
        let error = fault(client.post(url).send().await.unwrap_err());
        assert!(!error.is_retryable(), "{error}");
        assert!(error.message().contains("a loopback address"), "{error}");
        let second = std::time::Duration::from_secs(1);
        let connected = tokio::time::timeout(second, listener.accept()).await;
        assert!(connected.is_err(), "somebody connected");
    }
}
