//! Reads a mail back, without the library that wrote it.

/// A mail, decoded.
#[derive(Debug)]
pub struct Mail {
    /// Names and decoded values, in order.
    pub headers: Vec<(String, String)>,
    pub text: String,
    pub html: String,
}

impl Mail {
    /// Reads `data`, which must be a `multipart/alternative` of text and HTML.
    pub fn read(data: &str) -> Self {
        for line in data.split("\r\n") {
            assert!(line.len() <= 998, "a line of {} bytes", line.len());
            assert!(
                !line.contains(['\r', '\n', '\0']),
                "a bare control in {line:?}"
            );
        }
        let (headers, body) = split(data);
        let content = get(&headers, "Content-Type");
        assert!(content.starts_with("multipart/alternative;"), "{content}");
        let boundary = content.split("boundary=\"").nth(1).unwrap();
        let boundary = boundary.split('"').next().unwrap();
        let pieces: Vec<&str> = body.split(&format!("--{boundary}")).collect();
        let [_, text, html, end] = pieces.as_slice() else {
            panic!("{} pieces", pieces.len());
        };
        assert_eq!(end.trim(), "--");
        Self {
            headers,
            text: part(text, "text/plain; charset=utf-8"),
            html: part(html, "text/html; charset=utf-8"),
        }
    }

    /// The value of the only header called `name`.
    pub fn header(&self, name: &str) -> &str {
        get(&self.headers, name)
    }

    pub fn header_names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }
}

fn get<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    let mut found = headers
        .iter()
        .filter(|(other, _)| other.eq_ignore_ascii_case(name));
    let (_, value) = found
        .next()
        .unwrap_or_else(|| panic!("no {name} in {headers:?}"));
    assert!(found.next().is_none(), "{name} twice");
    value
}

fn split(data: &str) -> (Vec<(String, String)>, &str) {
    let (head, body) = data.split_once("\r\n\r\n").expect("headers end");
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let header = |line: &str| {
        let (name, value) = line
            .split_once(':')
            .unwrap_or_else(|| panic!("no header: {line:?}"));
        (name.to_owned(), words(value.trim()))
    };
    (unfolded.split("\r\n").map(header).collect(), body)
}

fn part(part: &str, content: &str) -> String {
    let (headers, body) = split(part.strip_prefix("\r\n").unwrap());
    assert_eq!(get(&headers, "Content-Type"), content);
    assert_eq!(
        get(&headers, "Content-Transfer-Encoding"),
        "quoted-printable"
    );
    let body = body.strip_suffix("\r\n").unwrap();
    let bytes = quoted(&body.replace("=\r\n", ""));
    assert!(!bytes.is_empty(), "an empty part");
    String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
}

/// Decodes `=C3=A4`.
fn quoted(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'=' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let digits = std::str::from_utf8(&after[..2]).unwrap();
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        rest = &after[2..];
    }
    bytes
}

/// Decodes encoded words (RFC 2047).
fn words(value: &str) -> String {
    let mut text = String::new();
    let mut encoded_before = false;
    for word in value.split(' ') {
        let inner = word
            .strip_prefix("=?utf-8?b?")
            .and_then(|word| word.strip_suffix("?="));
        // White space between two encoded words is not part of the text.
        let inside = encoded_before && inner.is_some();
        if !(text.is_empty() || inside) {
            text.push(' ');
        }
        encoded_before = inner.is_some();
        match inner {
            Some(inner) => text.push_str(std::str::from_utf8(&base64(inner)).unwrap()),
            None => {
                assert!(
                    !word.contains("=?"),
                    "an encoded word of another kind: {word}"
                );
                text.push_str(word);
            }
        }
    }
    text
}

/// Decodes Base64.
pub fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = alphabet.iter().position(|one| *one == byte).unwrap();
        bits = bits << 6 | u32::try_from(digit).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    bytes
}
