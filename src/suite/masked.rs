//! The text of a suite file with stars for the secrets that are written into it.
//!
//! It is shown because something is wrong with it, so nothing here relies on its being
//! YAML: in doubt, too much is masked.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// Top-level keys below which nothing is secret. A misspelled `processors` is not among
/// them.
const ORDINARY: [&str; 5] = ["version", "suite", "datasets", "fail_on", "checks"];

/// What the names of secret settings contain.
const SECRET: [&str; 5] = ["secret", "password", "token", "key", "authorization"];

/// `text` with `*` for each character of a literal secret: passwords in URLs, and values
/// of keys with a telling name. What `${..}` stands for is not in the text, so that it
/// stays, but for its default.
pub(super) fn masked(text: &str) -> String {
    let mut section = Section::default();
    let mut open: Option<Open> = None;
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive(['\n', '\r']) {
        let content = line.trim_end_matches(['\n', '\r']);
        let indent = indentation(content);
        let mut ranges = Vec::new();
        if !section.may_hold_secrets(content) {
            open = None;
        } else if !content.trim().is_empty() {
            open = open.filter(|open| open.holds(content));
            if open.is_some() {
                let dashes = content[indent..].find(|c| !matches!(c, '-' | ' '));
                ranges.push(indent + dashes.unwrap_or_default()..content.len());
            } else {
                ranges = passwords(content);
                ranges.extend(paths(content));
                open = values(content, &mut ranges);
            }
        }
        star_ranges(content, ranges, &mut shown);
        shown.push_str(&line[content.len()..]);
    }
    shown
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Which part of the suite a line is in.
#[derive(Default)]
struct Section {
    /// How far the top-level keys are indented.
    root: Option<usize>,
    /// The whole suite is written in braces.
    is_flow: bool,
    is_secret: bool,
}

impl Section {
    fn may_hold_secrets(&mut self, line: &str) -> bool {
        let line = line.trim_start_matches('\u{feff}');
        let line = line.strip_prefix("---").unwrap_or(line);
        let inside = line.trim_start();
        if inside.is_empty() || inside.starts_with(['#', '%']) {
            return self.is_flow || self.is_secret;
        }
        if self.root.is_none() {
            self.is_flow = inside.starts_with(['{', '[']);
        }
        let indent = indentation(line);
        let root = *self.root.get_or_insert(indent);
        let name = inside.split(':').next().unwrap_or_default();
        let name = name.trim_end().trim_matches(['"', '\'']);
        if matches!(name, "processors" | "hooks" | "channels" | "store") {
            // Wrongly indented, perhaps.
            self.is_secret = true;
        } else if indent <= root && !inside.starts_with('-') {
            self.is_secret = !ORDINARY.contains(&name);
        }
        self.is_flow || self.is_secret
    }
}

/// A secret value that may go on in the next lines.
struct Open {
    /// The column of its key.
    column: usize,
    /// It has begun as a text without quotes, which another key ends.
    is_plain: bool,
}

impl Open {
    fn holds(&self, line: &str) -> bool {
        static NEXT: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r#"^\s*(- +)*["']?[\w.-]+["']?\s*:(\s|$)"#).expect("the pattern is valid")
        });
        let indent = indentation(line);
        if self.is_plain {
            return indent > self.column && !NEXT.is_match(line);
        }
        indent > self.column || indent == self.column && line[indent..].starts_with('-')
    }
}

/// Where the passwords of URLs like `smtps://user:password@host` stand.
fn passwords(line: &str) -> Vec<Range<usize>> {
    static SCHEME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[A-Za-z][A-Za-z0-9+.-]*://").expect("the pattern is valid"));
    let password = |scheme: regex::Match<'_>| {
        let before = &line[..scheme.start()];
        let rest = &line[scheme.end()..];
        // What should be percent-encoded but is not belongs to the password, too.
        let end = match before.chars().next_back() {
            Some(quote @ ('"' | '\'')) => closing_quote(rest, quote),
            _ if before.contains(['{', '[']) => find(rest, |c, _| c.is_whitespace()),
            _ => find(rest, begins_comment),
        };
        let credentials = &rest[..end.unwrap_or(rest.len())];
        let credentials = &credentials[..credentials.rfind('@')?];
        let user = find(credentials, |c, _| c == ':')?;
        Some(scheme.end() + user + 1..scheme.end() + credentials.len())
    };
    SCHEME.find_iter(line).filter_map(password).collect()
}

/// Where the paths of URLs like `https://hooks.example.org/services/token` stand: whoever
/// knows them may post there.
fn paths(line: &str) -> Vec<Range<usize>> {
    static URL: LazyLock<Regex> = LazyLock::new(|| {
        let url = r#"(?i)https?://[^/?#\s"']*[/?#]([^\s"']+)"#;
        Regex::new(url).expect("the pattern is valid")
    });
    let paths = URL.captures_iter(line).filter_map(|url| url.get(1));
    paths.map(|path| path.range()).collect()
}

/// Adds to `ranges` where the values of secret keys stand; returns the last one if it may
/// go on in the next line.
fn values(line: &str, ranges: &mut Vec<Range<usize>>) -> Option<Open> {
    static KEY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"["']?([\w.-]+)["']?\s*:\s*"#).expect("the pattern is valid")
    });
    let mut open = None;
    let mut from = 0;
    while let Some(key) = KEY.captures_at(line, from) {
        let (all, name) = (key.get_match(), key.get(1));
        let before = &line[..all.start()];
        from = all.end();
        if before.ends_with("${") || !name.is_some_and(|name| is_secret(name.as_str())) {
            continue;
        }
        let is_flow = before.contains(['{', '[']);
        let column = if is_flow {
            indentation(line)
        } else {
            all.start()
        };
        let value = &line[all.end()..];
        let inside = value.get(1..).unwrap_or_default();
        let (range, is_plain) = match value.chars().next() {
            None | Some('#') => (None, false),
            Some('|' | '>') if inside.len() < 3 || inside.contains(" #") => (None, false),
            Some(quote @ ('"' | '\'')) => {
                let end = closing_quote(inside, quote);
                (end.map(|end| 1..1 + end), false)
            }
            Some('[' | '{') => {
                let end = closing_bracket(inside);
                (end.map(|end| 1..1 + end), false)
            }
            Some(_) => {
                let end = find(value, |c, rest| {
                    begins_comment(c, rest) || is_flow && matches!(c, ',' | ']' | '}')
                });
                (Some(0..end.unwrap_or(value.len())), !is_flow)
            }
        };
        let is_whole = range.is_some();
        let range = range.unwrap_or(0..value.len());
        open = (is_plain || !is_whole).then_some(Open { column, is_plain });
        from = all.end() + range.end;
        ranges.push(all.end() + range.start..from);
    }
    open
}

/// Whether a setting of this name is secret, also if the name is misspelled.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let resembles = |word: &str, part: &str| match word.len() {
        ..5 => false,
        5 => strsim::osa_distance(word, part) < 2,
        _ => strsim::osa_distance(word, part) < 3,
    };
    SECRET.iter().any(|word| {
        name.contains(word)
            || name
                .split(['_', '-', '.'])
                .any(|part| resembles(word, part))
    })
}

fn begins_comment(character: char, rest: &str) -> bool {
    character.is_whitespace() && rest.trim_start().starts_with('#')
}

/// The offset of the quote that ends a text. One in the middle of a word does not.
fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut characters = text.char_indices().peekable();
    while let Some((offset, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        if character == '\\' && quote == '"' {
            characters.next();
        } else if character == quote
            && next.is_none_or(|c| c.is_whitespace() || matches!(c, ',' | ']' | '}' | ':'))
        {
            return Some(offset);
        }
    }
    None
}

/// The offset of the bracket that closes what is already open.
fn closing_bracket(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut from = 0;
    while let Some(at) = text[from..].find(['[', ']', '{', '}', '"', '\'']) {
        let at = from + at;
        from = at + 1;
        match &text[at..from] {
            "[" | "{" => depth += 1,
            "]" | "}" if depth == 0 => return Some(at),
            "]" | "}" => depth -= 1,
            quote => {
                let quote = if quote == "'" { '\'' } else { '"' };
                from += closing_quote(&text[from..], quote)? + 1;
            }
        }
    }
    None
}

/// The offset of the first character outside of `${..}` for which `is_it`, which is also
/// given what follows it, holds.
fn find(text: &str, is_it: impl Fn(char, &str) -> bool) -> Option<usize> {
    let mut from = 0;
    while let Some(character) = text[from..].chars().next() {
        if let Some(inside) = interpolation(&text[from..]) {
            from += inside.len() + "${}".len();
            continue;
        }
        let next = from + character.len_utf8();
        if is_it(character, &text[next..]) {
            return Some(from);
        }
        from = next;
    }
    None
}

/// What is inside the `${..}` with which `text` begins.
fn interpolation(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("${")?;
    let mut depth = 0_usize;
    for (offset, character) in inside.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(&inside[..offset]),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Writes `line` with stars in `ranges`.
fn star_ranges(line: &str, mut ranges: Vec<Range<usize>>, shown: &mut String) {
    ranges.sort_by_key(|range| range.start);
    let mut done = 0;
    for range in ranges {
        let begin = range.start.max(done);
        if begin < range.end {
            shown.push_str(&line[done..begin]);
            star(&line[begin..range.end], shown);
            done = range.end;
        }
    }
    shown.push_str(&line[done..]);
}

/// Writes `text` with stars for all that is not `${..}`.
fn star(text: &str, shown: &mut String) {
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let inside = interpolation(rest).filter(|inside| is_reference(inside));
        let length = if let Some(inside) = inside {
            let default = inside.find('-').filter(|_| !is_hidden(inside));
            let (name, default) = inside.split_at(default.map_or(inside.len(), |at| at + 1));
            shown.push_str("${");
            shown.push_str(name);
            star(default, shown);
            shown.push('}');
            inside.len() + "${}".len()
        } else if rest.starts_with("$$") {
            shown.push_str("**");
            "$$".len()
        } else {
            shown.push('*');
            character.len_utf8()
        };
        rest = &rest[length..];
    }
}

/// Whether `${inside}` names a variable, a secret or a file.
fn is_reference(inside: &str) -> bool {
    static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[A-Za-z_][A-Za-z0-9_]*($|:?[-?])").expect("the pattern is valid")
    });
    is_hidden(inside) || REFERENCE.is_match(inside)
}

fn is_hidden(inside: &str) -> bool {
    let name = ["secret:", "file:"].map(|prefix| inside.strip_prefix(prefix));
    let name = name.into_iter().flatten().next();
    name.is_some_and(|name| !name.starts_with(['-', '?']))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines below `processors:`, masked.
    fn below(lines: &str) -> String {
        let shown = masked(&format!("processors:\n{lines}"));
        shown.strip_prefix("processors:\n").unwrap().to_owned()
    }

    #[test]
    fn literal_secrets_are_masked_however_they_are_written() {
        let cases = [
            // URLs.
            (
                "  smtp: smtps://dq:pw1@mail # a@b",
                "  smtp: smtps://dq:***@mail # a@b",
            ),
            (
                "  a: {url: https://hooks.example.org/services/T1, to: b}",
                "  a: {url: https://hooks.example.org/************ to: b}",
            ),
            (
                "  url: 'https://x.example.org?sig=S' # https://docs",
                "  url: 'https://x.example.org?*****' # https://docs",
            ),
            (
                "  smtp: \"smtps://dq:p@w 1@mail\"",
                "  smtp: \"smtps://dq:*****@mail\"",
            ),
            (
                "  a: {smtp: 'smtps://dq:p,1@mail', to: [a@b]}",
                "  a: {smtp: 'smtps://dq:***@mail', to: [a@b]}",
            ),
            (
                "  a: {smtp: smtps://dq:p,1@mail, to: [a@b]}",
                "  a: {smtp: smtps://dq:***@mail, to: [a@b]}",
            ),
            (
                "  a: {smtp: \"smtp://h:2525?tls=none\", from: a@b}",
                "  a: {smtp: \"smtp://h:2525?tls=none\", from: a@b}",
            ),
            ("  url: redis://:pw1@h", "  url: redis://:***@h"),
            (
                "  url: https://h.example.org/a@b",
                "  url: https://h.example.org/***",
            ),
            ("  url: 'smtps://dq:pé1@mail", "  url: 'smtps://dq:***@mail"),
            (
                "  url: smtps://dq:${secret:PW}@mail",
                "  url: smtps://dq:${secret:PW}@mail",
            ),
            (
                "  url: smtps://${U:-dq}:${PW:-pw1}@mail",
                "  url: smtps://${U:-dq}:${PW:-***}@mail",
            ),
            (
                "  url: \"${URL:-smtps://dq:pw1@mail}\"",
                "  url: \"${URL:-smtps://dq:***@mail}\"",
            ),
            ("# url: smtps://dq:pw1@mail", "# url: smtps://dq:***@mail"),
            // Keys.
            ("  secret: pw1", "  secret: ***"),
            ("  PASSWORD: 'pw1' # why", "  PASSWORD: '***' # why"),
            ("  \"api_key\" : \"p\\\"1\" ", "  \"api_key\" : \"****\" "),
            (
                "  a: {X-Auth-Token: pw1, b: {c: d}}",
                "  a: {X-Auth-Token: ***, b: {c: d}}",
            ),
            (
                "  a: {b: c, Authorization: \"Bearer pw1\"}",
                "  a: {b: c, Authorization: \"**********\"}",
            ),
            (
                "  a: {\"token\":\"p,1\",\"b\":1}",
                "  a: {\"token\":\"***\",\"b\":1}",
            ),
            ("  password:pw1", "  password:***"),
            ("  pasword: pw1", "  pasword: ***"),
            ("  secert: pw1", "  secert: ***"),
            ("  secret: \"pw\"1\"", "  secret: \"****\""),
            ("  secret: 'pw1", "  secret: ****"),
            ("  url: \"x, secret: pw1", "  url: \"x, secret: ***"),
            ("  secret: [pw1, \"]\"] # x", "  secret: [********] # x"),
            ("  secret: pw$${1}", "  secret: *******"),
            (
                "  token: \"${secret:TOKEN}\"",
                "  token: \"${secret:TOKEN}\"",
            ),
            (
                "  token: Bearer ${secret:TOKEN}",
                "  token: *******${secret:TOKEN}",
            ),
            ("  token: ${T:-pw1}", "  token: ${T:-***}"),
            ("  token: ${p w}", "  token: ******"),
            ("  url: \"${secret:URL}\"", "  url: \"${secret:URL}\""),
            ("  subject: nothing", "  subject: nothing"),
            // More than one line.
            (
                "  secret: |-\n    pw1\n\n    pw2\n  b: c",
                "  secret: **\n    ***\n\n    ***\n  b: c",
            ),
            ("  secret:\n    pw1\n  b: c", "  secret:\n    ***\n  b: c"),
            (
                "  secret:\n  - pw1\n  - pw2\n  b: c",
                "  secret:\n  - ***\n  - ***\n  b: c",
            ),
            (
                "  secret: \"pw1\n    pw2\"\n  b: c",
                "  secret: ****\n    ****\n  b: c",
            ),
            (
                "  secret: pw1\n    pw2\n    b: c",
                "  secret: ***\n    ***\n    b: c",
            ),
            ("  - secret: pw1\n    b: c", "  - secret: ***\n    b: c"),
            ("  secret: pw1\r\n  b: c\r\n", "  secret: ***\r\n  b: c\r\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(below(text), expected, "{text}");
        }
    }

    #[test]
    fn only_the_sections_with_secrets_are_masked() {
        let line = "secret: pw1";
        let cases = [
            ("version: 1\nprocessors:\n  {}", true),
            ("processors: {}\nstore:\n  {}", true),
            ("store:\n# why\n  {}", true),
            ("processors:\n- {}", true),
            ("\"processors\":\n  {}", true),
            ("\u{feff}processors:\n  {}", true),
            ("---\nprocessors:\n  {}", true),
            ("  version: 1\n  processors:\n    {}", true),
            ("checks:\n procesors:\n  {}", false),
            ("checks:\n processors:\n  {}", true),
            ("procesors:\n  {}", true),
            ("processors\n  {}", true),
            ("{version: 1, {}}", true),
            ("checks:\n  {}", false),
            ("processors:\n  a: b\nchecks:\n  {}", false),
            ("store: x\n'datasets' :\n- {}", false),
        ];
        for (text, is_masked) in cases {
            let text = text.replacen("{}", line, 1);
            assert_eq!(masked(&text).contains("***"), is_masked, "{text}");
        }
    }

    #[test]
    fn masked_text_has_the_same_lines_and_columns_whatever_it_is() {
        let text = "processors:\n  a: {secret: [\"é\\\"\", {b: 'c'}], url: \"x://u:${P:-p}@h\"}\n";
        for index in text.char_indices().map(|(index, _)| index) {
            for damage in [
                "", "\"", "'", "\n", "é", "[", "}", "${", "$$", "\\", "|", "\r",
            ] {
                let text = format!("{}{damage}{}", &text[..index], &text[index..]);
                let lengths = |text: &str| -> Vec<usize> {
                    text.split(['\n', '\r'])
                        .map(|line| line.chars().count())
                        .collect()
                };
                assert_eq!(lengths(&masked(&text)), lengths(&text), "{text}");
            }
        }
    }
}
