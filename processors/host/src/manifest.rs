//! Executable plugins: folders with a `plugin.yaml`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use veracity_processor::{
    Capability, Conditions, Kind, PLUGIN_API_VERSION, PluginInfo, Stage, Subscription,
};

use crate::hooks;
use crate::names::{did_you_mean, listed};

/// The name of the file in a plugin's folder.
pub const FILE: &str = "plugin.yaml";
const MAX_BYTES: u64 = 256 * 1024;

/// An executable plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// What it says about itself.
    pub info: PluginInfo,
    /// The program and its arguments; run in the folder.
    pub command: Vec<String>,
    /// Its folder.
    pub folder: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    name: String,
    kind: Kind,
    version: String,
    #[serde(default)]
    requires_api: Option<String>,
    description: String,
    #[serde(default)]
    author: String,
    command: Vec<String>,
    #[serde(default)]
    config_schema: Option<Value>,
    #[serde(default)]
    default_config: Option<Value>,
    #[serde(default)]
    depends_on: Vec<String>,
    #[serde(default)]
    capabilities: Vec<Capability>,
    #[serde(default)]
    stages: Option<Vec<String>>,
    #[serde(default)]
    conditions: Option<Conditions>,
    #[serde(default)]
    subscription: Option<Subscription>,
    #[serde(default)]
    example_config: String,
}

/// Reads the `plugin.yaml` in `folder`.
///
/// # Errors
///
/// What is wrong with it, as a message that names the file.
pub fn read(folder: &Path) -> Result<Manifest, String> {
    let file = folder.join(FILE);
    let failed = |what: String| format!("`{}`: {what}", file.display());
    let mut text = String::new();
    let opened = fs::File::open(&file).map_err(|error| failed(error.to_string()))?;
    opened
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(failed(format!("it is larger than {MAX_BYTES} bytes")));
    }
    let keys: Keys =
        serde_saphyr::from_str(&text).map_err(|error| failed(first_line(&error.to_string())))?;
    if keys.kind == Kind::Secrets {
        return Err(failed(format!(
            "an executable cannot be a {} plugin",
            keys.kind
        )));
    }
    if keys
        .command
        .first()
        .is_none_or(|program| program.is_empty())
    {
        return Err(failed("`command` names no program".to_owned()));
    }
    if let Some(wrong) = wrong_name(&keys.name) {
        return Err(failed(wrong));
    }
    if let Err(error) = semver::Version::parse(&keys.version) {
        return Err(failed(format!(
            "version `{}` is not semver: {error}",
            keys.version
        )));
    }
    let wrong = misplaced(&keys).or_else(|| unheard_of(&keys.subscription));
    if let Some(wrong) = wrong {
        return Err(failed(wrong));
    }
    let mut info = PluginInfo::new(keys.kind, keys.name, keys.version);
    if let Some(stages) = &keys.stages {
        info.stages = served(stages).map_err(failed)?;
    }
    info.conditions = keys.conditions.unwrap_or_default();
    info.subscription = keys.subscription.unwrap_or_default();
    info.description = keys.description;
    info.author = keys.author;
    info.requires_api = keys
        .requires_api
        .unwrap_or_else(|| PLUGIN_API_VERSION.to_owned());
    info.depends_on = keys.depends_on;
    info.capabilities = keys.capabilities;
    info.example_config = keys.example_config;
    // Without a schema anything goes; with one, `additionalProperties` is its own affair.
    info.config_schema = keys
        .config_schema
        .unwrap_or_else(|| serde_json::json!({"type": "object"}));
    if let Err(error) = jsonschema::options().build(&info.config_schema) {
        return Err(failed(format!(
            "`config_schema` is no JSON Schema: {}",
            error.masked()
        )));
    }
    if let Some(defaults) = keys.default_config {
        info.default_config = defaults;
    }
    Ok(Manifest {
        info,
        command: keys.command,
        folder: folder.to_owned(),
    })
}

/// What of `keys` a plugin of its kind does not have.
fn misplaced(keys: &Keys) -> Option<String> {
    let kind = keys.kind;
    let said = [
        ("stages", Kind::Processor, keys.stages.is_some()),
        ("conditions", Kind::Processor, keys.conditions.is_some()),
        ("subscription", Kind::Hook, keys.subscription.is_some()),
    ];
    let mut said = said.into_iter();
    let (key, right, _) = said.find(|&(_, right, is_said)| is_said && right != kind)?;
    Some(format!("`{key}` is for a {right}, and this is a {kind}"))
}

/// What is wrong with `subscription`, first of all.
fn unheard_of(subscription: &Option<Subscription>) -> Option<String> {
    let wrong = hooks::unfit(subscription.as_ref()?).into_iter().next()?;
    Some(format!(
        "`subscription{}`: {}",
        wrong.path.replace('/', "."),
        wrong.message
    ))
}

/// The stages called `names`.
fn served(names: &[String]) -> Result<Vec<Stage>, String> {
    const ALL: [Stage; 4] = [
        Stage::BeforeRun,
        Stage::AfterRun,
        Stage::OnError,
        Stage::DeadLetter,
    ];
    if names.is_empty() {
        return Err("`stages` names none; leave it out for `after_run`".to_owned());
    }
    let all: Vec<String> = ALL.iter().map(ToString::to_string).collect();
    let mut stages = Vec::new();
    for name in names {
        let Some(place) = all.iter().position(|one| one == name) else {
            let near = did_you_mean(name, all.iter().map(String::as_str));
            return Err(format!(
                "there is no stage `{name}`{near}; there are {}",
                listed(all.iter().map(String::as_str))
            ));
        };
        if stages.contains(&ALL[place]) {
            return Err(format!("`stages` names `{name}` twice"));
        }
        stages.push(ALL[place]);
    }
    Ok(stages)
}

/// What is wrong with `name` as the name of a plugin.
pub fn wrong_name(name: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let fine = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 64
        && name.chars().all(legal);
    (!fine).then(|| {
        let shown: String = name.chars().take(80).collect();
        format!("name `{shown}` is not a lower-case letter followed by letters, digits, `-` and `_`, 64 at most")
    })
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use veracity_processor::Mode;

    use super::*;

    fn read_text(text: &str) -> Result<Manifest, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), text).unwrap();
        let read = read(folder.path());
        read.map_err(|error| error.replace(&*folder.path().to_string_lossy(), "plugins/x"))
    }

    const GOOD: &str = "name: sms\nkind: processor\nversion: 1.2.0\ndescription: Texts people\ncommand: [python3, sms.py]\n";

    #[test]
    fn a_manifest_says_what_a_plugin_is_and_how_it_is_started() {
        let manifest = read_text(GOOD).unwrap();
        assert_eq!(manifest.command, ["python3", "sms.py"]);
        let info = manifest.info;
        assert_eq!(
            (&*info.name, &*info.requires_api),
            ("sms", PLUGIN_API_VERSION)
        );
        let more = format!(
            "{GOOD}requires_api: \"^1.0\"\ncapabilities: [raw_rows]\nconfig_schema: {{type: object, properties: {{to: {{type: string}}}}}}\n"
        );
        let info = read_text(&more).unwrap().info;
        assert_eq!(info.capabilities, [Capability::RawRows]);
        assert_eq!(info.config_schema["properties"]["to"]["type"], "string");
    }

    fn of_kind(kind: &str) -> String {
        GOOD.replace("kind: processor", &format!("kind: {kind}"))
    }

    #[test]
    fn hooks_and_channels_and_stages_can_be_those_of_an_executable() {
        let text = format!(
            "{}subscription:\n  events: [assertion.*, '*.error']\n  where: {{severity: [P0, P1], \
             duration_ms: {{min: 5}}}}\n  priority: 7\n  mode: synchronous\n",
            of_kind("hook")
        );
        let info = read_text(&text).unwrap().info;
        assert_eq!((info.kind, &*info.stages), (Kind::Hook, &[][..]));
        let subscription = info.subscription;
        assert_eq!(subscription.events, ["assertion.*", "*.error"]);
        assert_eq!(subscription.condition.len(), 2);
        assert_eq!(
            (subscription.priority, subscription.mode),
            (7, Mode::Synchronous)
        );
        let info = read_text(&of_kind("hook")).unwrap().info;
        assert_eq!(info.subscription, Subscription::default());
        let info = read_text(&of_kind("channel")).unwrap().info;
        assert_eq!(info.kind, Kind::Channel);
        let text = format!(
            "{GOOD}stages: [before_run, dead_letter]\nconditions: {{suites: [orders*], tags: [daily]}}\n"
        );
        let info = read_text(&text).unwrap().info;
        assert_eq!(info.stages, [Stage::BeforeRun, Stage::DeadLetter]);
        assert_eq!(info.conditions.suites, ["orders*"]);
        let info = read_text(GOOD).unwrap().info;
        assert_eq!(info.stages, [Stage::AfterRun]);
    }

    #[test]
    fn a_manifest_that_is_wrong_says_so() {
        let cases = [
            ("", "a mapping"),
            ("name: [", "plugin.yaml"),
            (
                "name: sms\nkind: processor\nversion: 1.0.0\ndescription: x\n",
                "command",
            ),
            (&GOOD.replace("sms\n", "S M S\n"), "name `S M S` is not"),
            (&GOOD.replace("1.2.0", "one"), "version `one` is not semver"),
            (
                &GOOD.replace("processor", "secrets"),
                "cannot be a secrets plugin",
            ),
            (&GOOD.replace("[python3, sms.py]", "[]"), "names no program"),
            (
                &format!("{GOOD}config_schema: {{type: 7}}\n"),
                "is no JSON Schema",
            ),
            (&format!("{GOOD}colour: red\n"), "colour"),
            (
                &format!("{GOOD}stages: [before_rum]\n"),
                "there is no stage `before_rum`, did you mean `before_run`?; there are \
                 `after_run`, `before_run`, `dead_letter`, `on_error`",
            ),
            (&format!("{GOOD}stages: []\n"), "`stages` names none"),
            (
                &format!("{GOOD}stages: [after_run, after_run]\n"),
                "`stages` names `after_run` twice",
            ),
            (&format!("{GOOD}conditions: {{suits: [a]}}\n"), "suits"),
            (
                &format!("{GOOD}subscription: {{}}\n"),
                "`subscription` is for a hook, and this is a processor",
            ),
            (
                &format!("{}stages: [after_run]\n", of_kind("channel")),
                "`stages` is for a processor, and this is a channel",
            ),
            (
                &format!("{}conditions: {{}}\n", of_kind("hook")),
                "`conditions` is for a processor, and this is a hook",
            ),
            (
                &format!(
                    "{}subscription: {{events: [asertion.end]}}\n",
                    of_kind("hook")
                ),
                "`subscription.events.0`: no event is called `asertion.end`, did you mean \
                 `assertion.end`?",
            ),
            (
                &format!(
                    "{}subscription: {{where: {{outcome: {{mni: 1}}}}}}\n",
                    of_kind("hook")
                ),
                "`subscription.where.outcome`: expected a value, a list of values, or bounds",
            ),
            (
                &format!("{}subscription: {{mode: sync}}\n", of_kind("hook")),
                "sync",
            ),
        ];
        for (text, expected) in cases {
            let error = read_text(text).unwrap_err();
            assert!(error.starts_with("`plugins/x/plugin.yaml`: "), "{error}");
            if !text.is_empty() {
                assert!(error.contains(expected), "{expected}: {error}");
            }
        }
        let missing = read(Path::new("no/such")).unwrap_err();
        assert!(missing.starts_with("`no/such/plugin.yaml`: "), "{missing}");
    }
}
