//! What differs between the databases in SQL.

use std::fmt;

use sqlx::any::AnyArguments;
use sqlx::{Any, AssertSqlSafe, SqlSafeStr};

/// A query whose arguments are still to be bound.
pub type Query<'q> = sqlx::query::Query<'q, Any, AnyArguments>;

/// A database's SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// PostgreSQL and what speaks its protocol.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// `ident` as a quoted identifier, whatever characters it holds.
    ///
    /// No database takes a NUL in an identifier; it becomes U+FFFD.
    pub fn quote(self, ident: &str) -> String {
        let quote = match self {
            Self::MySql => '`',
            Self::Postgres | Self::Sqlite => '"',
        };
        let mut quoted = String::with_capacity(ident.len() + 2);
        quoted.push(quote);
        for c in ident.chars() {
            match c {
                '\0' => quoted.push(char::REPLACEMENT_CHARACTER),
                c if c == quote => quoted.extend([c, c]),
                c => quoted.push(c),
            }
        }
        quoted.push(quote);
        quoted
    }

    /// `sql` with each placeholder `?` written as this database wants it.
    ///
    /// A `?` in a text, a quoted identifier or a comment stays. PostgreSQL's operators
    /// `?`, `?|` and `?&` cannot be used.
    pub fn sql(self, sql: &str) -> String {
        if self != Self::Postgres {
            return sql.to_owned();
        }
        let mut out = String::with_capacity(sql.len() + 16);
        let mut number = 0;
        let mut rest = sql;
        while let Some(c) = rest.chars().next() {
            let taken = match c {
                '?' => {
                    number += 1;
                    out.push_str(&format!("${number}"));
                    rest = &rest[1..];
                    continue;
                }
                '\'' | '"' => 1 + rest[1..].find(c).map_or(rest.len() - 1, |end| end + 1),
                '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
                '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
                c => c.len_utf8(),
            };
            out.push_str(&rest[..taken]);
            rest = &rest[taken..];
        }
        out
    }

    /// A query with placeholders `?`.
    pub fn query<'q>(self, sql: impl SqlSafeStr) -> Query<'q> {
        sqlx::query(AssertSqlSafe(self.sql(sql.into_sql_str().as_str())))
    }

    /// `sql` with the types `{key}`, `{text}`, `{int}` and `{float}` and the `{table}`
    /// options in this database's words.
    ///
    /// A `{key}` is text of at most [`Dialect::KEY_CHARS`] characters that can be indexed
    /// and is compared byte by byte. A `{text}` is text of any length.
    pub fn ddl(self, sql: &str) -> String {
        let [key, text, int, float, table] = match self {
            Self::Postgres => [
                r#"varchar(255) collate "C""#,
                r#"text collate "C""#,
                "bigint",
                "double precision",
                "",
            ],
            Self::MySql => [
                "varchar(255) character set utf8mb4 collate utf8mb4_bin",
                "longtext character set utf8mb4 collate utf8mb4_bin",
                "bigint",
                "double",
                "engine=InnoDB row_format=dynamic default charset=utf8mb4",
            ],
            Self::Sqlite => ["text", "text", "integer", "real", "strict"],
        };
        sql.replace("{key}", key)
            .replace("{text}", text)
            .replace("{int}", int)
            .replace("{float}", float)
            .replace("{table}", table)
    }

    /// The most characters of a `{key}` column.
    pub const KEY_CHARS: usize = 255;
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
            Self::Sqlite => "SQLite",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_for_postgres_but_not_in_texts() {
        let cases = [
            ("select 1", "select 1"),
            ("a = ? and b = ?", "a = $1 and b = $2"),
            ("'?' = ? and 'it''s ?' = ?", "'?' = $1 and 'it''s ?' = $2"),
            (r#""odd?" = ?"#, r#""odd?" = $1"#),
            (
                "? -- why?\n, ? /* who? */, ?",
                "$1 -- why?\n, $2 /* who? */, $3",
            ),
            ("'never closed ?", "'never closed ?"),
            ("é = ? -- end?", "é = $1 -- end?"),
            ("/* never closed ?", "/* never closed ?"),
        ];
        for (sql, expected) in cases {
            assert_eq!(Dialect::Postgres.sql(sql), expected, "{sql}");
            assert_eq!(Dialect::Sqlite.sql(sql), sql, "{sql}");
            assert_eq!(Dialect::MySql.sql(sql), sql, "{sql}");
        }
    }

    #[test]
    fn identifiers_are_quoted_so_that_nothing_in_them_is_sql() {
        let cases = [
            ("a", "\"a\"", "`a`"),
            ("", "\"\"", "``"),
            ("a\"b", "\"a\"\"b\"", "`a\"b`"),
            ("a`b", "\"a`b\"", "`a``b`"),
            (
                "a.b; drop table c",
                "\"a.b; drop table c\"",
                "`a.b; drop table c`",
            ),
            ("a\0", "\"a\u{fffd}\"", "`a\u{fffd}`"),
        ];
        for (ident, standard, mysql) in cases {
            assert_eq!(Dialect::Postgres.quote(ident), standard);
            assert_eq!(Dialect::Sqlite.quote(ident), standard);
            assert_eq!(Dialect::MySql.quote(ident), mysql);
        }
    }
}
