//! Integer arithmetic that fails on overflow, for `sql:` datasets and for the queries that
//! go through DataFusion's optimizer: its own wraps there, and its switch for that is on physical expressions only,
//! which the optimizer makes late and moves into scans.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{ExprSchema, Result, internal_err};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

/// Makes `+`, `-` and `*` of integers in a coerced expression fail on overflow.
pub fn checked(expr: Expr, schema: &dyn ExprSchema) -> Result<Expr> {
    expr.transform_up(|node| {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &node else {
            return Ok(Transformed::no(node));
        };
        let function = match op {
            Operator::Plus => &*PLUS,
            Operator::Minus => &*MINUS,
            Operator::Multiply => &*MULTIPLY,
            _ => return Ok(Transformed::no(node)),
        };
        let data_type = left.get_type(schema)?;
        if !data_type.is_integer() || data_type != right.get_type(schema)? {
            return Ok(Transformed::no(node));
        }
        let operands = vec![left.as_ref().clone(), right.as_ref().clone()];
        Ok(Transformed::yes(function.call(operands)))
    })
    .map(|transformed| transformed.data)
}

/// Makes the integer arithmetic of an analyzed query fail on overflow.
pub fn checked_plan(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let checked = checked(expr, &schema)?;
            Ok(Transformed::yes(name.restore(checked)))
        })?
        .map_data(LogicalPlan::recompute_schema)
    })
    .map(|transformed| transformed.data)
}

static PLUS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Checked::function("checked_plus"));
static MINUS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Checked::function("checked_minus"));
static MULTIPLY: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Checked::function("checked_multiply"));

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    name: &'static str,
    signature: Signature,
}

impl Checked {
    fn function(name: &'static str) -> Arc<ScalarUDF> {
        let signature = Signature::any(2, Volatility::Immutable);
        Arc::new(ScalarUDF::from(Self { name, signature }))
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return internal_err!("`{}` has two operands", self.name);
        };
        match self.name {
            "checked_plus" => apply(left, right, numeric::add),
            "checked_minus" => apply(left, right, numeric::sub),
            _ => apply(left, right, numeric::mul),
        }
    }
}
