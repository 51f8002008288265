//! What JUnit XML is, as CI systems read it.

use crate::xml::Element;

/// An element: its name, attributes it must have, attributes it may have, and its children
/// in their order. `junit-10.xsd` of Jenkins' xUnit plugin knows all that is not in `more`.
struct Rule {
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    more: &'static [&'static str],
    children: &'static [&'static str],
    has_text: bool,
}

const RULES: &[Rule] = &[
    Rule {
        name: "testsuites",
        required: &["tests", "failures", "errors", "time"],
        optional: &["name"],
        more: &["skipped", "timestamp"],
        children: &["testsuite"],
        has_text: false,
    },
    Rule {
        name: "testsuite",
        required: &["name", "tests", "failures", "errors", "skipped", "time"],
        optional: &["timestamp", "file"],
        more: &[],
        children: &["properties", "testcase", "system-out", "system-err"],
        has_text: false,
    },
    Rule {
        name: "properties",
        required: &[],
        optional: &[],
        more: &[],
        children: &["property"],
        has_text: false,
    },
    Rule {
        name: "property",
        required: &["name", "value"],
        optional: &[],
        more: &[],
        children: &[],
        has_text: false,
    },
    Rule {
        name: "testcase",
        required: &["name", "classname", "time"],
        optional: &[],
        more: &["file", "line", "properties"],
        children: &["properties", "failure", "error", "skipped", "system-out"],
        has_text: false,
    },
    Rule {
        name: "failure",
        required: &["message", "type"],
        optional: &[],
        more: &[],
        children: &[],
        has_text: true,
    },
    Rule {
        name: "error",
        required: &["message", "type"],
        optional: &[],
        more: &[],
        children: &[],
        has_text: true,
    },
    Rule {
        name: "skipped",
        required: &["message"],
        optional: &[],
        more: &[],
        children: &[],
        has_text: true,
    },
    Rule {
        name: "system-out",
        required: &[],
        optional: &[],
        more: &[],
        children: &[],
        has_text: true,
    },
    Rule {
        name: "system-err",
        required: &[],
        optional: &[],
        more: &[],
        children: &[],
        has_text: true,
    },
];

/// Everything that is wrong with `document`; with `strict` also what `junit-10.xsd` does
/// not know.
pub fn faults(document: &str, strict: bool) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(c) = document.chars().find(|c| !is_legal(*c)) {
        faults.push(format!("{c:?} is no character of XML 1.0"));
    }
    let root = match Element::read(document) {
        Ok(root) => root,
        Err(error) => return vec![error],
    };
    if root.name != "testsuites" {
        faults.push(format!("the root is `{}`", root.name));
    }
    check(&root, strict, &mut faults);
    count(&root, &mut faults);
    faults
}

fn check(element: &Element, strict: bool, faults: &mut Vec<String>) {
    let Some(rule) = RULES.iter().find(|rule| rule.name == element.name) else {
        return faults.push(format!("there is no element `{}`", element.name));
    };
    let name = rule.name;
    for attribute in rule.required {
        if !element.attributes.contains_key(*attribute) {
            faults.push(format!("`{name}` has no `{attribute}`"));
        }
    }
    for (attribute, value) in &element.attributes {
        let lists = [rule.required, rule.optional, rule.more];
        let known = if strict { &lists[..2] } else { &lists };
        if !known.iter().any(|list| list.contains(&attribute.as_str())) {
            faults.push(format!("`{name}` has an attribute `{attribute}`"));
        }
        let fits = match attribute.as_str() {
            "tests" | "failures" | "errors" | "skipped" | "line" => value.parse::<u64>().is_ok(),
            "time" => is_time(value),
            "timestamp" => value.len() == 19 && value.as_bytes()[10] == b'T',
            _ => true,
        };
        if !fits {
            faults.push(format!("`{attribute}` of `{name}` is `{value}`"));
        }
        if value.chars().any(|c| !is_legal(c)) {
            faults.push(format!(
                "`{attribute}` of `{name}` refers to a forbidden character"
            ));
        }
    }
    if !rule.has_text && !element.text.trim().is_empty() {
        faults.push(format!("`{name}` has text"));
    }
    if element.text.chars().any(|c| !is_legal(c)) {
        faults.push(format!("text of `{name}` refers to a forbidden character"));
    }
    let mut last = 0;
    for child in &element.children {
        let place = rule.children.iter().position(|one| *one == child.name);
        match place {
            Some(_) if strict && rule.more.contains(&child.name.as_str()) => {
                faults.push(format!("`{name}` has `{}`", child.name));
            }
            Some(place) if place >= last => last = place,
            _ => faults.push(format!("`{}` stands wrong in `{name}`", child.name)),
        }
        check(child, strict, faults);
    }
    let outcomes = ["failure", "error", "skipped"].iter();
    if outcomes.map(|one| element.all(one).count()).sum::<usize>() > 1 {
        faults.push(format!("`{name}` has several outcomes"));
    }
}

/// Attributes that count must say what is there.
fn count(root: &Element, faults: &mut Vec<String>) {
    let mut totals = [0; 4];
    for suite in root.all("testsuite") {
        let cases: Vec<&Element> = suite.all("testcase").collect();
        let with = |name: &str| {
            cases
                .iter()
                .filter(|case| case.all(name).count() > 0)
                .count()
        };
        let found = [cases.len(), with("failure"), with("error"), with("skipped")];
        compare(suite, &found, faults);
        for (total, count) in totals.iter_mut().zip(found) {
            *total += count;
        }
    }
    compare(root, &totals, faults);
}

fn compare(element: &Element, found: &[usize; 4], faults: &mut Vec<String>) {
    let names = ["tests", "failures", "errors", "skipped"];
    for (name, count) in names.into_iter().zip(found) {
        let stated = element.attributes.get(name);
        if stated.is_some_and(|stated| *stated != count.to_string()) {
            let element = &element.name;
            faults.push(format!("`{name}` of `{element}` is not {count}"));
        }
    }
}

/// Seconds: digits, and at most one dot with more of them.
fn is_time(value: &str) -> bool {
    let (seconds, fraction) = value.split_once('.').unwrap_or((value, "0"));
    [seconds, fraction]
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[test]
fn the_vector_has_no_faults() {
    let vector = include_str!("../vectors/junit.xml");
    assert_eq!(faults(vector, false), Vec::<String>::new());
}

#[test]
fn faults_are_found() {
    let vector = include_str!("../vectors/junit.xml");
    let cases = [
        ("no XML", "</testsuite>", ""),
        ("a count", r#"failures="1""#, r#"failures="2""#),
        ("a time", r#"time="4.210""#, r#"time="4,210""#),
        ("no name", r#"name="orders.daily""#, ""),
        ("an element", "skipped message", "ignored message"),
        ("a character", "SELECT ...", "\u{1}"),
        ("a reference to it", "SELECT ...", "&#1;"),
        (
            "two outcomes",
            "SELECT ...</failure>",
            r#"</failure><skipped message="x"/>"#,
        ),
        (
            "the order",
            "</testcase>\n  </testsuite>",
            "</testcase><properties/></testsuite>",
        ),
    ];
    for (label, from, to) in cases {
        assert!(vector.contains(from), "{label}");
        let broken = vector.replacen(from, to, 1);
        assert_ne!(faults(&broken, false), Vec::<String>::new(), "{label}");
    }
    assert_ne!(faults(vector, true), Vec::<String>::new(), "file and line");
}
