//! A dataset as the planner sees it: its columns, in two forms.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{DFSchema, TableReference};

use crate::error::{Error, Result, did_you_mean, listed};

/// The columns of a dataset and where its zone-less timestamps are.
#[derive(Debug)]
pub struct Columns {
    /// Name of the dataset.
    pub dataset: String,
    /// The columns.
    pub schema: SchemaRef,
    /// The columns, qualified by the dataset's name: what assertions are parsed against.
    pub qualified: DFSchema,
    /// The columns without a qualifier: what queries run on.
    pub plain: Arc<DFSchema>,
    /// Zone of zone-less timestamps.
    pub timezone: Option<String>,
    exact: HashMap<String, usize>,
    folded: HashMap<String, Vec<usize>>,
}

impl Columns {
    /// Fails if two columns have the same name.
    pub fn new(dataset: &str, schema: SchemaRef, timezone: Option<String>) -> Result<Self> {
        let mut exact = HashMap::new();
        let mut folded: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, field) in schema.fields().iter().enumerate() {
            if exact.insert(field.name().clone(), index).is_some() {
                return Err(Error::source(format!(
                    "`{dataset}` has two columns named `{}`",
                    field.name()
                )));
            }
            folded
                .entry(field.name().to_lowercase())
                .or_default()
                .push(index);
        }
        let failed = |error| {
            Error::source(format!(
                "`{dataset}`: {}",
                crate::metric::plain_message(&error)
            ))
        };
        let qualifier = TableReference::bare(dataset);
        let qualified = DFSchema::try_from_qualified_schema(qualifier, &schema).map_err(failed)?;
        let plain = DFSchema::try_from(Arc::clone(&schema)).map_err(failed)?;
        Ok(Self {
            dataset: dataset.to_owned(),
            schema,
            qualified,
            plain: Arc::new(plain),
            timezone,
            exact,
            folded,
        })
    }

    /// The column meant by `name`: the one of exactly that name, else the only one that
    /// differs in case alone; the flag tells that it was such a one.
    pub fn resolve(&self, name: &str) -> Result<(&str, bool), String> {
        if let Some(&index) = self.exact.get(name) {
            return Ok((self.schema.field(index).name(), false));
        }
        match self.folded.get(&name.to_lowercase()).map(Vec::as_slice) {
            Some([index]) => Ok((self.schema.field(*index).name(), true)),
            Some(several) => Err(format!(
                "`{}` has no column `{name}`, and several that differ from it in case: {}; write the one you mean in double quotes",
                self.dataset,
                listed(
                    several
                        .iter()
                        .map(|&index| self.schema.field(index).name().as_str())
                )
            )),
            None => {
                let names = || {
                    self.schema
                        .fields()
                        .iter()
                        .map(|field| field.name().as_str())
                };
                let hint = did_you_mean(name, names());
                let list = if hint.is_empty() {
                    format!("; it has {}", listed(names()))
                } else {
                    String::new()
                };
                Err(format!(
                    "`{}` has no column `{name}`{hint}{list}",
                    self.dataset
                ))
            }
        }
    }
}
