//! Coercing and simplifying expressions outside of a query.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchemaRef, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use super::semantics;

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
    pub fn over(&self, schema: &DFSchemaRef) -> Simplifier {
        let context = SimplifyContext::builder()
            .with_schema(Arc::clone(schema))
            .with_config_options(Arc::clone(&self.options))
            .with_query_execution_start_time(Some(self.now))
            .build();
        Simplifier {
            simplifier: ExprSimplifier::new(context),
            schema: Arc::clone(schema),
        }
    }
}

/// Coerces and simplifies expressions over some columns.
pub struct Simplifier {
    simplifier: ExprSimplifier,
    schema: DFSchemaRef,
}

impl Simplifier {
    /// Gives every operator operands of one type, where our meaning differs from
    /// DataFusion's in ours.
    pub fn coerce(&self, expr: Expr) -> Result<Expr> {
        let expr = semantics::before_coercion(expr, self.schema.as_ref())?;
        self.simplifier.coerce(expr, &self.schema)
    }

    /// For what is evaluated once: computes only what has to be known before that.
    ///
    /// # Errors
    ///
    /// If a constant cannot be what it is used as.
    pub fn prepare(&self, expr: Expr) -> Result<Expr> {
        let expr = cast_constants(expr, true)?;
        if expr.exists(|node| Ok(matches!(node, Expr::ScalarFunction(_))))? {
            return self.simplifier.simplify(expr);
        }
        Ok(expr)
    }

    /// Computes what is constant, and brings the rest into DataFusion's usual form.
    ///
    /// Comparisons of columns with constants are in that form: for them DataFusion's
    /// simplifier, which costs more than all the rest of planning, is left out.
    pub fn simplify(&self, expr: Expr) -> Result<Expr> {
        let expr = cast_constants(expr, false)?;
        let simple = !expr.exists(|node| Ok(!is_final(node)))?;
        if simple {
            return Ok(expr);
        }
        self.simplifier.simplify(expr)
    }
}

/// Casts constants; where that fails, they stay as they are or all of it fails.
fn cast_constants(expr: Expr, strict: bool) -> Result<Expr> {
    expr.transform_up(|node| {
        let Expr::Cast(cast) = &node else {
            return Ok(Transformed::no(node));
        };
        let Expr::Literal(value, None) = cast.expr.as_ref() else {
            return Ok(Transformed::no(node));
        };
        match value.cast_to(cast.field.data_type()) {
            Ok(value) => Ok(Transformed::yes(lit(value))),
            Err(error) if strict => Err(error),
            Err(_) => Ok(Transformed::no(node)),
        }
    })
    .map(|transformed| transformed.data)
}

/// True for nodes that the simplifier leaves as they are, if their operands are.
fn is_final(node: &Expr) -> bool {
    match node {
        Expr::Column(_) | Expr::Literal(..) | Expr::IsNull(_) | Expr::IsNotNull(_) => true,
        Expr::BinaryExpr(binary) => {
            semantics::is_bound(binary.op)
                && matches!(*binary.left, Expr::Column(_))
                && matches!(*binary.right, Expr::Column(_) | Expr::Literal(..))
        }
        Expr::Between(between) => {
            !between.negated
                && matches!(*between.expr, Expr::Column(_))
                && matches!(*between.low, Expr::Literal(..))
                && matches!(*between.high, Expr::Literal(..))
        }
        _ => false,
    }
}
