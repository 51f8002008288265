//! The texts of a mail, from templates.

use std::io::{self, Write};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Serialize;
use veracity_processor::{
    AssertionResult, ConfigError, FieldError, Report, Run, RunKey, Status, is_deceptive,
    sample_report,
};

use crate::recipients::Group;
use crate::view::View;

/// The most bytes of a part. Gmail cuts HTML after 102 kB.
pub(crate) const MAX_PART: usize = 100_000;
/// The most characters of a subject.
const MAX_SUBJECT: usize = 200;
/// The most bytes of a template, and the most instructions and depth of one rendering.
const MAX_TEMPLATE: usize = 64 * 1024;
const FUEL: u64 = 2_000_000;
const DEPTH: usize = 50;

const SUBJECT: &str = "[{{ state }}] {{ suite }}: {{ counts }}";
const TEXT: &str = include_str!("templates/report.txt");
const HTML: &str = include_str!("templates/report.html");

/// The templates, checked.
pub(crate) struct Templates {
    environment: Environment<'static>,
}

/// The texts of one mail.
#[derive(Debug)]
pub(crate) struct Texts {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
    /// Templates that failed on this report, and why; the built-in ones stood in.
    pub(crate) failures: Vec<String>,
}

/// A part of a mail and its templates.
struct Part {
    /// The setting that overrides it.
    setting: &'static str,
    own: &'static str,
    built_in: &'static str,
}

const PARTS: [Part; 3] = [
    Part {
        setting: "subject",
        own: "own-subject",
        built_in: "subject",
    },
    Part {
        setting: "text_template",
        own: "own.txt",
        built_in: "report.txt",
    },
    Part {
        setting: "html_template",
        own: "own.html",
        built_in: "report.html",
    },
];

impl Templates {
    /// Compiles the templates and renders the sample report with them.
    ///
    /// # Errors
    ///
    /// Everything that does not compile or render.
    pub(crate) fn new(
        subject: Option<String>,
        text: Option<String>,
        html: Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.expect("the delimiters are the usual ones"));
        environment.set_auto_escape_callback(|name| match name.ends_with(".html") {
            true => AutoEscape::Html,
            false => AutoEscape::None,
        });
        // A misspelled name is an error, not an empty text.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEPTH);
        for (part, source) in PARTS.iter().zip([SUBJECT, TEXT, HTML]) {
            let added = environment.add_template(part.built_in, source);
            added.expect("built-in templates compile, a test renders them");
        }
        let mut templates = Self { environment };
        let mut errors = Vec::new();
        for (part, source) in PARTS.iter().zip([subject, text, html]) {
            let Some(source) = source else { continue };
            if let Err(message) = templates.add(part, source) {
                errors.push(FieldError::new(format!("/{}", part.setting), message));
            }
        }
        match errors.is_empty() {
            true => Ok(templates),
            false => Err(ConfigError(errors)),
        }
    }

    fn add(&mut self, part: &Part, source: String) -> Result<(), String> {
        if source.len() > MAX_TEMPLATE {
            return Err(format!("is a template of more than {MAX_TEMPLATE} bytes"));
        }
        let added = self.environment.add_template_owned(part.own, source);
        added.map_err(|error| describe(&error))?;
        for report in [sample_report(), nothing_failed()] {
            let all = report.results.iter();
            let group = Group {
                recipients: Vec::new(),
                results: all
                    .filter(|result| result.status != Status::Passed)
                    .collect(),
                chosen: false,
            };
            self.render(part.own, &View::of(&report, &group, 10))?;
        }
        Ok(())
    }

    /// The texts for `view`. They fit, with fewer results if need be.
    ///
    /// # Errors
    ///
    /// If a built-in template cannot be rendered.
    pub(crate) fn texts(&self, view: &View) -> Result<Texts, String> {
        let mut failures = Vec::new();
        let [subject, text, html] = PARTS.map(|part| self.part(&part, view, &mut failures));
        Ok(Texts {
            subject: subject_line(&subject?),
            text: text?,
            html: html?,
            failures,
        })
    }

    fn part(&self, part: &Part, view: &View, failures: &mut Vec<String>) -> Result<String, String> {
        if self.environment.get_template(part.own).is_ok() {
            match self.render(part.own, view) {
                Ok(text) => return Ok(text),
                Err(error) => failures.push(format!("{} {error}", part.setting)),
            }
        }
        self.render(part.built_in, view)
    }

    /// Renders `view` with the template `name`; with half of the results, and half of
    /// that, while it does not fit.
    fn render(&self, name: &str, view: &View) -> Result<String, String> {
        let template = self.environment.get_template(name);
        let template = template.map_err(|error| describe(&error))?;
        let context = |view: &View| match name.ends_with("subject") {
            true => values(&view.about),
            false => values(view),
        };
        let mut view = view.clone();
        loop {
            let mut page = Page::default();
            match template.render_captured_to(context(&view), &mut page) {
                Ok(_) => return Ok(String::from_utf8(page.bytes).unwrap_or_default()),
                Err(error) if !page.full => return Err(describe(&error)),
                Err(_) if view.halve() => {}
                Err(_) => {
                    return Err(format!(
                        "renders more than {MAX_PART} bytes without any result"
                    ));
                }
            }
        }
    }
}

fn values(view: impl Serialize) -> Value {
    Value::from(Serde(view))
}

/// A report of which nothing is to be told.
fn nothing_failed() -> Report {
    let sample = sample_report();
    let run = Run::new(sample.run.id, "s", RunKey::default(), sample.run.started_at);
    let mut report = Report::new(run);
    let mut result = AssertionResult::new("check", "assertion");
    result.status = Status::Passed;
    report.results.push(result);
    report
}

/// `line 3: unknown filter: filter uper is unknown`.
fn describe(error: &minijinja::Error) -> String {
    let what = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    match error.line() {
        Some(line) => format!("cannot be rendered, line {line}: {what}"),
        None => format!("cannot be rendered: {what}"),
    }
}

/// One line without anything that deceives or could be taken for an encoded word.
pub(crate) fn subject_line(text: &str) -> String {
    // Values are printable already; a template of one's own may still break the line.
    let seen = |c: char| if is_deceptive(c) { ' ' } else { c };
    let text: String = text.chars().map(seen).collect();
    let text = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace("=?", "= ?");
    if text.chars().count() <= MAX_SUBJECT {
        return text;
    }
    text.chars().take(MAX_SUBJECT - 1).chain(['…']).collect()
}

/// Bytes up to [`MAX_PART`].
#[derive(Default)]
struct Page {
    bytes: Vec<u8>,
    full: bool,
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_PART {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
