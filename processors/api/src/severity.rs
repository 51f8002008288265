//! How much a failed assertion matters.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much a failed assertion matters; `P0` is the most severe.
///
/// The order is by weight: `Severity::P0 > Severity::P1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
pub enum Severity {
    /// Stop everything.
    P0,
    /// The default: the data must not be used before somebody looked.
    #[default]
    P1,
    /// To be repaired in the ordinary course of work.
    P2,
    /// Good to know.
    P3,
}

impl Severity {
    /// Every severity, the most severe first.
    pub const ALL: [Severity; 4] = [Severity::P0, Severity::P1, Severity::P2, Severity::P3];

    fn rank(self) -> u8 {
        match self {
            Severity::P0 => 3,
            Severity::P1 => 2,
            Severity::P2 => 1,
            Severity::P3 => 0,
        }
    }
}

impl PartialOrd for Severity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Severity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::P0 => "P0",
            Severity::P1 => "P1",
            Severity::P2 => "P2",
            Severity::P3 => "P3",
        })
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Severity::ALL
            .into_iter()
            .find(|severity| severity.to_string().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("unknown severity `{text}`, expected P0, P1, P2 or P3"))
    }
}
