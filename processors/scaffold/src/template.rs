//! The files of a new plugin: templates with the names filled in.

use std::path::Path;

use crate::name::crate_name;
use crate::{Kind, Lang};

/// The longest name of a type that is made of the plugin's name.
const LONGEST_TYPE: usize = 24;

/// Names of types that the templates use already.
const USED: &[&str] = &[
    "Action",
    "Arc",
    "AtomicU32",
    "Box",
    "ConfigError",
    "Deserialize",
    "Err",
    "Event",
    "EventHook",
    "Hook",
    "JsonSchema",
    "Metric",
    "MetricKind",
    "None",
    "Ok",
    "OpenOptions",
    "Option",
    "Ordering",
    "Outcome",
    "PathBuf",
    "Plugin",
    "ProcessContext",
    "Processor",
    "ProcessorError",
    "Report",
    "Result",
    "ResultProcessor",
    "Self",
    "Send",
    "Settings",
    "Some",
    "String",
    "Subscription",
    "Sync",
    "Vec",
    "Write",
];

/// A template by the path of its file.
macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../templates/", $path, ".in"))
    };
}

/// The files, by their paths in the plugin's folder.
pub(crate) fn files(
    name: &str,
    lang: Lang,
    kind: Kind,
    contract: Option<&Path>,
) -> Vec<(&'static str, String)> {
    let templates: Vec<(&str, &str)> = match (lang, kind) {
        (Lang::Rust, Kind::Processor) => vec![
            (".gitignore", template!("rust/gitignore")),
            ("Cargo.toml", template!("rust/processor.toml")),
            ("README.md", template!("rust/processor.md")),
            ("src/lib.rs", template!("rust/processor.rs")),
            ("tests/plugin.rs", template!("rust/processor_test.rs")),
        ],
        (Lang::Rust, Kind::Hook) => vec![
            (".gitignore", template!("rust/gitignore")),
            ("Cargo.toml", template!("rust/hook.toml")),
            ("README.md", template!("rust/hook.md")),
            ("src/lib.rs", template!("rust/hook.rs")),
            ("tests/plugin.rs", template!("rust/hook_test.rs")),
        ],
        (Lang::Python, Kind::Processor) => vec![
            ("README.md", template!("python/processor.md")),
            ("plugin.py", template!("python/processor.py")),
            ("plugin.yaml", template!("python/processor.yaml")),
            ("test_plugin.py", template!("python/processor_test.py")),
        ],
        (Lang::Python, Kind::Hook) => vec![
            ("README.md", template!("python/hook.md")),
            ("plugin.py", template!("python/hook.py")),
            ("plugin.yaml", template!("python/hook.yaml")),
            ("test_plugin.py", template!("python/hook_test.py")),
        ],
    };
    let (plain, testing) = dependencies(contract);
    let values = [
        ("{{name}}", name.to_owned()),
        ("{{crate}}", crate_name(name)),
        ("{{Type}}", type_name(name, kind)),
        ("{{contract}}", plain),
        ("{{contract_for_tests}}", testing),
    ];
    let fill = |template: &str| {
        let mut text = template.to_owned();
        for (placeholder, value) in &values {
            text = text.replace(placeholder, value);
        }
        text
    };
    let filled = templates.into_iter();
    filled.map(|(path, text)| (path, fill(text))).collect()
}

/// What stands behind `veracity-processor =`, for the crate and for its tests.
fn dependencies(contract: Option<&Path>) -> (String, String) {
    let testing = "features = [\"testing\"]";
    match contract {
        None => (
            "\"0.1\"".to_owned(),
            format!("{{ version = \"0.1\", {testing} }}"),
        ),
        Some(path) => {
            let path = path.display().to_string();
            let path = path.replace('\\', "\\\\").replace('"', "\\\"");
            (
                format!("{{ path = \"{path}\" }}"),
                format!("{{ path = \"{path}\", {testing} }}"),
            )
        }
    }
}

/// The name of the plugin's type: `SmsText` for `sms-text`, unless that is used already or
/// so long that lines would have to be broken.
fn type_name(name: &str, kind: Kind) -> String {
    let mut own = String::new();
    for word in name.split(['-', '_']) {
        let mut letters = word.chars();
        own.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        own.push_str(letters.as_str());
    }
    let kind = match kind {
        Kind::Processor => "Processor",
        Kind::Hook => "Hook",
    };
    if USED.contains(&&*own) {
        own.push_str(kind);
    }
    if USED.contains(&&*own) || own.len() > LONGEST_TYPE {
        own = format!("My{kind}");
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_called_as_the_plugin_is_where_that_is_free() {
        let cases = [
            ("ledger", "Ledger"),
            ("sms-text_2", "SmsText2"),
            ("a--b-", "AB"),
            ("report", "ReportProcessor"),
            ("result", "MyProcessor"),
            ("a-name-that-is-longer-than-most", "MyProcessor"),
        ];
        for (name, expected) in cases {
            assert_eq!(type_name(name, Kind::Processor), expected, "{name}");
        }
        assert_eq!(type_name("event", Kind::Hook), "MyHook");
        assert_eq!(type_name("metric", Kind::Hook), "MetricHook");
    }

    #[test]
    fn a_path_is_written_as_toml_reads_it() {
        let (plain, _) = dependencies(Some(Path::new(r#"C:\a "b""#)));
        assert_eq!(plain, r#"{ path = "C:\\a \"b\"" }"#);
    }

    #[test]
    fn every_placeholder_is_filled_in() {
        for lang in Lang::ALL {
            for kind in Kind::ALL {
                for (path, text) in files("ledger", lang, kind, None) {
                    assert!(!text.contains("{{"), "{lang} {kind} {path}");
                    assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{path}");
                    assert!(!text.contains(" \n") && !text.contains('\t'), "{path}");
                }
            }
        }
    }
}
