//! Where events go.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use veracity_http::{Answer, Endpoint, HeaderMap, HeaderValue, Method, Request, Url, header};
use veracity_processor::{ProcessorError, is_deceptive, write_file};

/// One place to which events go.
#[derive(Debug)]
pub enum Receiver {
    /// An API of OpenLineage.
    Http(Box<Http>),
    /// A file of JSON lines.
    File(PathBuf),
    /// Standard error.
    Console,
}

/// An API of OpenLineage.
pub struct Http {
    /// The host.
    pub endpoint: Endpoint,
    /// The address of the API.
    pub url: Url,
    /// The headers, secrets among them.
    pub headers: HeaderMap,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

impl fmt::Display for Receiver {
    /// A name that stays the same while it goes to the same place, without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Receiver::Http(http) => {
                let port = http.url.port_or_known_default().unwrap_or_default();
                write!(f, "http {}:{port}", http.endpoint.host())
            }
            Receiver::File(path) => write!(f, "file {}", path.display()),
            Receiver::Console => f.write_str("console"),
        }
    }
}

impl Receiver {
    /// Hands over `event`, which is JSON on one line.
    ///
    /// # Errors
    ///
    /// If it was not taken; retryable if it may be later.
    pub async fn take(&self, event: &str) -> Result<(), ProcessorError> {
        match self {
            Receiver::Http(http) => http.post(event).await,
            Receiver::File(path) => append(path, event),
            Receiver::Console => {
                let line = format!("{}\n", harmless(event));
                write_file(Path::new("/dev/stderr"), line.as_bytes())
            }
        }
    }
}

impl Http {
    async fn post(&self, event: &str) -> Result<(), ProcessorError> {
        let mut request = Request::new(Method::POST).to(self.url.clone());
        request.headers = self.headers.clone();
        let json = HeaderValue::from_static("application/json");
        request.headers.insert(header::CONTENT_TYPE, json);
        request.body = event.as_bytes().to_vec();
        let answer = self.endpoint.send(request).await?;
        if let Some(fault) = answer.fault(&self.endpoint) {
            return Err(fault);
        }
        if let Some(fault) = refusal(&answer, &answer.excerpt(&self.endpoint)) {
            return Err(self.endpoint.named(fault));
        }
        Ok(())
    }
}

/// Why a success is none, if so. `said` is the beginning of the body.
fn refusal(answer: &Answer, said: &str) -> Option<ProcessorError> {
    let status = answer.status.as_u16();
    if answer.looks_like_html() {
        return Some(ProcessorError::permanent(format!(
            "answered {status} with a page for people; `url` may lead to a proxy or a login{said}"
        )));
    }
    let outcome: PartialOutcome = answer.json().ok()?;
    let retriable = outcome.failed_events.first().map(|event| event.retriable);
    if retriable.is_none() && outcome.summary.failed == 0 {
        return None;
    }
    let message = format!("answered {status}, but refused the event{said}");
    let again = retriable.unwrap_or(outcome.summary.retriable > 0);
    Some(match again {
        true => ProcessorError::retryable(message),
        false => ProcessorError::permanent(message),
    })
}

/// What a success may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PartialOutcome {
    summary: Summary,
    failed_events: Vec<FailedEvent>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Summary {
    failed: u64,
    retriable: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FailedEvent {
    retriable: bool,
}

/// Appends `line` to the file at `path`, and returns when it is on the disk.
fn append(path: &Path, line: &str) -> Result<(), ProcessorError> {
    let text = format!("{line}\n");
    // A device or a named pipe has no end to append to.
    if path
        .metadata()
        .is_ok_and(|about| !about.is_file() && !about.is_dir())
    {
        return write_file(path, text.as_bytes());
    }
    append_text(path, text).map_err(|error| {
        let message = format!("`{}` cannot be written: {error}", path.display());
        match error.kind() {
            ErrorKind::PermissionDenied
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename => ProcessorError::permanent(message),
            _ => ProcessorError::retryable(message),
        }
    })
}

fn append_text(path: &Path, mut text: String) -> io::Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).create(true).open(path)?;
    // A line that a full disk or a crash cut off must not spoil this one.
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        text.insert(0, '\n');
    }
    // In one piece, so that lines of several writers stay apart.
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The same JSON, in which nothing means anything to a terminal or a CI system.
fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_deceptive(c) || (c == '#' && text.ends_with('#')) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_are_appended_also_after_one_that_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/lineage.jsonl");
        append(&path, "{\"n\":1}").unwrap();
        append(&path, "{\"n\":2}").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":1}\n{\"n\":2}\n");
        fs::write(&path, "{\"n\":1}\n{\"n\":").unwrap();
        append(&path, "{\"n\":3}").unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "{\"n\":1}\n{\"n\":\n{\"n\":3}\n"
        );
        let error = append(folder.path(), "{}").unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        append(Path::new("/dev/null"), "{}").unwrap();
    }

    #[test]
    fn lines_of_several_writers_stay_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lineage.jsonl");
        let line = |writer: usize| format!("{{\"n\":\"{}\"}}", writer.to_string().repeat(5_000));
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let (path, line) = (&path, line(writer));
                scope.spawn(move || {
                    for _ in 0..10 {
                        append(path, &line).unwrap();
                    }
                });
            }
        });
        let text = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        lines.sort_unstable();
        let expected: Vec<String> = (0..40).map(|at| line(at / 10)).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_console_shows_json_that_commands_nobody() {
        let text = harmless("{\"a\":\"##vso[x] \u{202e}\u{9b}2J\"}");
        assert_eq!(text, r##"{"a":"#\u0023vso[x] \u202e\u009b2J"}"##);
    }
}
