//! The reference of all linked plugins, as Markdown.

use std::fmt::Write;

use veracity_host::Registry;
use veracity_processor::{Kind, PluginInfo};

use super::info::{KINDS, facts, settings, shared};
use crate::error::Error;

/// The page `docs/processors.md`, of what `registry` holds.
pub fn reference(registry: &Registry) -> Result<String, Error> {
    let mut page = String::from(
        "# Processors, hooks and channels\n\n\
         <!-- Written by `veracity processors reference`; a test keeps it up to date. -->\n\n\
         All plugins that are linked into `veracity`, with their settings. A suite configures\n\
         them under `processors:`, `hooks:` and `channels:`, by a name of its own; where that is\n\
         not the plugin's name, `use:` says which plugin it is.\n",
    );
    for (kind, key) in KINDS {
        let about = match kind {
            Kind::Hook => "A hook watches the run: it gets events as they happen.",
            Kind::Channel => "A channel carries what plugins publish.",
            _ => "A processor gets the report of the run.",
        };
        write(&mut page, &format!("\n# Under `{key}:`\n\n{about}\n"));
        write(&mut page, &format!("\n## Settings that every {kind} has\n"));
        table(&mut page, &settings(shared(kind)));
        for entry in registry.list(kind) {
            let info = entry.info();
            let info = info.map_err(|error| Error::configuration(error.to_string()))?;
            plugin(&mut page, info, key);
        }
    }
    Ok(page)
}

fn plugin(page: &mut String, info: &PluginInfo, key: &str) {
    let PluginInfo {
        name, description, ..
    } = info;
    let kind = info.kind;
    write(
        page,
        &format!("\n## The {kind} `{name}`\n\n{}.\n", cell(description)),
    );
    let facts = facts(info);
    if !facts.is_empty() {
        write(page, "\n");
    }
    for fact in facts {
        write(page, &format!("- {}\n", cell(&fact)));
    }
    table(page, &settings(&info.config_schema));
    if !info.example_config.is_empty() {
        write(page, &format!("\n```yaml\n{key}:\n"));
        for line in info.example_config.lines() {
            write(page, &format!("  {line}\n"));
        }
        write(page, "```\n");
    }
}

fn table(page: &mut String, rows: &[[String; 3]]) {
    if rows.is_empty() {
        return write(page, "\nIt has no settings of its own.\n");
    }
    write(
        page,
        "\n| setting | value | meaning |\n| --- | --- | --- |\n",
    );
    for [name, kind, meaning] in rows {
        let row = format!("| `{name}` | {} | {} |\n", cell(kind), cell(meaning));
        write(page, &row);
    }
}

/// `text` within a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
        .replace('<', "&lt;")
        .replace('\n', " ")
}

fn write(page: &mut String, text: &str) {
    // A String takes all there is memory for.
    let _ = page.write_str(text);
}
