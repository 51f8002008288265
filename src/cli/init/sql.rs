//! Names and texts as they are written in SQL.

/// A column's name in SQL, in quotes only where it needs them.
pub fn identifier(name: &str) -> String {
    let is_word = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_word && RESERVED.binary_search(&name).is_err() {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A column's name in SQL, in quotes.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in SQL.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Words that mean something else than a column somewhere in SQL, sorted.
const RESERVED: &[&str] = &[
    "all",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "at",
    "between",
    "both",
    "by",
    "case",
    "cast",
    "collate",
    "create",
    "cross",
    "cube",
    "current",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_user",
    "date",
    "default",
    "desc",
    "distinct",
    "div",
    "else",
    "end",
    "escape",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "filter",
    "for",
    "from",
    "full",
    "group",
    "grouping",
    "having",
    "if",
    "ilike",
    "in",
    "inner",
    "insert",
    "intersect",
    "interval",
    "into",
    "is",
    "join",
    "lateral",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "map",
    "match",
    "natural",
    "not",
    "null",
    "of",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "over",
    "overlaps",
    "overlay",
    "partition",
    "position",
    "prior",
    "qualify",
    "regexp",
    "right",
    "rlike",
    "rollup",
    "row",
    "rows",
    "select",
    "session_user",
    "set",
    "similar",
    "some",
    "sort",
    "struct",
    "substring",
    "table",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "trim",
    "true",
    "union",
    "unique",
    "unnest",
    "update",
    "user",
    "using",
    "values",
    "when",
    "where",
    "window",
    "with",
    "within",
    "xor",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_words_are_sorted() {
        assert!(RESERVED.is_sorted());
    }

    #[test]
    fn names_are_quoted_where_they_need_it() {
        let cases = [
            ("dep_time", "dep_time"),
            ("count", "count"),
            ("order", "\"order\""),
            ("order id", "\"order id\""),
            ("Ünï", "\"Ünï\""),
            ("Year", "\"Year\""),
            ("a\"b", "\"a\"\"b\""),
            ("2nd", "\"2nd\""),
            ("", "\"\""),
        ];
        for (name, expected) in cases {
            assert_eq!(identifier(name), expected, "{name}");
        }
    }
}
