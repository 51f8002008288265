//! Encryption and authentication.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use veracity_processor::{HealthStatus, StartContext};

use crate::mime::base64;
use crate::smtp::{Act, Encrypt, Server};
use crate::{LIMIT, build, config, deliver, run};

const USER: &str = "dq@example.org";
const PASSWORD: &str = "Canary-p/w:ä";
/// USER and PASSWORD in a URL.
const LOGIN: &str = "dq%40example.org:Canary-p%2Fw%3A%C3%A4";

/// A private certificate authority, with its certificate in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let folder = TempDir::new().unwrap();
        let authority = Self {
            issuer: Issuer::new(params, key),
            folder,
        };
        std::fs::write(authority.file(), certificate.pem()).unwrap();
        authority
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for `name`, changed by `change`.
    fn signs(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        acceptor(certificate.der().clone(), &key)
    }

    fn good(&self) -> TlsAcceptor {
        self.signs("localhost", |_| {})
    }
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Settings with `scheme`, the login, and `authority` as one that is trusted.
fn settings(scheme: &str, server: &Server, authority: &Authority) -> Value {
    let mut config = config(&format!("{scheme}://{LOGIN}@localhost:{}", server.port()));
    config["tls_ca_file"] = json!(authority.file());
    config
}

/// That nothing worth reading was sent.
fn assert_silent(server: &Server, label: &str) {
    let log = server.log();
    let harmless =
        |line: &String| line.starts_with("EHLO ") || line == "STARTTLS" || line == "QUIT";
    assert!(log.plain.iter().all(harmless), "{label}: {:?}", log.plain);
    assert_eq!(log.encrypted, Vec::<String>::new(), "{label}");
    assert!(log.mails.is_empty(), "{label}");
}

#[test]
fn a_mail_goes_over_tls_with_a_login() {
    let authority = Authority::new();
    for (scheme, encrypt) in [
        ("smtps", Encrypt::FromTheStart(authority.good())),
        ("smtp", Encrypt::OnRequest(authority.good())),
    ] {
        let server = Server::start(encrypt, |_| Act::Ordinary);
        let config = settings(scheme, &server, &authority);
        let processor = build(&config);
        run(processor.startup(&StartContext::new("email", LIMIT))).unwrap();
        deliver(&config).unwrap();
        assert_eq!(server.mails().len(), 1, "{scheme}");
        let log = server.log();
        let sent = log
            .encrypted
            .iter()
            .find_map(|line| line.strip_prefix("AUTH PLAIN "));
        let sent = String::from_utf8(base64(sent.unwrap())).unwrap();
        assert_eq!(sent, format!("\0{USER}\0{PASSWORD}"), "{scheme}");
        let plain = match scheme {
            "smtps" => 0,
            // EHLO, STARTTLS.
            _ => 2,
        };
        assert_eq!(log.plain.len(), plain, "{scheme}: {:?}", log.plain);
        drop(log);
        let health = run(processor.health()).unwrap();
        assert_eq!(health.status, HealthStatus::Healthy, "{health:?}");
    }
}

#[test]
fn auth_login_is_used_where_there_is_nothing_else() {
    let authority = Authority::new();
    let encrypt = Encrypt::FromTheStart(authority.good());
    let server = Server::start(encrypt, |now| match now.at {
        "EHLO" => Act::Say("250-test\r\n250 auth cram-md5 login"),
        _ => Act::Ordinary,
    });
    deliver(&settings("smtps", &server, &authority)).unwrap();
    let log = server.log();
    let told: Vec<String> = log.encrypted[2..4]
        .iter()
        .map(|line| String::from_utf8(base64(line)).unwrap())
        .collect();
    assert_eq!(
        (log.encrypted[1].as_str(), told),
        ("AUTH LOGIN", vec![USER.to_owned(), PASSWORD.to_owned()])
    );
}

#[test]
fn a_refused_login_is_permanent_and_shows_no_credentials() {
    let authority = Authority::new();
    // A server that repeats the password: `Canary-p/w:ä` in the forms it is sent in.
    let echo =
        "535 5.7.8 not Canary-p/w:ä AGRxQGV4YW1wbGUub3JnAENhbmFyeS1wL3c6w6Q= Q2FuYXJ5LXAvdzrDpA==";
    let later = "454 4.7.0 not now Canary-p/w:ä";
    let cases = [
        (
            "AUTH",
            echo,
            false,
            "authentication refused: 535; check user and password",
        ),
        ("AUTH", later, true, "no authentication now: 454"),
        (
            "MAIL",
            "530 5.7.0 not Canary-p/w:ä",
            false,
            "authentication required: 530 5.7.0 not ***",
        ),
        (
            "RCPT",
            echo,
            false,
            "every recipient is refused: ops@example.org: 535 5.7.8 not *** *** ***",
        ),
        (
            "EHLO",
            "250 test",
            false,
            "the server offers neither AUTH PLAIN nor AUTH LOGIN",
        ),
    ];
    for (moment, reply, retryable, expected) in cases {
        let encrypt = Encrypt::FromTheStart(authority.good());
        let server = Server::start(encrypt, move |now| match now.at == moment {
            true => Act::Say(reply),
            false => Act::Ordinary,
        });
        let error = deliver(&settings("smtps", &server, &authority)).unwrap_err();
        let expected = format!("localhost:{}: {expected}", server.port());
        assert_eq!(
            (error.message(), error.is_retryable()),
            (expected.as_str(), retryable)
        );
        assert_eq!(server.log().connections, 1);
    }
}

#[test]
fn a_certificate_that_does_not_hold_is_refused_and_nothing_is_sent() {
    let authority = Authority::new();
    let other = Authority::new();
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = own.self_signed(&own_key).unwrap();
    let cases = [
        (
            "expired",
            authority.signs("localhost", |params| {
                params.not_after = date_time_ymd(2020, 1, 1)
            }),
        ),
        (
            "not yet valid",
            authority.signs("localhost", |params| {
                params.not_before = date_time_ymd(2999, 1, 1)
            }),
        ),
        ("another host", authority.signs("mail.example.org", |_| {})),
        ("another authority", other.good()),
        ("self-signed", acceptor(own.der().clone(), &own_key)),
    ];
    for (label, acceptor) in cases {
        for scheme in ["smtps", "smtp"] {
            let encrypt = match scheme {
                "smtps" => Encrypt::FromTheStart(acceptor.clone()),
                _ => Encrypt::OnRequest(acceptor.clone()),
            };
            let server = Server::start(encrypt, |_| Act::Ordinary);
            let error = deliver(&settings(scheme, &server, &authority)).unwrap_err();
            assert!(!error.is_retryable(), "{label}: {error}");
            assert!(
                error.message().contains("certificate is refused"),
                "{label}: {error}"
            );
            assert_silent(&server, label);
        }
    }
}

#[test]
fn without_a_file_only_the_authorities_of_the_system_are_trusted() {
    let authority = Authority::new();
    let server = Server::start(Encrypt::FromTheStart(authority.good()), |_| Act::Ordinary);
    let mut config = settings("smtps", &server, &authority);
    config.as_object_mut().unwrap().remove("tls_ca_file");
    let error = deliver(&config).unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    assert_silent(&server, "private authority");
}

#[test]
fn without_starttls_nothing_is_sent() {
    let authority = Authority::new();
    let cases: [(&str, &str, &'static str, &str); 4] = [
        (
            "not offered",
            "EHLO",
            "250-test\r\n250 AUTH PLAIN",
            "does not offer STARTTLS",
        ),
        (
            "refused",
            "STARTTLS",
            "502 5.5.1 no",
            "STARTTLS is refused, nothing was sent: 502",
        ),
        (
            "later",
            "STARTTLS",
            "454 4.7.0 no",
            "STARTTLS is refused, nothing was sent: 454",
        ),
        (
            "a reply sent ahead of encryption",
            "STARTTLS",
            "220 go ahead\r\n250-injected\r\n250 AUTH PLAIN",
            "more than a reply came before encryption",
        ),
    ];
    for (label, moment, reply, expected) in cases {
        let encrypt = Encrypt::OnRequest(authority.good());
        let server = Server::start(encrypt, move |now| match now.at == moment {
            true => Act::Say(reply),
            false => Act::Ordinary,
        });
        let error = deliver(&settings("smtp", &server, &authority)).unwrap_err();
        assert_eq!(error.is_retryable(), label == "later", "{label}: {error}");
        assert!(error.message().contains(expected), "{label}: {error}");
        assert_silent(&server, label);
    }
}

#[test]
fn a_server_that_cannot_do_modern_tls_gets_nothing() {
    // What a server that knows only TLS 1.0 answers: a fatal alert, protocol version.
    let alert = [0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46];
    // What a server answers that does not speak TLS at all on this port.
    let plain = b"220 mail.example.org ESMTP\r\n";
    for (answer, expected) in [
        (alert.as_slice(), "TLS handshake failed, nothing was sent"),
        (plain.as_slice(), "does this port want `smtp://`?"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = answer.to_vec();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = vec![0; 16 * 1024];
            let length = stream.read(&mut seen).unwrap();
            seen.truncate(length);
            stream.write_all(&answer).unwrap();
            // Until the client closes; a reset tells as much.
            let _ = stream.read_to_end(&mut seen);
            seen
        });
        let authority = Authority::new();
        let mut config = config(&format!("smtps://{LOGIN}@localhost:{port}"));
        config["tls_ca_file"] = json!(authority.file());
        let error = deliver(&config).unwrap_err();
        assert!(
            !error.is_retryable() && error.message().contains(expected),
            "{error}"
        );
        let seen = String::from_utf8_lossy(&server.join().unwrap()).into_owned();
        assert!(!seen.contains("Canary") && !seen.contains("AUTH"));
    }
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_found_at_startup() {
    let folder = TempDir::new().unwrap();
    let cases = [
        ("missing.pem", None, "No such file"),
        ("empty.pem", Some(""), "it holds no certificate"),
        (
            "broken.pem",
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "",
        ),
    ];
    for (name, content, expected) in cases {
        let path = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let mut config = config("smtps://mail.example.org");
        config["tls_ca_file"] = json!(path);
        let processor = build(&config);
        let error = run(processor.startup(&StartContext::new("email", LIMIT))).unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        let message = error.message();
        assert!(
            message.contains(name) && message.contains(expected),
            "{message}"
        );
    }
}
