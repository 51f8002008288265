//! The README says what there is.

use crate::plugins;

const README: &str = include_str!("../../README.md");

#[test]
fn the_readme_names_every_setting_of_every_channel_and_no_other() {
    for plugin in plugins() {
        let heading = format!("\n## `{}`\n", plugin.name());
        let (_, section) = README.split_once(&heading).expect("it has a section");
        let section = section.split("\n## ").next().unwrap();
        let mut written: Vec<&str> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        let schema = plugin.info().config_schema;
        let mut settings: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        written.sort_unstable();
        settings.sort_unstable();
        assert_eq!(written, settings, "{}", plugin.name());
        let example = plugin.info().example_config;
        assert!(
            section.contains(&example),
            "the example is not there: {example}"
        );
    }
}
