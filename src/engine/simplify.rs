//! Coercing and simplifying expressions outside of a query.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::common::DFSchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

/// What simplifying needs to know of the run: options, and the moment that `now()` is.
#[derive(Debug, Clone)]
pub struct Simplify {
    options: Arc<ConfigOptions>,
    now: DateTime<Utc>,
}

impl Simplify {
    /// With the options of `state`; `now()` is `now` everywhere.
    pub fn new(state: &SessionState, now: DateTime<Utc>) -> Self {
        Self {
            options: Arc::clone(state.config_options()),
            now,
        }
    }

    /// Simplifies expressions over the columns of `schema`.
    pub fn over(&self, schema: &DFSchemaRef) -> ExprSimplifier {
        let context = SimplifyContext::builder()
            .with_schema(Arc::clone(schema))
            .with_config_options(Arc::clone(&self.options))
            .with_query_execution_start_time(Some(self.now))
            .build();
        ExprSimplifier::new(context)
    }
}
