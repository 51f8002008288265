//! CSV and JSON files that are not as they should be.

use super::*;

#[tokio::test]
async fn bad_text_is_explained() {
    let mut late = "a,b\n".to_owned();
    late.push_str(&"1,2\n".repeat(20));
    let narrow = FormatOptions {
        infer_rows: Some(5),
        ..none()
    };
    let single_line = FormatOptions {
        newlines_in_values: Some(false),
        ..none()
    };
    let json_type = FormatOptions {
        infer_rows: Some(1),
        ..none()
    };
    for (label, name, text, options, expected) in [
        (
            "ragged",
            "a.csv",
            "a,b\n1,2\n3\n".to_owned().into_bytes(),
            none(),
            "line 3 of `a.csv` has 1 field, the header has 2",
        ),
        (
            "ragged later",
            "a.csv",
            format!("{late}1,2,3\n").into_bytes(),
            narrow.clone(),
            "cannot read dataset `d`: line 22 of `a.csv` has 3 fields, the header has 2",
        ),
        (
            "ragged later, short",
            "a.csv",
            format!("{late}\"x\n\",2\n\n1\n").into_bytes(),
            FormatOptions {
                types: Some([("a".to_owned(), "text".to_owned())].into()),
                ..narrow.clone()
            },
            "cannot read dataset `d`: line 25 of `a.csv` has 1 field, the header has 2",
        ),
        (
            "a value of another type later",
            "a.csv",
            format!("{late}1,x\n").into_bytes(),
            narrow.clone(),
            "cannot read dataset `d`: line 22 of `a.csv` has `x` in column `b`, which is no integer (Int64); \
             correct it, or give the column's type with `types:`, or add it to `null_values:`",
        ),
        (
            "a bad timestamp",
            "a.csv",
            b"a,b\n1,2026-11-20T00:00:00\n2,2026-11-20T00:00:00\n3,soon\n".to_vec(),
            FormatOptions {
                infer_rows: Some(2),
                ..none()
            },
            "cannot read dataset `d`: line 4 of `a.csv` has no valid timestamp in column `b` \
             (Error parsing timestamp from 'soon': timestamp must contain at least 10 characters)",
        ),
        (
            "a bad decimal",
            "a.csv",
            b"a,b\n1,2.5\n2,x\n".to_vec(),
            FormatOptions {
                types: Some([("b".to_owned(), "decimal(10,2)".to_owned())].into()),
                ..none()
            },
            "cannot read dataset `d`: line 3 of `a.csv` has a value in column `b` that is no Decimal128(10, 2) \
             (can't parse the string value x to decimal)",
        ),
        (
            "not UTF-8",
            "a.csv",
            b"a,b\n1,caf\xE9\n".to_vec(),
            none(),
            "line 2 of `a.csv` is not UTF-8; convert the file to UTF-8",
        ),
        (
            "not UTF-8 later",
            "a.csv",
            [late.as_bytes(), b"1,caf\xE9\n"].concat(),
            narrow.clone(),
            "cannot read dataset `d`: line 22 of `a.csv`, column `b`, is not UTF-8; convert the file to UTF-8",
        ),
        (
            "UTF-16",
            "a.csv",
            b"\xFF\xFEa\0,\0b\0\n\0".to_vec(),
            none(),
            "`a.csv` is UTF-16, convert it to UTF-8",
        ),
        (
            "UTF-16 without a mark",
            "a.json",
            b"{\0\"\0a\0".to_vec(),
            none(),
            "`a.json` is UTF-16, convert it to UTF-8",
        ),
        (
            "unclosed quote",
            "a.csv",
            b"a,b\n1,2\n3,\"4\n5,6\n".to_vec(),
            none(),
            "line 3 of `a.csv` has an unclosed quote: all that follows would be one value",
        ),
        (
            "unclosed quote later",
            "a.csv",
            format!("{late}1,\"x\n2,3\n").into_bytes(),
            narrow.clone(),
            "cannot read dataset `d`: line 22 of `a.csv` has an unclosed quote: all that follows would be one value",
        ),
        (
            "quotes that swallow rows",
            "a.csv",
            b"a,b\n1,\"x\n2,\"y\"\n3,z\n".to_vec(),
            none(),
            "line 2 of `a.csv` most likely has an unclosed quote: the value goes on for lines, \
             up to a quote that text follows",
        ),
        (
            "line break where none may be",
            "a.csv",
            b"a,b\n1,\"x\ny\"\n".to_vec(),
            single_line,
            "line 2 of `a.csv` has a value with a line break; allow them with `newlines_in_values: true`",
        ),
        (
            "duplicate header",
            "a.csv",
            b"a,b,a\n1,2,3\n".to_vec(),
            none(),
            "the header of `a.csv` has 2 columns named `a`; rename them",
        ),
        (
            "zero bytes",
            "a.csv",
            Vec::new(),
            none(),
            "`a.csv` is empty: it has not even columns; `allow_empty_file: true` takes it for a table without rows",
        ),
        (
            "blank lines only",
            "a.csv",
            b"\n\n".to_vec(),
            none(),
            "`a.csv` has no header, so no columns",
        ),
        (
            "unknown column in types",
            "a.csv",
            b"amount\n1\n".to_vec(),
            FormatOptions {
                types: Some([("amonut".to_owned(), "int".to_owned())].into()),
                ..none()
            },
            "`types:` names the column `amonut`, which dataset `d` does not have, did you mean `amount`?; it has `amount`",
        ),
        (
            "JSON array",
            "a.json",
            b"[\n{\"a\": 1}\n]\n".to_vec(),
            none(),
            "`a.json` is a JSON array; write one object a line, for instance with `jq -c '.[]'`",
        ),
        (
            "broken JSON",
            "a.json",
            b"{\"a\": 1}\n{\"a\": }\n".to_vec(),
            none(),
            "line 2 of `a.json` is not one JSON object: expected value at column 7",
        ),
        (
            "broken JSON later",
            "a.json",
            b"{\"a\": 1}\n{\"a\": 2}\n{\"a\": }\n".to_vec(),
            json_type.clone(),
            "cannot read dataset `d`: line 3 of `a.json` is not one JSON object: expected value at column 7",
        ),
        (
            "JSON of another type later",
            "a.json",
            b"{\"a\": 1}\n{\"a\": 2}\n{\"a\": \"x\"}\n".to_vec(),
            json_type,
            "cannot read dataset `d`: line 3 of `a.json`, column `a`: failed to parse \"x\" as Int64; \
             correct it, or give the column's type with `types:`",
        ),
        (
            "no JSON object",
            "a.json",
            b"1\n".to_vec(),
            none(),
            "line 1 of `a.json` is no JSON object",
        ),
    ] {
        let folder = Folder::of(&[(name, &text)]);
        assert_eq!(folder.problem(name, options).await, expected, "{label}");
    }
}
