//! The columns of a dataset, for those who write suites about it.

use chrono::Utc;

use super::session::session;
use super::{Engine, value};
use crate::error::{Error, Result};
use crate::metric::plain_message;
use crate::source::{OpenContext, open_all};
use crate::suite::Dataset;

impl Engine {
    /// The names of the columns of `dataset` with their types as `column_type` tells them,
    /// in their order. No table data is read, but the heads of text files are.
    ///
    /// # Errors
    ///
    /// If the dataset cannot be opened.
    pub async fn columns(&self, dataset: &Dataset) -> Result<Vec<(String, String)>> {
        let settings = self.settings(Utc::now());
        let dataset = dataset.clone();
        let (send, receive) = tokio::sync::oneshot::channel();
        self.spawn(async move {
            let columns = async {
                let session = session(settings.cores, settings.memory_limit)
                    .map_err(|error| Error::execution(plain_message(&error)))?;
                let context = OpenContext {
                    base: settings.base,
                    date: settings.date,
                    variables: settings.variables,
                };
                let mut opened = open_all(&[dataset], &session, &context).await;
                let (_, opened) = opened.remove(0);
                let schema = opened?.schema;
                let column = |field: &std::sync::Arc<datafusion::arrow::datatypes::Field>| {
                    (field.name().clone(), value::type_name(field.data_type()))
                };
                Ok(schema.fields().iter().map(column).collect())
            };
            // Nobody may be waiting any more.
            let _ = send.send(columns.await);
        });
        receive.await.unwrap_or_else(|_| {
            Err(Error::execution(
                "opening panicked; this is a bug of veracity",
            ))
        })
    }
}
