//! Where a database is.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use url::Url;

use crate::Dialect;

/// A checked URL of a database.
pub(crate) enum Address {
    /// A file, or nothing but memory.
    Sqlite(Option<PathBuf>),
    /// A server.
    Server(Dialect, Url),
}

/// The dialect of the database at `url`. Nothing is opened or looked up.
///
/// # Errors
///
/// What is wrong with `url`, without showing it: it may hold a password.
pub fn check_url(url: &str) -> Result<Dialect, String> {
    parse(url).map(|address| address.dialect())
}

impl Address {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Server(dialect, _) => *dialect,
        }
    }

    /// How people are told which database it is: without user and password.
    pub(crate) fn place(&self, base: &Path) -> String {
        match self {
            Self::Sqlite(None) => "SQLite in memory".to_owned(),
            Self::Sqlite(Some(path)) => format!("SQLite `{}`", base.join(path).display()),
            Self::Server(dialect, url) => {
                let host = url.host_str().filter(|host| !host.is_empty());
                let port = url.port().map(|port| format!(":{port}"));
                let database = decoded(url.path().trim_start_matches('/'));
                format!(
                    "{dialect} `{}{}/{database}`",
                    decoded(host.unwrap_or("localhost")),
                    port.unwrap_or_default()
                )
            }
        }
    }

    /// The texts that must not be seen in any message.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let Self::Server(_, url) = self else {
            return Vec::new();
        };
        let mut secrets = Vec::new();
        if let Some(password) = url.password() {
            secrets.extend([password.to_owned(), decoded(password)]);
        }
        for (name, value) in url.query_pairs() {
            if name == "password" {
                secrets.push(value.into_owned());
            }
        }
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }
}

/// Reads `url`.
pub(crate) fn parse(url: &str) -> Result<Address, String> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(format!("a database is written as a URL; {FORMS}"));
    };
    let dialect = match scheme.to_ascii_lowercase().as_str() {
        "sqlite" => return sqlite(rest).map(Address::Sqlite),
        "postgres" | "postgresql" => Dialect::Postgres,
        "mysql" | "mariadb" => Dialect::MySql,
        // A text without a scheme may be a password before a colon.
        other if other.chars().all(|c| c.is_ascii_alphanumeric()) && rest.starts_with("//") => {
            return Err(format!("unknown kind of database `{other}`; {FORMS}"));
        }
        _ => return Err(format!("unknown kind of database; {FORMS}")),
    };
    if !rest.starts_with("//") {
        return Err(format!(
            "`//` is missing after `{scheme}:`; a server is written `{scheme}://user@host/database`"
        ));
    }
    let url = Url::parse(url).map_err(|error| format!("this is no URL: {error}"))?;
    if url.path().trim_start_matches('/').is_empty()
        && url.query_pairs().all(|(k, _)| k != "dbname")
    {
        return Err(format!(
            "the name of the database is missing; it is written `{scheme}://user@host/database`"
        ));
    }
    if url.fragment().is_some() {
        return Err("a `#` in a URL starts a fragment; in a password it is written `%23`".into());
    }
    Ok(Address::Server(dialect, url))
}

/// The forms a URL can have.
const FORMS: &str = "there are `sqlite://path`, `postgres://user@host/database`, \
                     `mysql://user@host/database` and `mariadb://user@host/database`";

fn sqlite(rest: &str) -> Result<Option<PathBuf>, String> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path == ":memory:" {
        return Ok(None);
    }
    if path.contains('?') {
        return Err("`?` is not taken in an SQLite URL; in a file name it is written `%3F`".into());
    }
    let path = decoded(path);
    match path.as_str() {
        "" => Err("the path is missing; it is written `sqlite://path` or `sqlite::memory:`".into()),
        path if path.contains('\0') => Err("a path cannot hold a NUL".into()),
        path if path.ends_with('/') => Err("the path is a folder, not a file".into()),
        path => Ok(Some(path.into())),
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_its_dialect_or_what_is_wrong_with_it() {
        let cases: &[(&str, Result<Dialect, &str>)] = &[
            ("sqlite:a.db", Ok(Dialect::Sqlite)),
            ("sqlite://a.db", Ok(Dialect::Sqlite)),
            ("sqlite:///var/a.db", Ok(Dialect::Sqlite)),
            ("sqlite::memory:", Ok(Dialect::Sqlite)),
            ("SQLite://:memory:", Ok(Dialect::Sqlite)),
            ("postgres://u:p@h/d", Ok(Dialect::Postgres)),
            ("postgresql://h:1/d", Ok(Dialect::Postgres)),
            ("postgres:///d?host=/run/postgresql", Ok(Dialect::Postgres)),
            ("mysql://u@h/d", Ok(Dialect::MySql)),
            ("mariadb://u@h/d", Ok(Dialect::MySql)),
            ("sqlite:", Err("path is missing")),
            ("sqlite:a.db?mode=ro", Err("`?` is not taken")),
            ("sqlite:folder/", Err("is a folder")),
            ("sqlite:a%00b", Err("NUL")),
            (
                "oracle://h/d",
                Err("unknown kind of database `oracle`; there are `sqlite://path`"),
            ),
            ("a.db", Err("a database is written as a URL; there are")),
            ("postgres:h/d", Err("`//` is missing")),
            ("postgres://u:p@h", Err("name of the database is missing")),
            ("postgres://u:pa#ss@h/d", Err("")),
            ("postgres://u:p@h:port/d", Err("this is no URL")),
            ("hunter2:x@h/d", Err("unknown kind of database; there are")),
        ];
        for (url, expected) in cases {
            match (check_url(url), expected) {
                (Ok(dialect), Ok(expected)) => assert_eq!(dialect, *expected, "{url}"),
                (Err(error), Err(part)) => {
                    assert!(error.contains(part), "{url}: {error}");
                    assert!(
                        !error.contains("pa#ss") && !error.contains("hunter2"),
                        "{error}"
                    );
                }
                (result, _) => panic!("{url}: {result:?}"),
            }
        }
    }

    #[test]
    fn a_place_shows_neither_user_nor_password() {
        let place = |url: &str| parse(url).unwrap().place(Path::new("/base"));
        assert_eq!(place("sqlite:dq.db"), "SQLite `/base/dq.db`");
        assert_eq!(place("sqlite:/a%20b.db"), "SQLite `/a b.db`");
        assert_eq!(
            place("postgres://u:secret@h:5/d?password=other"),
            "PostgreSQL `h:5/d`"
        );
        assert_eq!(place("mysql://u:secret@h/d"), "MySQL `h/d`");
        let secrets = parse("postgres://u:s%40t@h/d?password=x")
            .unwrap()
            .secrets();
        assert_eq!(secrets, ["s%40t", "s@t", "x"]);
    }
}
