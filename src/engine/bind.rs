//! Assertions bound one by one against their datasets, before anything is fused: a
//! misspelled column is an error of its own assertion alone.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, HashMap, ScalarValue, Spans};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr::{AggregateFunction, InList};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, lit};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, ExprWithAlias};

use super::calls::{expand_call, joined};
use super::computed::{Computed, Input, KnownForms};
use super::dataset::Columns;
use super::names::{self, Datasets, Functions};
use super::primitive::Primitives;
use super::semantics;
use super::simplify::Simplify;
use super::{text, value};
use crate::error::{Error, Result};
use crate::metric::{catalogue, plain_message};
use crate::suite::{Condition, OnNull, Predicate};

/// A metric call of the suite.
#[derive(Debug)]
pub struct SymbolPlan {
    /// The call as first written.
    pub text: String,
    /// The dataset it belongs to.
    pub dataset: usize,
    /// Its value, over primitives.
    pub value: Computed,
    /// How inexact it is; `None` if exact.
    pub precision: Option<&'static str>,
}

/// An assertion in terms of symbols.
#[derive(Debug)]
pub struct BoundAssertion {
    /// The symbols it uses, in the order of appearance.
    pub symbols: Vec<usize>,
    /// What must be true, over symbols.
    pub condition: Computed,
    /// The value compared and its bound, if the condition is one comparison.
    pub comparison: Option<(Computed, String)>,
    /// The symbol that counts violating rows, for conditions on rows.
    pub violations: Option<usize>,
}

/// Binds assertions and keeps the symbols and primitives they share.
pub struct Binder<'a> {
    state: &'a SessionState,
    functions: Functions,
    datasets: &'a [(String, Result<Columns>)],
    simplify: Simplify,
    now: DateTime<Utc>,
    /// Distinct metric calls, in the order of first appearance.
    pub symbols: Vec<SymbolPlan>,
    /// What is computed for them.
    pub primitives: Primitives,
    /// Things worth knowing that are no errors.
    pub warnings: Vec<String>,
    by_call: HashMap<(usize, Expr), usize>,
    known: KnownForms,
}

impl<'a> Binder<'a> {
    /// A binder over `datasets`; `now()` is `now` in every expression.
    pub fn new(
        state: &'a SessionState,
        datasets: &'a [(String, Result<Columns>)],
        now: DateTime<Utc>,
    ) -> Self {
        let simplify = Simplify::new(state, now);
        Self {
            state,
            functions: Functions::of(state),
            datasets,
            simplify,
            now,
            symbols: Vec::new(),
            primitives: Primitives::default(),
            warnings: Vec::new(),
            by_call: HashMap::new(),
            known: KnownForms::default(),
        }
    }

    /// Binds a condition whose unqualified columns belong to the dataset `default`.
    pub fn bind(&mut self, condition: &Condition, default: usize) -> Result<BoundAssertion> {
        let datasets = Datasets {
            all: self.datasets,
            default,
        };
        let known = (self.symbols.len(), self.primitives.all.len());
        let bound = self.bind_condition(condition, &datasets);
        if bound.is_err() {
            // What only this assertion would have needed is not computed.
            self.symbols.truncate(known.0);
            self.by_call.retain(|_, symbol| *symbol < known.0);
            self.primitives.truncate(known.1);
        }
        bound
    }

    fn bind_condition(
        &mut self,
        condition: &Condition,
        datasets: &Datasets,
    ) -> Result<BoundAssertion> {
        match condition {
            Condition::Expect(Predicate::Text { sql, .. }) => self.bind_text(sql, datasets),
            Condition::Expect(Predicate::Expr(expr)) => self.bind_expr(expr, datasets),
            Condition::Rows {
                predicate,
                mostly,
                on_null,
            } => self.bind_rows(predicate, *mostly, *on_null, datasets),
        }
    }

    fn bind_text(&mut self, sql: &str, datasets: &Datasets) -> Result<BoundAssertion> {
        let mut outer = text::parse(sql, self.state)?;
        let lifted = names::lift(
            &mut outer,
            datasets,
            &self.functions,
            sql,
            &mut self.warnings,
        )?;
        let mut symbols = Vec::with_capacity(lifted.len());
        for lifted in lifted {
            let call = self.plan_call(lifted.call, datasets)?;
            symbols.push(self.symbol(call, lifted.text, datasets)?);
        }
        let inputs = self.inputs(&symbols);
        let fields: Schema = Schema::new(
            inputs
                .iter()
                .map(|(name, data_type, _)| {
                    datafusion::arrow::datatypes::Field::new(name, data_type.clone(), true)
                })
                .collect::<Vec<_>>(),
        );
        let schema =
            DFSchema::try_from(fields).map_err(|error| Error::assertion(plain_message(&error)))?;
        let written = text::bound_as_written(&outer);
        let expr = self.plan_sql(outer, &schema)?;
        let mut bound = self.finish(expr, symbols, inputs, sql)?;
        if let (Some((_, shown)), Some(written)) = (&mut bound.comparison, written) {
            *shown = written;
        }
        Ok(bound)
    }

    fn bind_expr(&mut self, expr: &Expr, datasets: &Datasets) -> Result<BoundAssertion> {
        let text = text::text_of(expr);
        let mut calls = Vec::new();
        let mut failure = None;
        let outer = expr
            .clone()
            .transform_down(|node| match node {
                Expr::AggregateFunction(_) => {
                    let column = Column::new_unqualified(names::placeholder(calls.len()));
                    calls.push(node);
                    Ok(Transformed::new(
                        Expr::Column(column),
                        true,
                        TreeNodeRecursion::Jump,
                    ))
                }
                Expr::Column(column) => {
                    failure = Some(Error::assertion(format!(
                        "`{}` is a column of single rows and needs an aggregate around it",
                        column.name
                    )));
                    Ok(Transformed::new(
                        Expr::Column(column),
                        false,
                        TreeNodeRecursion::Stop,
                    ))
                }
                other => Ok(Transformed::no(other)),
            })
            .map_err(|error| Error::assertion(plain_message(&error)))?
            .data;
        if let Some(error) = failure {
            return Err(error);
        }
        let mut symbols = Vec::with_capacity(calls.len());
        for call in calls {
            let text = text::text_of(&call);
            let call = self.qualify_expr(call, datasets)?;
            symbols.push(self.symbol(call, text, datasets)?);
        }
        let inputs = self.inputs(&symbols);
        self.finish(outer, symbols, inputs, &text)
    }

    fn bind_rows(
        &mut self,
        predicate: &Predicate,
        mostly: Option<f64>,
        on_null: OnNull,
        datasets: &Datasets,
    ) -> Result<BoundAssertion> {
        let (text, predicate) = self.row_predicate(predicate, datasets)?;
        let columns = datasets.columns(datasets.default)?;
        if let Ok(data_type) = predicate.get_type(&columns.qualified)
            && !matches!(data_type, DataType::Boolean | DataType::Null)
        {
            return Err(Error::assertion(format!(
                "`{text}` is {}, not a condition on rows; compare it with something, such as `{text} > 0`",
                value::type_name(&data_type)
            )));
        }
        let known = match on_null {
            OnNull::Fail => predicate.is_true(),
            OnNull::Skip | OnNull::Pass => predicate,
        };
        let call = |name: &str, args: Vec<Expr>| {
            let marker = catalogue::marker(name).expect("the catalogue has it");
            Arc::unwrap_or_clone(marker).call(args)
        };
        let shown = if on_null == OnNull::Fail {
            format!("({text}) IS TRUE")
        } else {
            text.clone()
        };
        let violations = call("violations", vec![known.clone()]);
        let violations = self.symbol(violations, format!("violations({shown})"), datasets)?;
        let mut symbols = vec![violations];
        let zero = lit(0_i64);
        let first = Expr::Column(Column::new_unqualified(names::placeholder(0)));
        let Some(share) = mostly else {
            let inputs = self.inputs(&symbols);
            let condition =
                Computed::plan(first.clone().eq(zero), &inputs, &self.simplify, &self.known)?;
            let actual = Computed::plan(first, &inputs, &self.simplify, &self.known)?;
            return Ok(BoundAssertion {
                symbols,
                condition,
                comparison: Some((actual, "no violations".to_owned())),
                violations: Some(violations),
            });
        };
        let scope = match on_null {
            OnNull::Skip => {
                let count = datafusion::functions_aggregate::expr_fn::count(known);
                self.symbol(count, format!("count({text})"), datasets)?
            }
            OnNull::Pass | OnNull::Fail => self.symbol(
                call("row_count", vec![]),
                "row_count()".to_owned(),
                datasets,
            )?,
        };
        symbols.push(scope);
        let inputs = self.inputs(&symbols);
        let rows = Expr::Column(Column::new_unqualified(names::placeholder(1)));
        let holding = (rows.clone() - first) / rows;
        let condition = Computed::plan(
            holding.clone().gt_eq(lit(share)),
            &inputs,
            &self.simplify,
            &self.known,
        )?;
        let actual = Computed::plan(holding, &inputs, &self.simplify, &self.known)?;
        Ok(BoundAssertion {
            symbols,
            condition,
            comparison: Some((actual, format!(">= {share}"))),
            violations: Some(violations),
        })
    }

    fn row_predicate(
        &mut self,
        predicate: &Predicate,
        datasets: &Datasets,
    ) -> Result<(String, Expr)> {
        match predicate {
            Predicate::Text { sql, .. } => {
                let mut parsed = text::parse(sql, self.state)?;
                let text = parsed.to_string();
                names::qualify(
                    &mut parsed,
                    datasets,
                    &self.functions,
                    sql,
                    &mut self.warnings,
                )?;
                let schema = self.schema_for(&parsed, datasets)?;
                Ok((text, self.plan_sql(parsed, &schema)?))
            }
            Predicate::Expr(expr) => {
                let text = text::text_of(expr);
                Ok((text, self.qualify_expr((**expr).clone(), datasets)?))
            }
        }
    }

    /// The columns of the datasets that a qualified expression names.
    fn schema_for<'d>(&self, expr: &SqlExpr, datasets: &'d Datasets) -> Result<Cow<'d, DFSchema>> {
        let mut used = BTreeSet::new();
        let _ = datafusion::sql::sqlparser::ast::visit_expressions(expr, |node| {
            if let SqlExpr::CompoundIdentifier(parts) = node
                && let Some(dataset) = datasets.find(&parts[0].value)
            {
                used.insert(dataset);
            }
            std::ops::ControlFlow::<()>::Continue(())
        });
        joined(used, datasets)
    }

    fn plan_call(&self, call: SqlExpr, datasets: &Datasets) -> Result<Expr> {
        let schema = self.schema_for(&call, datasets)?;
        self.plan_sql(call, &schema)
    }

    fn plan_sql(&self, expr: SqlExpr, schema: &DFSchema) -> Result<Expr> {
        let expr = ExprWithAlias { expr, alias: None };
        self.state
            .create_logical_expr_from_sql_expr(expr, schema)
            .map(|expr| expr.unalias_nested().data)
            .map_err(|error| Error::assertion(plain_message(&error)))
    }

    /// Looks up the columns of an expression written in Rust.
    fn qualify_expr(&mut self, expr: Expr, datasets: &Datasets) -> Result<Expr> {
        let mut failure = None;
        let warnings = &mut self.warnings;
        let mut resolve = |column: &Column| -> Result<Column> {
            let named = column
                .relation
                .as_ref()
                .map(|relation| {
                    datasets.find(relation.table()).ok_or_else(|| {
                        Error::assertion(format!("there is no dataset `{}`", relation.table()))
                    })
                })
                .transpose()?;
            let columns = datasets.columns(named.unwrap_or(datasets.default))?;
            let (name, folded) = columns.resolve(&column.name).map_err(Error::assertion)?;
            if folded {
                warnings.push(format!(
                    "`{}` was taken for the column `{name}` of `{}`, which differs in case",
                    column.name, columns.dataset
                ));
            }
            Ok(Column {
                relation: Some(columns.dataset.as_str().into()),
                name: name.to_owned(),
                spans: Spans::new(),
            })
        };
        let qualified = expr.transform_up(|node| match node {
            Expr::Column(column) => match resolve(&column) {
                Ok(column) => Ok(Transformed::yes(Expr::Column(column))),
                Err(error) => {
                    failure.get_or_insert(error);
                    Ok(Transformed::no(Expr::Column(column)))
                }
            },
            other => Ok(Transformed::no(other)),
        });
        match failure {
            Some(error) => Err(error),
            None => qualified
                .map(|transformed| transformed.data)
                .map_err(|error| Error::assertion(plain_message(&error))),
        }
    }

    /// The symbol of a call, made on its first appearance.
    fn symbol(&mut self, call: Expr, text: String, datasets: &Datasets) -> Result<usize> {
        let key = (datasets.default, call);
        if let Some(&symbol) = self.by_call.get(&key) {
            return Ok(symbol);
        }
        let call = key.1.clone();
        let (dataset, value, precision) = self.expand(call, datasets)?;
        self.symbols.push(SymbolPlan {
            text,
            dataset,
            value,
            precision,
        });
        let symbol = self.symbols.len() - 1;
        self.by_call.insert(key, symbol);
        Ok(symbol)
    }

    fn expand(
        &mut self,
        call: Expr,
        datasets: &Datasets,
    ) -> Result<(usize, Computed, Option<&'static str>)> {
        let mut precision = None;
        let mut dataset = datasets.default;
        let now = self.now;
        // A call is usually one aggregate; some of DataFusion's are planned as several.
        let value = replace_aggregates(call, |call| {
            let (value, inexact) = expand_call(call, datasets, &mut dataset, now)?;
            precision = precision.or(inexact);
            Ok(value)
        })?;
        let mut inputs: Vec<Input> = Vec::new();
        let mut home = None;
        let value = replace_aggregates(value, |call| {
            let index = self
                .primitives
                .intern(call, dataset, datasets, &self.simplify)?;
            let primitive = &self.primitives.all[index];
            home.get_or_insert(primitive.dataset);
            let place = inputs.iter().position(|(_, _, known)| *known == index);
            let place = place.unwrap_or(inputs.len());
            let name = format!("p{place}");
            if place == inputs.len() {
                inputs.push((name.clone(), primitive.data_type.clone(), index));
            }
            Ok(Expr::Column(Column::new_unqualified(name)))
        })?;
        let value = Computed::plan(value, &inputs, &self.simplify, &self.known)?;
        Ok((home.unwrap_or(dataset), value, precision))
    }

    fn inputs(&self, symbols: &[usize]) -> Vec<Input> {
        symbols
            .iter()
            .enumerate()
            .map(|(n, &symbol)| {
                let data_type = self.symbols[symbol].value.data_type.clone();
                (names::placeholder(n), data_type, symbol)
            })
            .collect()
    }

    fn finish(
        &self,
        expr: Expr,
        symbols: Vec<usize>,
        inputs: Vec<Input>,
        text: &str,
    ) -> Result<BoundAssertion> {
        if symbols.is_empty() {
            return Err(Error::assertion(
                "the assertion uses no metric, so it says nothing about the data; `veracity metrics` lists what there is",
            ));
        }
        self.refuse_inexact_equality(&expr, &symbols)?;
        let condition = Computed::plan(expr.clone(), &inputs, &self.simplify, &self.known)?;
        if !matches!(condition.data_type, DataType::Boolean | DataType::Null) {
            return Err(Error::assertion(format!(
                "`{text}` is {}, not a condition; compare it with something, such as `{text} > 0`",
                condition.data_type
            )));
        }
        let comparison = self.comparison(&expr, &inputs);
        let mut distinct = Vec::with_capacity(symbols.len());
        for symbol in symbols {
            if !distinct.contains(&symbol) {
                distinct.push(symbol);
            }
        }
        Ok(BoundAssertion {
            symbols: distinct,
            condition,
            comparison,
            violations: None,
        })
    }

    /// An estimate equals nothing but by chance.
    fn refuse_inexact_equality(&self, expr: &Expr, symbols: &[usize]) -> Result<()> {
        let inexact = |side: &Expr| {
            side.column_refs().into_iter().find_map(|column| {
                let n: usize = column.name.strip_prefix('$')?.parse().ok()?;
                let symbol = &self.symbols[*symbols.get(n)?];
                symbol.precision.map(|_| symbol.text.clone())
            })
        };
        let mut found = None;
        // The closure never fails.
        let _ = expr.apply(|node| {
            found = match node {
                Expr::BinaryExpr(BinaryExpr {
                    left,
                    op:
                        Operator::Eq
                        | Operator::NotEq
                        | Operator::IsDistinctFrom
                        | Operator::IsNotDistinctFrom,
                    right,
                }) => inexact(left).or_else(|| inexact(right)),
                Expr::InList(InList { expr, list, .. }) => {
                    inexact(expr).or_else(|| list.iter().find_map(inexact))
                }
                _ => None,
            };
            Ok(if found.is_some() {
                TreeNodeRecursion::Stop
            } else {
                TreeNodeRecursion::Continue
            })
        });
        match found {
            Some(text) => Err(Error::assertion(format!(
                "`{text}` is an estimate and cannot be tested for equality; use `between .. and ..`"
            ))),
            None => Ok(()),
        }
    }

    /// The value compared and the bound, where one side of a comparison is free of symbols.
    fn comparison(&self, expr: &Expr, inputs: &[Input]) -> Option<(Computed, String)> {
        let (value, bound) = match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if semantics::is_bound(*op) => {
                if right.column_refs().is_empty() {
                    (left, format!("{op} {}", text::text_of(right)))
                } else if left.column_refs().is_empty() {
                    (right, format!("{} {}", op.swap()?, text::text_of(left)))
                } else {
                    return None;
                }
            }
            Expr::Between(between)
                if between.low.column_refs().is_empty()
                    && between.high.column_refs().is_empty() =>
            {
                let not = if between.negated { "not " } else { "" };
                let (low, high) = (text::text_of(&between.low), text::text_of(&between.high));
                (&between.expr, format!("{not}between {low} and {high}"))
            }
            _ => return None,
        };
        let used: Vec<Input> = inputs
            .iter()
            .filter(|(name, _, _)| value.column_refs().iter().any(|c| c.name == *name))
            .cloned()
            .collect();
        let value = Computed::plan((**value).clone(), &used, &self.simplify, &self.known).ok()?;
        Some((value, bound))
    }
}

/// Puts what `replace` gives in the place of every aggregate call; the first failure ends it.
fn replace_aggregates(
    expr: Expr,
    mut replace: impl FnMut(AggregateFunction) -> Result<Expr>,
) -> Result<Expr> {
    let mut failure = None;
    let replaced = expr.transform_down(|node| {
        let Expr::AggregateFunction(call) = node else {
            return Ok(Transformed::no(node));
        };
        match replace(call) {
            Ok(value) => Ok(Transformed::new(value, true, TreeNodeRecursion::Jump)),
            Err(error) => {
                failure.get_or_insert(error);
                let nothing = lit(ScalarValue::Null);
                Ok(Transformed::new(nothing, true, TreeNodeRecursion::Stop))
            }
        }
    });
    match failure {
        Some(error) => Err(error),
        None => replaced
            .map(|transformed| transformed.data)
            .map_err(|error| Error::assertion(plain_message(&error))),
    }
}
