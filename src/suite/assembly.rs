//! The keys of a suite file put together to a suite, with the places that only
//! validation asks for.

use std::collections::BTreeMap;

use serde_json::Value;
use veracity_processor::Location;

use super::schema::{
    AssertionEntry, AssertionKeys, CheckKeys, DatasetEntry, DatasetKeys, Entries, Placed,
    PluginKeys, SuiteKeys,
};
use super::setting::{Setting, escaped};
use super::validate::{AssertionPlaces, CheckPlaces, DatasetPlaces, Places};
use super::yaml;
use super::{
    Assertion, Check, Condition, Dataset, Predicate, Processing, Source, VerificationSuite,
};
use crate::error::Error;

/// Puts the suite together and collects what does not fit.
pub(super) struct Assembly<'t> {
    file: &'t str,
    lines: Vec<&'t str>,
    /// What did not fit.
    pub errors: Vec<Error>,
}

impl<'t> Assembly<'t> {
    /// For the keys of `file`, which holds `text`.
    pub fn new(file: &'t str, text: &'t str) -> Self {
        Self {
            file,
            lines: text.lines().collect(),
            errors: Vec::new(),
        }
    }

    fn refuse(&mut self, message: impl Into<String>, location: Location, help: &str) {
        let error = Error::configuration_at(message, Some(location));
        self.errors.push(error.with_help(help));
    }

    /// The suite of `keys`, without the parts that do not fit.
    pub fn suite(&mut self, keys: SuiteKeys) -> (VerificationSuite, Places) {
        let mut places = Places {
            suite: Some(keys.suite.location(self.file)),
            ..Places::default()
        };
        let mut suite = VerificationSuite {
            name: keys.suite.value,
            datasets: Vec::new(),
            checks: Vec::new(),
            fail_on: keys.fail_on.unwrap_or_default(),
            processing: Processing::default(),
        };
        let processing = &mut suite.processing;
        processing.processors =
            self.instances("processor", "", keys.processors, &mut processing.places);
        processing.hooks = self.instances("hook", "/hooks", keys.hooks, &mut processing.places);
        processing.channels = self.instances(
            "channel",
            "/channels",
            keys.channels,
            &mut processing.places,
        );
        self.plugins(processing, keys.plugins);
        if let Some(url) = keys.store {
            if let Err(message) = veracity_host::check_store_url(&url.value) {
                let help = "a store is `sqlite://FILE`, `postgres://..` or `mysql://..`";
                self.refuse(message, url.location(self.file), help);
            }
            processing.store = Some(url.value.into());
        }
        for (name, entry) in keys.datasets.0 {
            if let Some((dataset, here)) = self.dataset(name, entry) {
                suite.datasets.push(dataset);
                places.datasets.push(here);
            }
        }
        for keys in keys.checks {
            let (check, here) = self.check(keys);
            suite.checks.push(check);
            places.checks.push(here);
        }
        (suite, places)
    }

    /// The settings of each of `entries`, which are of the kind `what`; places go to
    /// `places`, by their pointers below `root`.
    fn instances(
        &mut self,
        what: &str,
        root: &str,
        entries: Option<Entries<Placed<Setting>>>,
        places: &mut BTreeMap<String, Location>,
    ) -> Vec<(String, Value)> {
        let mut instances = Vec::new();
        for (name, setting) in entries.into_iter().flat_map(|entries| entries.0) {
            let path = format!("{root}/{}", escaped(&name.value));
            if places
                .insert(path.clone(), name.location(self.file))
                .is_some()
            {
                let message = format!("{what} `{}` is configured twice", name.value);
                let help = "give one of them another name, and say `use:` what it is";
                self.refuse(message, name.location(self.file), help);
                continue;
            }
            let value = setting.value(&path, self.file, places);
            instances.push((name.value, value));
        }
        instances
    }

    fn plugins(&mut self, processing: &mut Processing, plugins: Option<PluginKeys>) {
        let plugins = plugins.unwrap_or_default();
        processing.plugin_directories = plugins.directories.unwrap_or_default();
        processing.disabled = plugins.disabled.unwrap_or_default();
        let webhooks = plugins.webhooks.unwrap_or_default();
        if let Some(allowed) = webhooks.allow_private {
            let name = "allow_private".to_owned();
            processing.webhooks.insert(name, allowed.into());
        }
        if let Some(file) = webhooks.tls_ca_file {
            processing
                .webhooks
                .insert("tls_ca_file".to_owned(), file.into());
        }
    }

    fn dataset(
        &mut self,
        name: Placed<String>,
        entry: DatasetEntry,
    ) -> Option<(Dataset, DatasetPlaces)> {
        let file = self.file;
        let location = Some(name.location(file));
        let (keys, place) = match entry {
            DatasetEntry::Text(path) => {
                let here = DatasetPlaces {
                    source: Some(path.location(file)),
                    timezone: None,
                };
                let mut dataset: Dataset = Dataset::path(name.value, path.value).into();
                dataset.location = location;
                return Some((dataset, here));
            }
            DatasetEntry::Keys(keys) => {
                let Placed { value, place } = *keys;
                (value, place)
            }
        };
        let DatasetKeys {
            path,
            sql,
            format,
            options,
            timezone,
            sensitive,
            integrity,
        } = keys;
        let (source, source_place) = match (path, sql) {
            (Some(path), None) => {
                let source = Source::Path {
                    path: path.value.clone(),
                    format: format.map(|format| format.value),
                    options: options.map(|options| options.value).unwrap_or_default(),
                };
                (source, path.location(file))
            }
            (None, Some(sql)) => {
                let settings = [
                    ("format", format.map(|f| f.place)),
                    ("options", options.map(|o| o.place)),
                ];
                for (key, place) in settings {
                    if let Some(place) = place {
                        let message = format!(
                            "`{key}` belongs to files; dataset `{}` is a query",
                            name.value
                        );
                        self.refuse(
                            message,
                            place.location(file),
                            "set it at the datasets that the query reads",
                        );
                    }
                }
                (Source::Sql(sql.value.clone()), sql.location(file))
            }
            (Some(_), Some(sql)) => {
                let message = format!("dataset `{}` has both `path` and `sql`", name.value);
                self.refuse(message, sql.location(file), "keep one of them");
                return None;
            }
            (None, None) => {
                let message = format!("dataset `{}` has neither `path` nor `sql`", name.value);
                let help = "give it `path: FILE` or `sql: \"select ..\"`";
                self.refuse(message, place.location(file), help);
                return None;
            }
        };
        let here = DatasetPlaces {
            source: Some(source_place),
            timezone: timezone.as_ref().map(|zone| zone.location(file)),
        };
        let dataset = Dataset {
            name: name.value,
            source,
            timezone: timezone.map(|zone| zone.value),
            integrity: integrity.unwrap_or_default(),
            sensitive: sensitive.unwrap_or_default(),
            location,
        };
        Some((dataset, here))
    }

    fn check(&mut self, keys: Placed<CheckKeys>) -> (Check, CheckPlaces) {
        let file = self.file;
        let location = keys.value.check.location(file);
        let CheckKeys {
            check,
            dataset,
            severity,
            tags,
            assertions,
        } = keys.value;
        let mut places = CheckPlaces {
            name: Some(location.clone()),
            dataset: dataset.as_ref().map(|dataset| dataset.location(file)),
            assertions: Vec::new(),
        };
        let mut check = Check {
            name: check.value,
            dataset: dataset.map(|dataset| dataset.value),
            severity: severity.unwrap_or_default(),
            tags: tags.unwrap_or_default(),
            assertions: Vec::new(),
            location: Some(location),
        };
        for entry in assertions {
            let assertion = match entry {
                AssertionEntry::Text(expression) => {
                    let location = Some(expression.location(file));
                    let predicate = self.predicate(expression);
                    let assertion = Assertion {
                        location,
                        ..Assertion::expect(predicate)
                    };
                    Some((assertion, AssertionPlaces::default()))
                }
                AssertionEntry::Keys(keys) => self.assertion(*keys),
            };
            if let Some((assertion, here)) = assertion {
                check.assertions.push(assertion);
                places.assertions.push(here);
            }
        }
        (check, places)
    }

    fn assertion(&mut self, keys: Placed<AssertionKeys>) -> Option<(Assertion, AssertionPlaces)> {
        let file = self.file;
        let whole = keys.location(file);
        let AssertionKeys {
            expect,
            rows,
            name,
            severity,
            tags,
            mostly,
            on_null,
        } = keys.value;
        let here = AssertionPlaces {
            name: name.as_ref().map(|name| name.location(file)),
            mostly: mostly.as_ref().map(|mostly| mostly.location(file)),
        };
        let (condition, location) = match (expect, rows) {
            (Some(expression), None) => {
                let for_rows = [
                    ("mostly", mostly.map(|m| m.place)),
                    ("on_null", on_null.map(|o| o.place)),
                ];
                for (key, place) in for_rows {
                    if let Some(place) = place {
                        let message = format!("`{key}` belongs to `rows`, not to `expect`");
                        let help = "a rule about each row is written `rows: ..`; a bound on a share is part of the expression";
                        self.refuse(message, place.location(file), help);
                    }
                }
                let place = expression.location(file);
                (Condition::Expect(self.predicate(expression)), place)
            }
            (None, Some(expression)) => {
                let place = expression.location(file);
                let condition = Condition::Rows {
                    predicate: self.predicate(expression),
                    mostly: mostly.map(|mostly| mostly.value),
                    on_null: on_null.map(|on_null| on_null.value).unwrap_or_default(),
                };
                (condition, place)
            }
            (Some(_), Some(rows)) => {
                let help = "make two assertions of them";
                self.refuse(
                    "an assertion has both `expect` and `rows`",
                    rows.location(file),
                    help,
                );
                return None;
            }
            (None, None) => {
                let help = "write `expect: EXPRESSION` over aggregates, or `rows: EXPRESSION` over each row";
                self.refuse("an assertion has neither `expect` nor `rows`", whole, help);
                return None;
            }
        };
        let assertion = Assertion {
            condition,
            name: name.map(|name| name.value),
            severity,
            tags: tags.unwrap_or_default(),
            location: Some(location),
        };
        Some((assertion, here))
    }

    fn predicate(&mut self, expression: Placed<String>) -> Predicate {
        if let Some((line, column)) = expression.place.start
            && self.is_cut_by_comment(&expression.value, line, column)
        {
            let help = "put the assertion in quotes";
            let message = "` #` begins a comment, so the assertion ends here";
            let end = column
                .saturating_add(u32::try_from(expression.value.chars().count()).unwrap_or(0) + 1);
            self.refuse(message, yaml::location(self.file, line, end), help);
        }
        let start = expression.start(self.file);
        let sql = expression.value.trim();
        let moved = sql.len() != expression.value.trim_end().len();
        Predicate::Text {
            sql: sql.to_owned(),
            start: if moved { None } else { start },
        }
    }

    /// Whether YAML took the rest of an expression for a comment: the line goes on
    /// with `#`, and a quote is left open.
    fn is_cut_by_comment(&self, expression: &str, line: u32, column: u32) -> bool {
        let mut open = None;
        for c in expression.chars().filter(|c| matches!(c, '\'' | '"')) {
            match open {
                None => open = Some(c),
                Some(quote) if quote == c => open = None,
                Some(_) => {}
            }
        }
        let line = self
            .lines
            .get(line as usize - 1)
            .copied()
            .unwrap_or_default();
        let skipped = column as usize - 1 + expression.chars().count();
        let rest: String = line.chars().skip(skipped).collect();
        open.is_some() && rest.trim_start().starts_with('#')
    }
}
