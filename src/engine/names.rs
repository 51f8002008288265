//! The names in an assertion: functions, datasets and columns, looked up before DataFusion
//! sees them, so that an unknown one is reported with its place and the nearest name.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::execution::session_state::SessionState;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Value, VisitMut,
    VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::Location;

use super::dataset::Columns;
use crate::error::{Error, Result, did_you_mean, listed};
use crate::metric::catalogue;

/// The datasets an assertion can speak of.
pub struct Datasets<'a> {
    /// Those that could be opened, and the reason for those that could not.
    pub all: &'a [(String, Result<Columns>)],
    /// The one that unqualified columns belong to.
    pub default: usize,
}

impl Datasets<'_> {
    /// Index of the dataset called `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.all.iter().position(|(dataset, _)| dataset == name)
    }

    /// The columns of a dataset; its error if it could not be opened.
    pub fn columns(&self, index: usize) -> Result<&Columns> {
        self.all[index]
            .1
            .as_ref()
            .map_err(|error| Error::source(format!("dataset `{}`: {error}", self.all[index].0)))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|(name, _)| name.as_str())
    }
}

/// Names of the functions an expression may call.
#[derive(Debug)]
pub struct Functions {
    aggregates: HashSet<String>,
    scalars: HashSet<String>,
}

impl Functions {
    /// What `state` knows, our metrics among them.
    pub fn of(state: &SessionState) -> Self {
        let scalars = state
            .scalar_functions()
            .keys()
            .chain(state.higher_order_functions().keys());
        Self {
            aggregates: state.aggregate_functions().keys().cloned().collect(),
            scalars: scalars.cloned().collect(),
        }
    }

    /// True if `name` is an aggregate: a metric.
    pub fn is_aggregate(&self, name: &str) -> bool {
        self.aggregates.contains(name)
    }

    fn unknown(&self, name: &str) -> String {
        // Our own metrics first: they are what is usually meant.
        let metrics = catalogue::METRICS.iter().map(|metric| metric.name);
        let ours = did_you_mean(name, metrics);
        let hint = if ours.is_empty() {
            let all = self.aggregates.iter().chain(&self.scalars);
            did_you_mean(name, all.map(String::as_str))
        } else {
            ours
        };
        let help = if hint.is_empty() {
            "; `veracity metrics` lists what there is"
        } else {
            ""
        };
        format!("unknown metric or function `{name}`{hint}{help}")
    }
}

/// An aggregate call lifted out of an assertion.
#[derive(Debug)]
pub struct Lifted {
    /// The call as written.
    pub text: String,
    /// The call with every column qualified.
    pub call: Expr,
}

/// Looks up every name of `expr`, qualifies its columns and lifts its aggregate calls out;
/// the n-th call is replaced by a column named [`placeholder`]`(n)`.
pub fn lift(
    expr: &mut Expr,
    datasets: &Datasets,
    functions: &Functions,
    sql: &str,
    warnings: &mut Vec<String>,
) -> Result<Vec<Lifted>> {
    walk(expr, datasets, functions, sql, warnings, Level::Table)
}

/// Looks up every name of a predicate over single rows and qualifies its columns.
pub fn qualify(
    expr: &mut Expr,
    datasets: &Datasets,
    functions: &Functions,
    sql: &str,
    warnings: &mut Vec<String>,
) -> Result<()> {
    walk(expr, datasets, functions, sql, warnings, Level::Row).map(drop)
}

/// The column that stands for the n-th lifted call.
pub fn placeholder(n: usize) -> String {
    format!("${n}")
}

fn walk(
    expr: &mut Expr,
    datasets: &Datasets,
    functions: &Functions,
    sql: &str,
    warnings: &mut Vec<String>,
    level: Level,
) -> Result<Vec<Lifted>> {
    let mut walker = Walker {
        datasets,
        functions,
        sql,
        warnings,
        level,
        inside: Vec::new(),
        lifted: Vec::new(),
    };
    match expr.visit(&mut walker) {
        ControlFlow::Continue(()) => Ok(walker.lifted),
        ControlFlow::Break(error) => Err(error),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Table,
    Row,
}

struct Walker<'a> {
    datasets: &'a Datasets<'a>,
    functions: &'a Functions,
    sql: &'a str,
    warnings: &'a mut Vec<String>,
    level: Level,
    /// Name and text of the aggregate calls around the current node.
    inside: Vec<(String, String)>,
    lifted: Vec<Lifted>,
}

impl VisitorMut for Walker<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        ControlFlow::Break(Error::assertion(
            "an assertion is an expression and holds no query; declare a dataset with `sql:` for that",
        ))
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let result = match expr {
            Expr::Function(function) => self.enter(function),
            Expr::Identifier(ident) => {
                let parts = vec![ident.clone()];
                self.column(&parts).map(|column| *expr = column)
            }
            Expr::CompoundIdentifier(parts) => {
                let parts = parts.clone();
                self.column(&parts).map(|column| *expr = column)
            }
            _ => Ok(()),
        };
        result.map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        if !self.functions.is_aggregate(&name_of(function)) {
            return ControlFlow::Continue(());
        }
        if let Some((_, text)) = self.inside.pop() {
            let column = Ident::with_quote('"', placeholder(self.lifted.len()));
            let call = std::mem::replace(expr, Expr::Identifier(column));
            self.lifted.push(Lifted { text, call });
        }
        ControlFlow::Continue(())
    }
}

impl Walker<'_> {
    fn enter(&mut self, function: &mut Function) -> Result<()> {
        let name = name_of(function);
        let place = self.place(function.name.0.first().and_then(|part| part.as_ident()));
        let error = |message: String| Err(at(message, place));
        if function.over.is_some() {
            return error(format!(
                "`{name}` has an OVER clause; window functions cannot be used in assertions, a `sql:` dataset can hold them"
            ));
        }
        if !self.functions.is_aggregate(&name) {
            if self.functions.scalars.contains(&name) {
                return Ok(());
            }
            return error(self.functions.unknown(&name));
        }
        if self.level == Level::Row {
            return error(format!(
                "a condition on rows cannot use the aggregate `{name}`; `expect:` is for aggregates"
            ));
        }
        if let Some((outer, _)) = self.inside.last() {
            return error(format!("aggregate `{name}` inside aggregate `{outer}`"));
        }
        let text = function.to_string();
        if name == "row_count" {
            self.name_dataset(function)?;
        }
        self.inside.push((name, text));
        Ok(())
    }

    /// `row_count(staging)` names a dataset: it becomes `row_count('staging')`.
    fn name_dataset(&self, function: &mut Function) -> Result<()> {
        let FunctionArguments::List(list) = &mut function.args else {
            return Ok(());
        };
        for arg in &mut list.args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else {
                continue;
            };
            let Expr::Identifier(ident) = &*expr else {
                continue;
            };
            if self.datasets.find(&ident.value).is_none() {
                let names = || self.datasets.names();
                return Err(at(
                    format!(
                        "there is no dataset `{}`{}; there are {}",
                        ident.value,
                        did_you_mean(&ident.value, names()),
                        listed(names())
                    ),
                    self.place(Some(ident)),
                ));
            }
            *expr = Expr::value(Value::SingleQuotedString(ident.value.clone()));
        }
        Ok(())
    }

    fn column(&mut self, parts: &[Ident]) -> Result<Expr> {
        let place = self.place(parts.first());
        let first = &parts[0];
        // A dataset's name, or else a column of the default dataset, perhaps a struct.
        let named = (parts.len() > 1)
            .then(|| self.datasets.find(&first.value))
            .flatten();
        let (dataset, column, rest) = match named {
            Some(dataset) => (dataset, &parts[1], &parts[2..]),
            None => (self.datasets.default, first, &parts[1..]),
        };
        if self.level == Level::Table && self.inside.is_empty() {
            return Err(at(
                format!(
                    "`{}` is a column of single rows and needs an aggregate around it, such as `min({})`; conditions on rows are written `rows:`",
                    column.value, column.value
                ),
                place,
            ));
        }
        let columns = self.datasets.columns(dataset)?;
        let (found, folded) = match columns.resolve(&column.value) {
            Ok(found) => found,
            Err(message) if named.is_none() && parts.len() > 1 => {
                let dotted = parts.iter().map(|part| part.value.as_str());
                let dotted = dotted.collect::<Vec<_>>().join(".");
                let message = if columns.schema.fields().is_empty() {
                    message
                } else if let Ok((name, _)) = columns.resolve(&dotted) {
                    format!(
                        "the column `{name}` of `{}` has a dot in its name and is written in double quotes: \"{name}\"",
                        columns.dataset
                    )
                } else {
                    let names = || self.datasets.names();
                    format!(
                        "`{}` is neither a dataset nor a column of `{}`{}; datasets are {}",
                        first.value,
                        columns.dataset,
                        did_you_mean(&first.value, names()),
                        listed(names())
                    )
                };
                return Err(at(message, place));
            }
            Err(message) => return Err(at(message, self.place(Some(column)))),
        };
        if folded {
            let warning = format!(
                "`{}` was taken for the column `{found}` of `{}`, which differs in case",
                column.value, columns.dataset
            );
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        let mut path = vec![
            Ident::with_quote('"', columns.dataset.clone()),
            Ident::with_quote('"', found),
        ];
        path.extend(rest.iter().cloned());
        Ok(Expr::CompoundIdentifier(path))
    }

    fn place(&self, ident: Option<&Ident>) -> Option<usize> {
        offset(self.sql, ident?.span.start)
    }
}

fn at(message: String, place: Option<usize>) -> Error {
    Error::Assertion {
        message,
        offset: place,
    }
}

fn name_of(function: &Function) -> String {
    match function.name.0.as_slice() {
        [part] => part.as_ident().map_or_else(
            || part.to_string(),
            |ident| {
                if ident.quote_style.is_some() {
                    ident.value.clone()
                } else {
                    ident.value.to_lowercase()
                }
            },
        ),
        _ => function.name.to_string().to_lowercase(),
    }
}

/// Offset in characters of a parser's place in `sql`; `None` if the place is unknown.
pub fn offset(sql: &str, place: Location) -> Option<usize> {
    if place.line == 0 || place.column == 0 {
        return None;
    }
    let line = place.line as usize - 1;
    let before: usize = sql
        .split('\n')
        .take(line)
        .map(|line| line.chars().count() + 1)
        .sum();
    Some(before + place.column as usize - 1)
}
