//! Where the tests keep their stores.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;
use veracity_host::store::{NewDelivery, Store, Time};
use veracity_processor::{Report, sample_report};
use veracity_servers::Server;

/// A database of its own for one test.
pub struct Place {
    pub url: String,
    pub folder: TempDir,
    pub server: Option<&'static Server>,
}

impl Place {
    pub fn sqlite() -> Self {
        Self {
            url: "sqlite:store/veracity.db".into(),
            folder: tempfile::tempdir().expect("a folder"),
            server: None,
        }
    }

    pub fn postgres() -> Self {
        Self::on(veracity_servers::postgres().expect("a PostgreSQL server"))
    }

    pub fn mariadb() -> Self {
        Self::on(veracity_servers::mariadb().expect("a MariaDB server"))
    }

    fn on(server: &'static Server) -> Self {
        Self {
            url: server.fresh_database().expect("a database"),
            server: Some(server),
            ..Self::sqlite()
        }
    }

    pub async fn open(&self) -> Store {
        let opened = Store::open(&self.url, self.folder.path()).await;
        opened.unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn spool(&self) -> PathBuf {
        self.folder.path().join(".veracity/spool")
    }
}

/// Runs each test on each database.
macro_rules! on_each {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::places::Place::sqlite()).await;
            })+
        }
        on_each!(servers: $($name),+);
    };
    (servers: $($name:ident),+ $(,)?) => {
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::places::Place::postgres()).await;
            })+
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::places::Place::mariadb()).await;
            })+
        }
    };
}
pub(crate) use on_each;

/// The sample report, as that of the `number`th run.
pub fn report(number: u64) -> Report {
    let mut report = sample_report();
    report.run.id = run(number);
    report
}

/// The id of the `number`th run; they sort by number.
pub fn run(number: u64) -> Uuid {
    Uuid::from_u128(0x019a_9f3b_0000_7000_8000_0000_0000_0000 + u128::from(number))
}

/// A delivery of the `number`th run, due at 1000.
pub fn delivery(number: u64, processor: &str) -> NewDelivery {
    NewDelivery {
        processor: processor.into(),
        plugin: format!("plugin of {processor}"),
        idempotency_key: format!("{number:08}-{processor}"),
        due: Time(1000),
        max_attempts: 5,
    }
}

/// A report of at least `bytes` of JSON.
pub fn large_report(number: u64, bytes: usize) -> Report {
    let mut report = report(number);
    let text = "a long text with ümläuts, \0, \\ and 😀; ".repeat(25);
    let one = &mut report.results[0];
    one.sample = (0..=bytes / text.len())
        .map(|row| json!({"row": row, "text": text}))
        .collect();
    report
}

pub const LEASE: Duration = Duration::from_secs(60);
