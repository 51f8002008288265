//! What the CI system says about itself.

use std::ffi::OsString;
use std::path::PathBuf;

/// What is known of the CI system that runs the program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    /// Whether it is GitHub Actions: `GITHUB_ACTIONS` is `true`.
    pub github_actions: bool,
    /// The file of the step summary: `GITHUB_STEP_SUMMARY`, if it is not empty.
    pub step_summary: Option<PathBuf>,
    /// Whether it is Azure Pipelines: `TF_BUILD` is `True`.
    pub azure_pipelines: bool,
}

impl Environment {
    /// What the variables that `variable` knows tell.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let is_true = |name| {
            let value = variable(name);
            value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        Self {
            github_actions: is_true("GITHUB_ACTIONS"),
            step_summary: variable("GITHUB_STEP_SUMMARY")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            azure_pipelines: is_true("TF_BUILD"),
        }
    }

    /// That of this process.
    pub fn of_process() -> Self {
        Self::read(|name| std::env::var_os(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_tell_which_system_it_is() {
        let github = |summary: Option<&str>| Environment {
            github_actions: true,
            step_summary: summary.map(PathBuf::from),
            ..Environment::default()
        };
        let azure = Environment {
            azure_pipelines: true,
            ..Environment::default()
        };
        let cases: &[(&[(&str, &str)], Environment)] = &[
            (&[], Environment::default()),
            (&[("GITHUB_ACTIONS", "true")], github(None)),
            (&[("GITHUB_ACTIONS", "false")], Environment::default()),
            (&[("GITHUB_ACTIONS", "")], Environment::default()),
            (&[("CI", "true")], Environment::default()),
            (
                &[("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", "")],
                github(None),
            ),
            (
                &[("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", "/s")],
                github(Some("/s")),
            ),
            (&[("TF_BUILD", "True")], azure.clone()),
            (&[("TF_BUILD", "true")], azure),
        ];
        for (variables, expected) in cases {
            let environment = Environment::read(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| value.into())
            });
            assert_eq!(environment, *expected, "{variables:?}");
        }
    }
}
