//! What the variables of the OpenLineage clients say.
//!
//! Names and precedence are those of the Python client: the file that `OPENLINEAGE_CONFIG`
//! names, then variables that begin with `OPENLINEAGE__`, then `OPENLINEAGE_URL` with
//! `_ENDPOINT` and `_API_KEY`. Files that nobody named are not looked for.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value};
use uuid::Uuid;
use veracity_processor::{ProcessorError, Secret};

/// The most bytes of a configuration file that are read.
const LONGEST_FILE: u64 = 1024 * 1024;

/// What the environment says.
#[derive(Debug, Default)]
pub struct Environment {
    /// `OPENLINEAGE_DISABLED`; then nothing else is read.
    pub disabled: bool,
    /// `OPENLINEAGE_NAMESPACE`.
    pub namespace: Option<String>,
    /// `OPENLINEAGE_PARENT_ID`.
    pub parent: Option<Parent>,
    /// `OPENLINEAGE_URL` and what belongs to it.
    pub http: Http,
    /// Where events go.
    pub transports: Vec<Transport>,
}

/// The run that started this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Namespace of its job.
    pub namespace: String,
    /// Name of its job.
    pub name: String,
    /// Its id.
    pub run: Uuid,
}

/// One way of events.
#[derive(Debug, Clone)]
pub enum Transport {
    /// To a URL.
    Http(Http),
    /// To a file, as JSON lines.
    File(PathBuf),
    /// To standard error.
    Console,
}

/// A URL, as far as it is said.
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// Without the endpoint.
    pub url: Option<Secret>,
    /// The path of the API.
    pub endpoint: Option<String>,
    /// Key that is sent as `Authorization: Bearer`.
    pub api_key: Option<Secret>,
    /// Further headers, by name.
    pub headers: Vec<(String, Secret)>,
}

impl Environment {
    /// Reads `variables`, and the file they name.
    ///
    /// # Errors
    ///
    /// Permanent, if they ask for something that cannot be done, or make no sense.
    pub fn read(variables: &BTreeMap<String, String>) -> Result<Self, ProcessorError> {
        let get = |name: &str| variables.get(name).filter(|text| !text.is_empty());
        let disabled = get("OPENLINEAGE_DISABLED").map(|text| text.trim().to_ascii_lowercase());
        if matches!(disabled.as_deref(), Some("true" | "1")) {
            return Ok(Self {
                disabled: true,
                ..Self::default()
            });
        }
        let http = Http {
            url: get("OPENLINEAGE_URL").map(Secret::new),
            endpoint: get("OPENLINEAGE_ENDPOINT").cloned(),
            api_key: get("OPENLINEAGE_API_KEY").map(Secret::new),
            headers: Vec::new(),
        };
        let mut tree = nested(variables);
        if let Some(path) = get("OPENLINEAGE_CONFIG") {
            merge(&mut tree, file(path)?);
        }
        let transports = match tree.get("transport") {
            Some(transport) => transports(transport, &http)?,
            None if http.url.is_some() => vec![Transport::Http(http.clone())],
            None => Vec::new(),
        };
        Ok(Self {
            disabled: false,
            namespace: get("OPENLINEAGE_NAMESPACE").cloned(),
            parent: get("OPENLINEAGE_PARENT_ID")
                .map(|text| parent(text))
                .transpose()?,
            http,
            transports,
        })
    }
}

fn wrong(message: impl Into<String>) -> ProcessorError {
    ProcessorError::permanent(message)
}

/// `namespace/name/runId`; a namespace may hold slashes of its own.
fn parent(text: &str) -> Result<Parent, ProcessorError> {
    let mut parts = text.trim().rsplitn(3, '/');
    let run = parts.next().and_then(|run| Uuid::parse_str(run).ok());
    match (run, parts.next(), parts.next()) {
        (Some(run), Some(name), Some(namespace)) if !name.is_empty() && !namespace.is_empty() => {
            Ok(Parent {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                run,
            })
        }
        _ => Err(wrong(
            "`OPENLINEAGE_PARENT_ID` must be `namespace/name/runId` with a UUID at its end",
        )),
    }
}

/// The variables `OPENLINEAGE__A__B` as a tree, in which names have no underscores and no
/// capitals: clients write `apiKey`, `api_key` and `APIKEY`.
fn nested(variables: &BTreeMap<String, String>) -> Value {
    let mut tree = Value::Object(Map::new());
    for (name, text) in variables {
        let Some(path) = name.strip_prefix("OPENLINEAGE__") else {
            continue;
        };
        let structured: Option<Value> = serde_json::from_str(text).ok();
        let structured = structured.filter(|value| value.is_object() || value.is_array());
        let mut value = structured.unwrap_or_else(|| text.as_str().into());
        for part in path.rsplit("__") {
            value = Value::Object(Map::from_iter([(part.to_owned(), value)]));
        }
        merge(&mut tree, plain_names(value));
    }
    tree
}

fn file(path: &str) -> Result<Value, ProcessorError> {
    let fault = |reason: &str| wrong(format!("`OPENLINEAGE_CONFIG`: `{path}` {reason}"));
    let cannot = |error: std::io::Error| fault(&format!("cannot be read: {error}"));
    let about = fs::metadata(path).map_err(cannot)?;
    if !about.is_file() || about.len() > LONGEST_FILE {
        return Err(fault("is no configuration file"));
    }
    let text = fs::read_to_string(path).map_err(cannot)?;
    // The parser's message may quote a line, and a line may hold a key.
    let read: Value = serde_saphyr::from_str(&text).map_err(|error| match error.location() {
        Some(at) => fault(&format!("is no YAML, at line {}", at.line())),
        None => fault("is no YAML"),
    })?;
    match read {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(_) => Ok(plain_names(read)),
        _ => Err(fault("holds no settings")),
    }
}

fn plain(name: &str) -> String {
    name.replace('_', "").to_ascii_lowercase()
}

/// `value` with plain names, except where names are headers.
fn plain_names(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| {
                let name = plain(&name);
                let value = match name.ends_with("headers") {
                    true => value,
                    false => plain_names(value),
                };
                (name, value)
            });
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.into_iter().map(plain_names).collect(),
        value => value,
    }
}

/// Puts `over` over `under`.
fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                merge(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

fn transports(value: &Value, default: &Http) -> Result<Vec<Transport>, ProcessorError> {
    let kind = value["type"].as_str().unwrap_or_default();
    let text = |name: &str| value[name].as_str().filter(|text| !text.is_empty());
    Ok(match plain(kind).as_str() {
        "http" | "asynchttp" => vec![Transport::Http(http(value, default)?)],
        "file" => {
            let path = text("logfilepath").or(text("location"));
            let path = path.ok_or_else(|| {
                wrong("the `file` transport of OpenLineage needs a `log_file_path`")
            })?;
            vec![Transport::File(path.into())]
        }
        "console" => vec![Transport::Console],
        "noop" => Vec::new(),
        "composite" => {
            let parts: Vec<&Value> = match &value["transports"] {
                Value::Array(parts) => parts.iter().collect(),
                Value::Object(parts) => parts.values().collect(),
                _ => {
                    return Err(wrong(
                        "the `composite` transport of OpenLineage has no `transports`",
                    ));
                }
            };
            let mut all = Vec::new();
            for part in parts {
                all.extend(transports(part, default)?);
            }
            all
        }
        _ => {
            return Err(wrong(format!(
                "the transport `{kind}` of OpenLineage is not known here; it has http, file, \
                 console, composite and noop"
            )));
        }
    })
}

fn http(value: &Value, default: &Http) -> Result<Http, ProcessorError> {
    let text = |name: &str| value[name].as_str().filter(|text| !text.is_empty());
    if matches!(&value["verify"], Value::Bool(false)) || text("verify") == Some("false") {
        return Err(wrong(
            "`verify: false` of OpenLineage is not done; `tls_ca_file` names authorities that \
             are trusted",
        ));
    }
    let auth = &value["auth"];
    let key = auth["apikey"].as_str().filter(|key| !key.is_empty());
    match auth["type"].as_str().map(plain).as_deref() {
        None | Some("apikey") => {}
        Some(_) => {
            return Err(wrong(
                "only `api_key` is known as the `auth` of OpenLineage",
            ));
        }
    }
    let mut headers = Vec::new();
    for name in ["customheaders", "headers"] {
        for (name, value) in value[name].as_object().into_iter().flatten() {
            headers.push((
                name.clone(),
                Secret::new(value.as_str().unwrap_or_default()),
            ));
        }
    }
    Ok(match text("url") {
        Some(url) => Http {
            url: Some(Secret::new(url)),
            endpoint: text("endpoint").map(str::to_owned),
            api_key: key.map(Secret::new),
            headers,
        },
        None if default.url.is_some() => Http {
            endpoint: text("endpoint")
                .map(str::to_owned)
                .or(default.endpoint.clone()),
            api_key: key.map(Secret::new).or(default.api_key.clone()),
            headers,
            url: default.url.clone(),
        },
        None => return Err(wrong("the `http` transport of OpenLineage needs a `url`")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables<'v> = [(&'v str, &'v str)];

    fn read(variables: &Variables<'_>) -> Result<Environment, ProcessorError> {
        let variables = variables.iter();
        Environment::read(
            &variables
                .map(|&(name, text)| (name.into(), text.into()))
                .collect(),
        )
    }

    /// What tests may see, secrets as well.
    fn shown(environment: &Environment) -> String {
        let one = |transport: &Transport| match transport {
            Transport::Http(http) => {
                let secret = |secret: &Option<Secret>| {
                    secret
                        .as_ref()
                        .map_or("-".to_owned(), |secret| secret.expose().to_owned())
                };
                let endpoint = http.endpoint.as_deref().unwrap_or("-");
                let mut text =
                    format!("{} {endpoint} {}", secret(&http.url), secret(&http.api_key));
                for (name, value) in &http.headers {
                    text.push_str(&format!(" {name}={}", value.expose()));
                }
                text
            }
            Transport::File(path) => format!("file {}", path.display()),
            Transport::Console => "console".to_owned(),
        };
        let transports: Vec<String> = environment.transports.iter().map(one).collect();
        transports.join("; ")
    }

    #[test]
    fn the_variables_of_the_clients_are_understood() {
        let cases: &[(&str, &Variables<'_>, &str)] = &[
            ("nothing", &[("OTHER", "x")], ""),
            (
                "a URL",
                &[("OPENLINEAGE_URL", "http://m:5000")],
                "http://m:5000 - -",
            ),
            (
                "with all that belongs to it",
                &[
                    ("OPENLINEAGE_URL", "http://m:5000"),
                    ("OPENLINEAGE_ENDPOINT", "api/x"),
                    ("OPENLINEAGE_API_KEY", "k"),
                ],
                "http://m:5000 api/x k",
            ),
            (
                "a transport goes before a URL",
                &[
                    ("OPENLINEAGE_URL", "http://old"),
                    ("OPENLINEAGE_API_KEY", "old"),
                    ("OPENLINEAGE__TRANSPORT__TYPE", "http"),
                    ("OPENLINEAGE__TRANSPORT__URL", "http://new"),
                    ("OPENLINEAGE__TRANSPORT__ENDPOINT", "e"),
                    (
                        "OPENLINEAGE__TRANSPORT__AUTH",
                        r#"{"type": "api_key", "apiKey": "new"}"#,
                    ),
                    (
                        "OPENLINEAGE__TRANSPORT__CUSTOM_HEADERS",
                        r#"{"X-My_Key": "v"}"#,
                    ),
                ],
                "http://new e new X-My_Key=v",
            ),
            (
                "a transport without a URL",
                &[
                    ("OPENLINEAGE_URL", "http://m"),
                    ("OPENLINEAGE_API_KEY", "k"),
                    ("OPENLINEAGE__TRANSPORT__TYPE", "async_http"),
                ],
                "http://m - k",
            ),
            (
                "a key in a variable of its own",
                &[
                    ("OPENLINEAGE__TRANSPORT__TYPE", "http"),
                    ("OPENLINEAGE__TRANSPORT__URL", "http://m"),
                    ("OPENLINEAGE__TRANSPORT__AUTH__TYPE", "api_key"),
                    ("OPENLINEAGE__TRANSPORT__AUTH__API_KEY", "k"),
                ],
                "http://m - k",
            ),
            (
                "several, in one variable",
                &[(
                    "OPENLINEAGE__TRANSPORT",
                    r#"{"type": "composite", "transports": {
                        "a": {"type": "file", "log_file_path": "/var/x"},
                        "b": {"type": "console"}, "c": {"type": "noop"}}}"#,
                )],
                "file /var/x; console",
            ),
            ("switched off", &[("OPENLINEAGE_DISABLED", "True")], ""),
        ];
        for (label, variables, expected) in cases {
            assert_eq!(shown(&read(variables).unwrap()), *expected, "{label}");
        }
        assert!(read(&[("OPENLINEAGE_DISABLED", "true")]).unwrap().disabled);
        assert!(!read(&[("OPENLINEAGE_DISABLED", "false")]).unwrap().disabled);
    }

    #[test]
    fn a_file_goes_before_variables() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("openlineage.yml");
        let text = "transport:\n  type: http\n  url: https://file\n  auth:\n    type: api_key\n    \
                    apiKey: from-file\n";
        fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let environment = read(&[
            ("OPENLINEAGE_CONFIG", path),
            ("OPENLINEAGE__TRANSPORT__URL", "https://variable"),
            ("OPENLINEAGE__TRANSPORT__ENDPOINT", "variable"),
            ("OPENLINEAGE_URL", "https://old"),
        ]);
        assert_eq!(
            shown(&environment.unwrap()),
            "https://file variable from-file"
        );
        fs::write(path, "").unwrap();
        assert_eq!(shown(&read(&[("OPENLINEAGE_CONFIG", path)]).unwrap()), "");
    }

    #[test]
    fn what_makes_no_sense_is_refused_without_quoting_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broken.yml");
        fs::write(&path, "transport:\n  apiKey: c4nary: c4nary\n").unwrap();
        let path = path.to_str().unwrap();
        let kafka = [("OPENLINEAGE__TRANSPORT__TYPE", "kafka")];
        let cases: &[(&Variables<'_>, &str)] = &[
            (
                &kafka,
                "the transport `kafka` of OpenLineage is not known here",
            ),
            (&[("OPENLINEAGE_CONFIG", "/no/such/file")], "cannot be read"),
            (&[("OPENLINEAGE_CONFIG", path)], "is no YAML, at line 2"),
            (&[("OPENLINEAGE__TRANSPORT__TYPE", "http")], "needs a `url`"),
            (
                &[("OPENLINEAGE__TRANSPORT__TYPE", "file")],
                "needs a `log_file_path`",
            ),
            (
                &[("OPENLINEAGE__TRANSPORT", r#"{"type": "composite"}"#)],
                "no `transports`",
            ),
            (
                &[(
                    "OPENLINEAGE__TRANSPORT",
                    r#"{"type": "http", "url": "https://c4nary", "verify": false}"#,
                )],
                "`tls_ca_file`",
            ),
            (
                &[(
                    "OPENLINEAGE__TRANSPORT",
                    r#"{"type": "http", "auth": {"type": "jwt", "apiKey": "c4nary"}}"#,
                )],
                "only `api_key`",
            ),
            (
                &[("OPENLINEAGE_PARENT_ID", "c4nary")],
                "must be `namespace/name/runId`",
            ),
        ];
        for (variables, expected) in cases {
            let error = read(variables).unwrap_err();
            assert!(error.message().contains(expected), "{error}");
            assert!(!error.message().contains("c4nary"), "{error}");
            assert!(!error.is_retryable(), "{error}");
        }
    }

    #[test]
    fn a_parent_ends_with_its_run() {
        let id = "0197a2f0-7c3e-7a51-9d3e-3b1f0a9c1e55";
        let cases = [
            (
                format!("airflow/dag.task/{id}"),
                Some(("airflow", "dag.task")),
            ),
            (format!("s3://a/b/{id}"), Some(("s3://a", "b"))),
            (format!("dag.task/{id}"), None),
            (format!("//{id}"), None),
            ("a/b/c".to_owned(), None),
            (String::new(), None),
        ];
        for (text, expected) in cases {
            let found = parent(&text).ok();
            let found = found
                .as_ref()
                .map(|parent| (&*parent.namespace, &*parent.name));
            assert_eq!(found, expected, "{text}");
        }
    }
}
