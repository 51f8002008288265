//! Secrets by name: from the environment, from files, from whatever provider is linked.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use veracity_processor::{Kind, Plugin, ProcessorError, Secret, SecretsProvider, register};

use crate::isolation::once;

/// The longest that a provider may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The largest file that is taken for a secret.
const MAX_BYTES: u64 = 64 * 1024;
/// Where secrets are mounted by default.
const FOLDER: &str = "/run/secrets";

register!(
    Plugin::secrets("env", env!("CARGO_PKG_VERSION"), || Box::new(Env))
        .description("Secrets from environment variables")
        .author("the veracity authors")
        .example("${secret:SMTP_PASSWORD}")
);

register!(
    Plugin::secrets("file", env!("CARGO_PKG_VERSION"), || Box::new(
        Files::default()
    ))
    .description("Secrets from files in /run/secrets, or in the folder VERACITY_SECRETS_DIR")
    .author("the veracity authors")
    .example("${secret:smtp_password}")
);

/// Secrets from environment variables.
#[derive(Debug)]
struct Env;

impl SecretsProvider for Env {
    fn secret(&self, name: &str) -> Result<Option<Secret>, ProcessorError> {
        let value = std::env::var_os(name).filter(|value| !value.is_empty());
        let text = value.map(|value| value.into_string()).transpose();
        let text = text.map_err(|_| ProcessorError::permanent("the variable is not UTF-8"))?;
        Ok(text.map(Secret::new))
    }
}

/// Secrets from files of a folder, as container platforms mount them.
#[derive(Debug)]
struct Files {
    folder: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        let folder = std::env::var_os("VERACITY_SECRETS_DIR");
        Self {
            folder: folder.map_or_else(|| PathBuf::from(FOLDER), PathBuf::from),
        }
    }
}

impl SecretsProvider for Files {
    fn secret(&self, name: &str) -> Result<Option<Secret>, ProcessorError> {
        // A name is the name of a file there, never a way out of the folder.
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return Ok(None);
        }
        read_file(&self.folder.join(name))
    }
}

/// The secret in the file at `path`, without the line break at its end; `None` if there
/// is no such file.
///
/// # Errors
///
/// If the file cannot be read, is no ordinary file, is larger than 64 KiB or not UTF-8.
pub fn read_file(path: &Path) -> Result<Option<Secret>, ProcessorError> {
    let failed = |what: String| ProcessorError::permanent(format!("`{}` {what}", path.display()));
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(format!("cannot be read: {error}"))),
    };
    if !meta.is_file() {
        return Err(failed("is no ordinary file".to_owned()));
    }
    if meta.len() > MAX_BYTES {
        return Err(failed(format!("is larger than {MAX_BYTES} bytes")));
    }
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    read.map_err(|error| failed(format!("cannot be read: {error}")))?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(Some(Secret::new(text)))
}

/// The secret called `name`: asks `env`, then `file`, then the other linked providers by
/// name, each for at most ten seconds.
///
/// # Errors
///
/// If no provider has it, with what each of them said.
pub fn resolve(name: &str) -> Result<Secret, String> {
    let mut providers: Vec<&'static Plugin> = Plugin::linked()
        .filter(|plugin| plugin.kind() == Kind::Secrets)
        .collect();
    let rank = |plugin: &Plugin| match plugin.name() {
        "env" => 0,
        "file" => 1,
        _ => 2,
    };
    providers.sort_by_key(|plugin| (rank(plugin), plugin.name()));
    let mut said = Vec::new();
    for provider in &providers {
        match ask(provider, name) {
            Ok(Some(secret)) => return Ok(secret),
            Ok(None) => {}
            Err(error) => said.push(format!("; `{}`: {error}", provider.name())),
        }
    }
    let names: Vec<&str> = providers.iter().map(|provider| provider.name()).collect();
    let asked = crate::names::listed(names);
    Err(format!(
        "secret `{name}` is not known to {asked}{}",
        said.concat()
    ))
}

/// What `provider` says. A provider that hangs or panics is left to itself.
fn ask(provider: &'static Plugin, name: &str) -> Result<Option<Secret>, String> {
    let name = name.to_owned();
    let found = once(provider.name(), LIMIT, move || {
        let found = provider
            .build_secrets()
            .map(|secrets| secrets.secret(&name));
        found.unwrap_or(Ok(None))
    });
    match found {
        Ok(Ok(secret)) => Ok(secret),
        Ok(Err(error)) => Err(error.to_string()),
        Err(fault) => Err(fault.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_secret_without_its_last_line_break() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("password"), "hunter2\r\n").unwrap();
        fs::write(folder.path().join("large"), vec![b'x'; 70_000]).unwrap();
        let files = Files {
            folder: folder.path().join("."),
        };
        let secret = |name: &str| {
            files
                .secret(name)
                .map(|found| found.map(|s| s.expose().to_owned()))
        };
        assert_eq!(secret("password"), Ok(Some("hunter2".to_owned())));
        assert_eq!(secret("none"), Ok(None));
        assert_eq!(secret("../password"), Ok(None));
        assert!(
            secret("large")
                .unwrap_err()
                .message()
                .ends_with("is larger than 65536 bytes")
        );
    }

    #[test]
    fn a_secret_nobody_has_says_who_was_asked() {
        let error = resolve("NO_SUCH_SECRET_ANYWHERE").unwrap_err();
        assert_eq!(
            error,
            "secret `NO_SUCH_SECRET_ANYWHERE` is not known to `env`, `file`"
        );
        assert!(resolve("PATH").is_ok());
    }
}
