//! Processors that are registered: settings, defaults, secrets, capabilities.

use serde_json::json;

use super::report;
use crate::testing::{RecordingHost, ReportBuilder, assert_no_secret, linked};
use crate::{
    Capability, ConfigError, Kind, Metric, MetricKind, Outcome, Plugin, ProcessContext, Processor,
    ProcessorError, Report, ResultProcessor, Secret, async_trait, register,
};

register!(
    Plugin::processor::<Registered>("registered", "1.0.0")
        .description("Tells what it was given")
        .author("the veracity authors")
        .example("registered: {token: x}")
);
register!(
    Plugin::processor::<Registered>("privileged", "1.0.0")
        .description("Tells what it was given")
        .author("the veracity authors")
        .example("privileged: {token: x}")
        .capabilities(&[Capability::RawRows, Capability::Metrics])
);

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What nobody is to see.
    token: Secret,
    /// How loud.
    #[serde(default = "ten")]
    volume: u32,
}

fn ten() -> u32 {
    10
}

struct Registered(Settings);

impl Processor for Registered {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        match settings.volume {
            0..=11 => Ok(Self(settings)),
            _ => Err(ConfigError::field("/volume", "it goes to eleven")),
        }
    }
}

#[async_trait]
impl ResultProcessor for Registered {
    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let rows = report.results[0].sample.len();
        let (metrics, volume) = (context.metrics.len(), self.0.volume);
        let note = format!("{} {rows} {metrics} {volume}", context.instance);
        match context.config.get("/volume") {
            Some(volume) if volume == 0 => Err(ProcessorError::permanent(format!(
                "{} was refused",
                self.0.token.expose()
            ))),
            _ => Ok(Outcome::done().with_note(note)),
        }
    }
}

#[test]
fn a_registered_processor_gets_its_defaults_and_what_it_may_see() {
    for (name, note) in [
        ("registered", "registered 0 0 10"),
        ("privileged", "privileged 1 1 10"),
    ] {
        let plugin = linked(Kind::Processor, name);
        let mut host = RecordingHost::new(plugin, json!({"token": "hunter2"}))
            .unwrap()
            .metric(Metric {
                name: "rows".into(),
                value: 1.0,
                kind: MetricKind::Gauge,
                help: String::new(),
                labels: [].into(),
            });
        assert_eq!(host.config()["volume"], 10);
        let report = ReportBuilder::new("orders")
            .failed("keys", "id > 0")
            .violations(1, [json!({"id": 0})])
            .build();
        let told = host.deliver(&report).answer.unwrap().note;
        assert_eq!(told.as_deref(), Some(note));
        assert_no_secret(&host.said(), &["hunter2"]);
    }
}

#[test]
#[should_panic(expected = "the secret `hunter2` is told: ..")]
fn a_secret_that_a_plugin_tells_is_found() {
    let plugin = linked(Kind::Processor, "registered");
    let mut host = RecordingHost::new(plugin, json!({"token": "hunter2", "volume": 0})).unwrap();
    host.deliver(&report());
    assert_no_secret(&host.said(), &["hunter2"]);
}

#[test]
fn wrong_settings_are_told_by_field_and_without_values() {
    let cases = [
        (json!({}), "\"token\" is a required property"),
        (
            json!({"token": 7}),
            "token: value is not of type \"string\"",
        ),
        (
            json!({"token": "x", "volume": "loud"}),
            "volume: value is not of type \"integer\"",
        ),
        (
            json!({"token": "x", "volum": 1}),
            "Additional properties are not allowed ('volum' was unexpected)",
        ),
        (
            json!({"token": "x", "volume": 12}),
            "volume: it goes to eleven",
        ),
        (json!("x"), "expected a mapping of settings"),
    ];
    for (config, expected) in cases {
        let plugin = linked(Kind::Processor, "registered");
        let error = RecordingHost::new(plugin, config.clone()).err().unwrap();
        assert_eq!(error.to_string(), expected, "{config}");
    }
}

#[test]
#[should_panic(expected = "no hook `nothing` is linked; there are `deafened`, `watchful`")]
fn a_plugin_that_is_not_linked_is_told_with_those_that_are() {
    linked(Kind::Hook, "nothing");
}
