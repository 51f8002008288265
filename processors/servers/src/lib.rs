//! Real servers for tests, started by the tests themselves.
//!
//! ```no_run
//! let server = veracity_servers::postgres().expect("a PostgreSQL server");
//! let url = server.fresh_database().expect("a database");
//! ```
//!
//! A test process has one server of each kind, started when it is first asked for and gone
//! when the process is, however that ends. Where `VERACITY_TEST_POSTGRES` or
//! `VERACITY_TEST_MARIADB` holds the URL of a server, with the rights of a superuser, that
//! one is used instead; the program `veracity-servers` starts both for many processes.
//!
//! A server that cannot be had is an error that says what was tried: a test should fail
//! with it.

mod client;
mod programs;
mod proxy;
mod server;
mod supervisor;

use std::sync::OnceLock;

pub use proxy::{Proxy, When};
pub use server::{Kind, Server};

/// The PostgreSQL server of this test process.
///
/// # Errors
///
/// Why there is none, and how to get one.
pub fn postgres() -> Result<&'static Server, String> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    shared(&SERVER, Kind::Postgres)
}

/// The MariaDB server of this test process.
///
/// # Errors
///
/// Why there is none, and how to get one.
pub fn mariadb() -> Result<&'static Server, String> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    shared(&SERVER, Kind::MariaDb)
}

fn shared(
    server: &'static OnceLock<Result<Server, String>>,
    kind: Kind,
) -> Result<&'static Server, String> {
    let started = server.get_or_init(|| match std::env::var(kind.variable()) {
        Ok(url) if !url.is_empty() => Server::at(kind, &url),
        _ => Server::start(kind, &[]),
    });
    started.as_ref().map_err(Clone::clone)
}
