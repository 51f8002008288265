//! Suite files as URIs.

/// Where relative URIs begin: at the root of the sources, which only the reader knows.
pub(crate) const BASE: &str = "SRCROOT";

/// `file` as a URI, and whether it is relative to [`BASE`]; an absolute path becomes a
/// `file:` URI.
pub(crate) fn of(file: &str) -> (String, bool) {
    let path = match cfg!(windows) || is_drive(file) {
        true => file.replace('\\', "/"),
        false => file.to_owned(),
    };
    if is_drive(&path) {
        let (drive, rest) = path.split_at(2);
        return (format!("file:///{drive}{}", encoded(rest)), false);
    }
    if path.starts_with('/') {
        return (format!("file://{}", encoded(&path)), false);
    }
    (encoded(path.trim_start_matches("./")), true)
}

/// Whether `path` begins like `C:\` or `C:/`.
fn is_drive(path: &str) -> bool {
    matches!(path.as_bytes(), [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic())
}

/// Everything but letters, digits, `-`, `.`, `_`, `~` and the slashes is percent-encoded.
fn encoded(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::path::Path;

    use url::Url;

    use super::*;

    #[test]
    fn a_path_becomes_a_uri_that_leads_back_to_it() {
        let cases = [
            ("orders.yaml", "orders.yaml", true),
            ("./checks/orders.yaml", "checks/orders.yaml", true),
            ("../orders.yaml", "../orders.yaml", true),
            ("a b%20#?.yaml", "a%20b%2520%23%3F.yaml", true),
            ("http://x/y", "http%3A//x/y", true),
            ("javascript:alert(1)", "javascript%3Aalert%281%29", true),
            ("数.yaml", "%E6%95%B0.yaml", true),
            ("a\u{202e}\n[x]", "a%E2%80%AE%0A%5Bx%5D", true),
            ("/srv/a b.yaml", "file:///srv/a%20b.yaml", false),
            ("//srv/x.yaml", "file:////srv/x.yaml", false),
        ];
        let base = Url::parse("file:///repo/sub/").unwrap();
        for (file, uri, relative) in cases {
            assert_eq!(of(file), (uri.to_owned(), relative), "{file:?}");
            let back = base.join(uri).unwrap().to_file_path().unwrap();
            // A URI has no `..` and no empty parts once it is resolved.
            if !file.starts_with("..") && !file.contains("//") {
                assert_eq!(back, Path::new("/repo/sub").join(file), "{file:?}");
            }
        }
        let windows = of(r"C:\checks\my orders.yaml");
        assert_eq!(
            windows,
            ("file:///C:/checks/my%20orders.yaml".to_owned(), false)
        );
    }
}
