use super::check;

#[test]
fn emails() {
    let local_64 = format!("{}@example.com", "a".repeat(64));
    let local_65 = format!("{}@example.com", "a".repeat(65));
    let label = "b".repeat(63);
    let whole_254 = format!("aaaaa@{label}.{label}.{label}.{}.com", "c".repeat(52));
    let whole_255 = format!("aaaaaa@{label}.{label}.{label}.{}.com", "c".repeat(52));
    assert_eq!(whole_254.len(), 254);
    let label_64 = format!("a@{}.com", "b".repeat(64));
    check(
        "is_email",
        &[],
        &[
            "a@b.co",
            "first.last+tag@sub.example.org",
            "o'neil@example.com",
            "x@xn--bcher-kva.example",
            "1@1.museum",
            &local_64,
            &whole_254,
        ],
        &[
            "",
            " ",
            "a",
            "@",
            "a@",
            "@b.co",
            "a@b",
            "a b@c.de",
            "a@b.co ",
            " a@b.co",
            "a@@b.co",
            "a@b@c.de",
            ".a@b.co",
            "a.@b.co",
            "a..b@c.de",
            "a@-b.co",
            "a@b-.co",
            "a@b..co",
            "a@.co",
            "a@b.co.",
            "a@1.2.3.4",
            "a@[1.2.3.4]",
            "\"a b\"@c.de",
            "pelé@example.com",
            "a@exämple.com",
            "a@b_c.de",
            "a@b.co\n",
            &local_65,
            &whole_255,
            &label_64,
        ],
    );
}

#[test]
fn urls() {
    check(
        "is_url",
        &[],
        &[
            "http://example.org",
            "HTTPS://Example.org:8443/a?b=c#d",
            "ftp://files.example.org/x%20y",
            "http://localhost",
            "http://127.0.0.1/",
            "http://[::1]:80/",
            "http://user:secret@example.org/",
            "https://müller.example/ä",
        ],
        &[
            "",
            "example.org",
            "//example.org",
            "http:",
            "http:example.org",
            "http://",
            "http:///example.org",
            "mailto:a@b.co",
            "file:///etc/hosts",
            "javascript://x",
            "http://exa mple.org",
            " http://example.org",
            "http://example.org ",
            "http://example.org/a\tb",
            "http:\\\\example.org",
            "http://256.1.1.1",
            "http://example.org:99999",
            "http://[::1",
        ],
    );
}

#[test]
fn uuids() {
    check(
        "is_uuid",
        &[],
        &[
            "67e55044-10b1-426f-9247-bb680e5fe0c8",
            "67E55044-10B1-426F-9247-BB680E5FE0C8",
            "00000000-0000-0000-0000-000000000000",
        ],
        &[
            "",
            "67e5504410b1426f9247bb680e5fe0c8",
            "{67e55044-10b1-426f-9247-bb680e5fe0c8}",
            "urn:uuid:67e55044-10b1-426f-9247-bb680e5fe0c8",
            "67e55044-10b1-426f-9247-bb680e5fe0c",
            "67e55044-10b1-426f-9247-bb680e5fe0cg",
            "67e55044-10b1-426f-9247-bb680e5fe0c8 ",
            "67e55044x10b1x426fx9247xbb680e5fe0c8",
        ],
    );
}

#[test]
fn ip_addresses() {
    check(
        "is_ipv4",
        &[],
        &["0.0.0.0", "192.0.2.1", "255.255.255.255"],
        &[
            "",
            "256.0.0.1",
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "1.2.3.4 ",
            "1.2.3.4/8",
            "::1",
            "１.2.3.4",
        ],
    );
    check(
        "is_ipv6",
        &[],
        &[
            "::",
            "::1",
            "2001:db8::ff00:42:8329",
            "::ffff:192.0.2.1",
            "FE80::1",
        ],
        &[
            "",
            ":",
            ":::",
            "1::2::3",
            "12345::",
            "fe80::1%eth0",
            "[::1]",
            "192.0.2.1",
            "::1 ",
        ],
    );
}

#[test]
fn credit_cards() {
    check(
        "is_credit_card",
        &[],
        &[
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "378282246310005",
            "4222222222222",
            "6304000000000000000",
        ],
        &[
            "",
            "4111111111111112",
            "411111111111",
            "4111  1111 1111 1111",
            " 4111111111111111",
            "4111111111111111 ",
            "4111-1111-1111-1111-",
            "4111.1111.1111.1111",
            "0000000000000000",
            "４111111111111111",
            "abcd",
            "63040000000000000000",
        ],
    );
}

#[test]
fn ibans() {
    check(
        "is_iban",
        &[],
        &[
            "DE44500105175407324931",
            "NL91ABNA0417164300",
            "GB82 WEST 1234 5698 7654 32",
        ],
        &[
            "",
            "DE44500105175407324932",
            "DE4450010517540732493",
            "XX44500105175407324931",
            "nl91abna0417164300",
            "NL91ABNA0417164300 ",
            "NL91-ABNA-0417-1643-00",
        ],
    );
}

#[test]
fn json() {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    check(
        "is_json",
        &[],
        &[
            "{}",
            " [1, 2.5e3, \"ü\"] ",
            "null",
            "\"\"",
            "0",
            "{\"a\": {\"a\": []}}",
            &deep,
        ],
        &[
            "",
            " ",
            "{",
            "{}{}",
            "[1,]",
            "{a: 1}",
            "'a'",
            "NaN",
            "01",
            "{} x",
            "\u{feff}{}",
        ],
    );
}
