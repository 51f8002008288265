//! All plugins by kind and name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use semver::{Version, VersionReq};
use veracity_processor::{Kind, PLUGIN_API_VERSION, Plugin, PluginInfo};

use crate::error::PluginError;
use crate::isolation::once;
use crate::manifest::{self, Manifest};
use crate::names::{did_you_mean, listed};

/// The most folders that are looked at in a plugin directory.
const MAX_FOLDERS: usize = 10_000;
/// The longest that a plugin may take to say what it is.
const INFO_LIMIT: Duration = Duration::from_secs(10);

/// All plugins by kind and name. It can be shared between threads.
#[derive(Debug, Default)]
pub struct Registry {
    plugins: RwLock<Plugins>,
}

#[derive(Debug, Default)]
struct Plugins {
    entries: BTreeMap<(Kind, String), Arc<Entry>>,
    broken: Vec<Broken>,
}

/// A plugin that can be built.
#[derive(Debug)]
pub struct Entry {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// How it is reached.
    pub source: Source,
    info: OnceLock<Result<PluginInfo, String>>,
    disabled: RwLock<bool>,
}

/// How a plugin is reached.
#[derive(Debug)]
pub enum Source {
    /// It is linked into this program.
    Linked(&'static Plugin),
    /// It is a program of its own.
    Executable(Box<Manifest>),
}

/// A plugin that was found but cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its name: that of its folder, if it does not say so itself.
    pub name: String,
    /// Where it was found.
    pub origin: String,
    /// What is wrong.
    pub message: String,
}

impl Registry {
    /// A registry of the plugins linked into this program.
    ///
    /// # Errors
    ///
    /// If two of them have the same kind and name: which one would be used is not to be
    /// left to chance.
    pub fn linked() -> Result<Self, PluginError> {
        let registry = Self::default();
        // inventory knows no order.
        let mut plugins: Vec<&'static Plugin> = Plugin::linked().collect();
        plugins.sort_by_key(|plugin| (plugin.kind(), plugin.name(), plugin.origin()));
        for plugin in plugins {
            registry.register(plugin)?;
        }
        Ok(registry)
    }

    /// Adds a linked plugin.
    ///
    /// # Errors
    ///
    /// If there is one of this kind and name already.
    pub fn register(&self, plugin: &'static Plugin) -> Result<(), PluginError> {
        self.insert(plugin.kind(), plugin.name(), Source::Linked(plugin))
    }

    /// Adds the executable plugins in the folders of `directory`. What is broken is kept as
    /// such and stops nothing.
    pub fn add_directory(&self, directory: &Path) {
        let shown = directory.display().to_string();
        let folders = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => {
                return self.add_broken(
                    &shown,
                    &shown,
                    format!("the plugin directory cannot be read: {error}"),
                );
            }
        };
        let mut folders: Vec<PathBuf> = folders
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.join(manifest::FILE).exists())
            .take(MAX_FOLDERS)
            .collect();
        folders.sort();
        for folder in folders {
            let name = folder
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let origin = folder.display().to_string();
            match manifest::read(&folder) {
                Ok(manifest) => {
                    let (kind, name) = (manifest.info.kind, manifest.info.name.clone());
                    let source = Source::Executable(Box::new(manifest));
                    if let Err(error) = self.insert(kind, &name, source) {
                        self.add_broken(&name, &origin, error.to_string());
                    }
                }
                Err(message) => self.add_broken(&name, &origin, message),
            }
        }
    }

    fn add_broken(&self, name: &str, origin: &str, message: String) {
        let mut plugins = self.plugins.write().unwrap_or_else(PoisonError::into_inner);
        plugins.broken.push(Broken {
            name: name.to_owned(),
            origin: origin.to_owned(),
            message,
        });
    }

    fn insert(&self, kind: Kind, name: &str, source: Source) -> Result<(), PluginError> {
        let entry = Entry {
            kind,
            name: name.to_owned(),
            source,
            info: OnceLock::new(),
            disabled: RwLock::default(),
        };
        let mut plugins = self.plugins.write().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, name.to_owned());
        if let Some(first) = plugins.entries.get(&key) {
            return Err(PluginError::Duplicate {
                kind,
                name: name.to_owned(),
                first: first.described(),
                second: entry.described(),
            });
        }
        plugins.entries.insert(key, Arc::new(entry));
        Ok(())
    }

    /// The plugin of this kind and name.
    ///
    /// # Errors
    ///
    /// [`PluginError::NotFound`] with the nearest name, or [`PluginError::Broken`] if there
    /// is one that cannot be used.
    pub fn get(&self, kind: Kind, name: &str) -> Result<Arc<Entry>, PluginError> {
        let plugins = self.plugins.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = plugins.entries.get(&(kind, name.to_owned())) {
            return Ok(Arc::clone(entry));
        }
        if let Some(broken) = plugins.broken.iter().find(|broken| broken.name == name) {
            return Err(PluginError::Broken {
                kind,
                name: name.to_owned(),
                message: broken.message.clone(),
            });
        }
        let names = || {
            let of_kind = plugins.entries.keys().filter(|(other, _)| *other == kind);
            of_kind.map(|(_, name)| name.as_str())
        };
        let near = did_you_mean(name, names());
        let broken = plugins.broken.iter();
        let broken = broken.map(|broken| format!("{} ({})", broken.name, broken.message));
        let broken: Vec<String> = broken.take(3).collect();
        let rest = match broken.is_empty() {
            true => "One that is a dependency but is named nowhere in the program is not linked: `use the_crate as _;`".to_owned(),
            false => format!("Broken are {}", broken.join(", ")),
        };
        let hint = format!("{near}; there are {}. {rest}", listed(names()));
        Err(PluginError::NotFound {
            kind,
            name: name.to_owned(),
            hint,
        })
    }

    /// The plugins of one kind, by name.
    pub fn list(&self, kind: Kind) -> Vec<Arc<Entry>> {
        let mut all = self.list_all();
        all.retain(|entry| entry.kind == kind);
        all
    }

    /// All plugins, by kind and name.
    pub fn list_all(&self) -> Vec<Arc<Entry>> {
        let plugins = self.plugins.read().unwrap_or_else(PoisonError::into_inner);
        plugins.entries.values().cloned().collect()
    }

    /// What was found but cannot be used, by origin.
    pub fn broken(&self) -> Vec<Broken> {
        let plugins = self.plugins.read().unwrap_or_else(PoisonError::into_inner);
        let mut broken = plugins.broken.clone();
        broken.sort_by(|a, b| a.origin.cmp(&b.origin));
        broken
    }

    /// Forgets everything.
    pub fn reset(&self) {
        *self.plugins.write().unwrap_or_else(PoisonError::into_inner) = Plugins::default();
    }
}

impl Entry {
    /// What it says about itself; asked once.
    ///
    /// # Errors
    ///
    /// If it panics when it is asked, or needs another version of the contract.
    pub fn info(&self) -> Result<&PluginInfo, PluginError> {
        let info = self.info.get_or_init(|| match &self.source {
            Source::Executable(manifest) => Ok(manifest.info.clone()),
            Source::Linked(plugin) => {
                let plugin: &'static Plugin = plugin;
                once(&self.name, INFO_LIMIT, || plugin.info())
                    .map_err(|fault| format!("asked about itself, it gives no answer: {fault}"))
            }
        });
        let info = info.as_ref().map_err(|message| PluginError::Broken {
            kind: self.kind,
            name: self.name.clone(),
            message: message.clone(),
        })?;
        compatible(info)?;
        Ok(info)
    }

    /// Where it comes from.
    pub fn origin(&self) -> String {
        match &self.source {
            Source::Linked(plugin) => plugin.origin().to_owned(),
            Source::Executable(manifest) => manifest.folder.display().to_string(),
        }
    }

    fn described(&self) -> String {
        let version = match &self.source {
            Source::Linked(plugin) => plugin.version(),
            Source::Executable(manifest) => &manifest.info.version,
        };
        format!("{} of `{}`", version, self.origin())
    }

    /// Whether it may be used.
    pub fn is_enabled(&self) -> bool {
        !*self.disabled.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets it be used, or not.
    pub fn set_enabled(&self, enabled: bool) {
        *self
            .disabled
            .write()
            .unwrap_or_else(PoisonError::into_inner) = !enabled;
    }
}

/// Whether this program has what the plugin needs: the same major version, and a minor
/// version that is not newer.
fn compatible(info: &PluginInfo) -> Result<(), PluginError> {
    let ours = Version::parse(PLUGIN_API_VERSION).ok();
    let required = VersionReq::parse(&info.requires_api).ok();
    let fits = required
        .zip(ours)
        .map(|(required, ours)| required.matches(&ours));
    if fits == Some(true) {
        return Ok(());
    }
    let major = PLUGIN_API_VERSION.split('.').next().unwrap_or_default();
    Err(PluginError::Incompatible {
        name: info.name.clone(),
        version: info.version.clone(),
        required: info.requires_api.clone(),
        ours: PLUGIN_API_VERSION.to_owned(),
        range: format!("{major}.0.0 to {PLUGIN_API_VERSION}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_major_and_a_minor_that_is_not_newer_fits() {
        let cases = [
            ("1.0.0", true),
            ("1.0", true),
            ("1", true),
            ("^1.0", true),
            (">=1.0, <3", true),
            ("1.1", false),
            ("1.0.1", false),
            ("2.0", false),
            ("0.9", false),
            ("one", false),
        ];
        for (required, fits) in cases {
            let mut info = PluginInfo::new(Kind::Processor, "x", "0.1.0");
            info.requires_api = required.to_owned();
            assert_eq!(compatible(&info).is_ok(), fits, "{required}");
        }
        let mut info = PluginInfo::new(Kind::Processor, "x", "0.1.0");
        info.requires_api = "2.0".to_owned();
        assert_eq!(
            compatible(&info).unwrap_err().to_string(),
            "`x` 0.1.0 needs version `2.0` of the plugin API; this program has 1.0.0 and takes 1.0.0 to 1.0.0"
        );
    }

    #[test]
    fn a_broken_half_does_not_stop_the_others_and_is_listed() {
        let directory = tempfile::tempdir().unwrap();
        for n in 0..10 {
            let folder = directory.path().join(format!("p{n}"));
            std::fs::create_dir(&folder).unwrap();
            let text = format!(
                "name: p{n}\nkind: processor\nversion: 1.0.0\ndescription: x\ncommand: [x]\n"
            );
            let text = if n % 2 == 0 {
                text
            } else {
                "name: [".to_owned()
            };
            std::fs::write(folder.join(manifest::FILE), text).unwrap();
        }
        let registry = Registry::default();
        registry.add_directory(directory.path());
        registry.add_directory(&directory.path().join("none"));
        assert_eq!(registry.list(Kind::Processor).len(), 5);
        assert_eq!(registry.broken().len(), 6);
        let error = registry.get(Kind::Processor, "p1").unwrap_err();
        assert!(matches!(error, PluginError::Broken { .. }), "{error}");
        registry.add_directory(directory.path());
        let twice = |broken: &Broken| broken.message.contains("two plugins are processor `p0`");
        assert!(
            registry.broken().iter().any(twice),
            "{:?}",
            registry.broken()
        );
        registry.reset();
        assert!(registry.list_all().is_empty() && registry.broken().is_empty());
    }

    #[test]
    fn an_unknown_name_comes_with_the_nearest_one() {
        let registry = Registry::linked().unwrap();
        let error = registry.get(Kind::Secrets, "fiel").unwrap_err().to_string();
        assert!(
            error.starts_with(
                "unknown secrets `fiel`, did you mean `file`?; there are `env`, `file`."
            ),
            "{error}"
        );
        let entry = registry.get(Kind::Secrets, "file").unwrap();
        entry.set_enabled(false);
        assert!(!registry.get(Kind::Secrets, "file").unwrap().is_enabled());
    }
}
