//! Values of sensitive columns stay out of the report.

use super::bind::SymbolPlan;
use super::prepare::Prepared;

/// What stands in the place of a sensitive value.
pub const MASK: &str = "***";

/// What a symbol may give away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sensitivity {
    /// It reads a sensitive column: messages about it may hold values.
    pub messages: bool,
    /// Its value may be a value of the data.
    pub value: bool,
}

/// Whether the value of `symbol`, or messages about it, may tell values of sensitive columns.
pub fn sensitivity(symbol: &SymbolPlan, prepared: &Prepared) -> Sensitivity {
    let mut found = Sensitivity {
        messages: false,
        value: false,
    };
    for &input in &symbol.value.inputs {
        let primitive = &prepared.primitives[input];
        let sensitive = &prepared.suite.datasets[primitive.dataset].sensitive;
        if sensitive.is_empty() {
            continue;
        }
        let columns = primitive.columns();
        if sensitive.iter().any(|column| columns.contains(column)) {
            found.messages = true;
            found.value |= primitive.tells_values();
        }
    }
    found
}

/// What is said of a computation on a sensitive column that failed.
pub fn withheld() -> String {
    "it failed on the values of a sensitive column; the message may hold some and is withheld"
        .to_owned()
}
