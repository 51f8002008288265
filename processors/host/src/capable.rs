//! What plugins must be able to do for what is asked of them.

use std::collections::BTreeMap;

use veracity_processor::{Capability, FieldError, Kind};

use crate::instance::Instance;
use crate::names::{did_you_mean, listed};
use crate::registry::Registry;

/// What is wrong with settings of `instance` that name a processor which is to tell people:
/// texts of `format: messages` in the schema of its plugin.
pub fn untold(
    registry: &Registry,
    instance: &Instance,
    processors: &BTreeMap<String, Instance>,
    configured: impl Fn(&str) -> bool,
) -> Vec<FieldError> {
    let Ok(entry) = registry.get(instance.kind, &instance.plugin) else {
        return Vec::new();
    };
    let Ok(info) = entry.info() else {
        return Vec::new();
    };
    let properties = info.config_schema["properties"].as_object();
    let named = properties
        .into_iter()
        .flatten()
        .filter_map(|(setting, schema)| {
            let name = instance.config[setting].as_str()?;
            (schema["format"] == "messages").then_some((setting, name))
        });
    let able = |name: &str| {
        let processor = processors.get(name);
        processor.is_some_and(|one| one.capabilities.contains(&Capability::Messages))
    };
    let wrong = named.filter_map(|(setting, name)| {
        let able_ones = || {
            processors
                .keys()
                .map(String::as_str)
                .filter(|name| able(name))
        };
        let message = match processors.get(name) {
            Some(one) if !able(name) => format!(
                "`{}` takes reports, no messages{}",
                one.plugin,
                those_that_do(able_ones().collect())
            ),
            // One that is switched off is told of when there is something to tell.
            Some(_) => return None,
            // What is wrong with it is told where it stands.
            None if configured(name) => return None,
            None => {
                let near = did_you_mean(name, able_ones());
                let rest = those_that_do(able_ones().collect());
                format!("no processor is configured as `{name}`{near}{rest}")
            }
        };
        Some(FieldError::new(format!("/{setting}"), message))
    });
    wrong.collect()
}

/// Which of the configured processors tell people messages.
fn those_that_do(names: Vec<&str>) -> String {
    match names.is_empty() {
        true => "; none of those configured tells people messages".to_owned(),
        false => format!("; those that tell people messages are {}", listed(names)),
    }
}

/// The plugins that write a report into a file.
pub fn outputs_of(registry: &Registry) -> Vec<String> {
    let entries = registry.list(Kind::Processor).into_iter();
    let writes = entries.filter(|entry| {
        let info = entry.info();
        info.is_ok_and(|info| info.capabilities.contains(&Capability::Output))
    });
    writes.map(|entry| entry.name.clone()).collect()
}
