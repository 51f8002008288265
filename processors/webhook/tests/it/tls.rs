//! Certificates, made here, good and bad ones.

use std::io::Write;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use veracity_processor::Outcome;

use crate::{ID, deliver, to, with};
use veracity_http::testing::{Answer, Server};

/// An authority that nobody knows.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "test authority");
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    fn sign(&self, params: &CertificateParams) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        server_config(&certificate, &key)
    }

    fn file(&self) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(self.certificate.pem().as_bytes()).unwrap();
        file
    }
}

fn server_config(certificate: &Certificate, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap()
}

fn params(host: &str) -> CertificateParams {
    CertificateParams::new(vec![host.to_owned()]).unwrap()
}

fn https(server: &Server, authority: Option<&NamedTempFile>) -> Value {
    let port = server.address.port();
    let config = to(&format!("https://localhost:{port}/hook"));
    match authority {
        Some(file) => with(config, json!({"tls_ca_file": file.path()})),
        None => config,
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_if_the_settings_name_it() {
    let authority = Authority::new();
    let file = authority.file();
    let config = authority.sign(&params("localhost"));
    let server = Server::start_tls(vec![Answer::new(200, "", "ok")], config);
    assert_eq!(
        deliver(https(&server, Some(&file))).await,
        Ok(Outcome::done())
    );
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_is_final_and_nothing_is_sent() {
    let authority = Authority::new();
    let file = authority.file();
    let mut expired = params("localhost");
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let mut early = params("localhost");
    early.not_before = date_time_ymd(2990, 1, 1);
    let key = KeyPair::generate().unwrap();
    let own = params("localhost").self_signed(&key).unwrap();
    let valid = || authority.sign(&params("localhost"));
    let cases = [
        (
            "unknown authority",
            valid(),
            None,
            "UnknownIssuer; `tls_ca_file` names",
        ),
        (
            "self-signed",
            server_config(&own, &key),
            None,
            "UnknownIssuer; `tls_ca_file` names",
        ),
        (
            "expired",
            authority.sign(&expired),
            Some(&file),
            "certificate expired",
        ),
        (
            "not yet valid",
            authority.sign(&early),
            Some(&file),
            "not valid yet",
        ),
        (
            "another host",
            authority.sign(&params("other.example.org")),
            Some(&file),
            "not valid for name",
        ),
    ];
    for (label, config, file, reason) in cases {
        let server = Server::start_tls(vec![Answer::new(200, "", "ok")], config);
        let error = deliver(https(&server, file)).await.unwrap_err();
        assert!(!error.is_retryable(), "{label}: {error}");
        let refused = "`localhost`: its certificate is refused: ";
        assert!(error.message().starts_with(refused), "{label}: {error}");
        assert!(error.message().contains(reason), "{label}: {error}");
        assert_eq!(server.requests().len(), 0, "{label}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_no_certificate_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let error = deliver(to(&format!("https://127.0.0.1:{port}/"))).await;
    let error = error.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(error.message().contains("cannot connect"), "{error}");
}

/// Settings, then GOAWAY: the server speaks HTTP/2 and leaves before the request counts.
#[tokio::test]
async fn a_server_that_goes_away_is_tried_again() {
    let authority = Authority::new();
    let file = authority.file();
    let mut config = authority.sign(&params("localhost"));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepted = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = accepted.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
            // Length 8, type 7; last stream 0, no error.
            let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let _ = stream
                .write_all(&[&settings[..], &goaway[..]].concat())
                .await;
            let _ = stream.flush().await;
            let mut rest = vec![0; 1 << 16];
            while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        }
    });
    let url = format!("https://localhost:{port}/hook");
    let config = with(to(&url), json!({"tls_ca_file": file.path()}));
    let error = deliver(config).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(
        accepted.load(std::sync::atomic::Ordering::Relaxed) > 0,
        "{error}"
    );
    assert!(!error.message().contains(ID));
}
