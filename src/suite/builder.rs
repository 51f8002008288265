//! Suites written in Rust.

use datafusion::logical_expr::Expr;

use veracity_processor::Secret;

use super::{
    Assertion, Check, Condition, Dataset, OnNull, Predicate, Processing, Severity,
    VerificationSuite,
};
use crate::error::Result;

/// Puts a [`VerificationSuite`] together.
///
/// ```
/// use veracity::suite::{Assertion, Check, Dataset, OnNull, Severity, VerificationSuite};
///
/// # fn main() -> veracity::error::Result<()> {
/// let suite = VerificationSuite::builder("orders")
///     .dataset(Dataset::path("orders", "data/orders.parquet").timezone("Europe/Amsterdam"))
///     .check(
///         Check::new("Orders are complete")
///             .dataset("orders")
///             .severity(Severity::P0)
///             .tag("daily")
///             .assert("completeness(email) >= 0.95")
///             .assert(Assertion::expect("row_count() > 0").named("there are orders"))
///             .assert(
///                 Assertion::rows("ordered_at <= shipped_at")
///                     .mostly(0.99)
///                     .on_null(OnNull::Fail),
///             ),
///     )
///     .fail_on(Severity::P1)
///     .build()?;
/// assert_eq!(suite.checks[0].assertions.len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct SuiteBuilder {
    suite: VerificationSuite,
}

impl VerificationSuite {
    /// Begins a suite called `name`.
    pub fn builder(name: impl Into<String>) -> SuiteBuilder {
        SuiteBuilder {
            suite: VerificationSuite {
                name: name.into(),
                datasets: Vec::new(),
                checks: Vec::new(),
                fail_on: Severity::default(),
                processing: Processing::default(),
            },
        }
    }
}

impl SuiteBuilder {
    /// Adds a dataset.
    pub fn dataset(mut self, dataset: impl Into<Dataset>) -> Self {
        self.suite.datasets.push(dataset.into());
        self
    }

    /// Adds a check.
    pub fn check(mut self, check: Check) -> Self {
        self.suite.checks.push(check);
        self
    }

    /// Sets the least severity whose failures fail the run. Default: P1.
    pub fn fail_on(mut self, severity: Severity) -> Self {
        self.suite.fail_on = severity;
        self
    }

    /// Adds a processor, configured under `name`. `settings` are those every processor has,
    /// among them `use` where its name is not `name`, and its own.
    pub fn processor(mut self, name: impl Into<String>, settings: serde_json::Value) -> Self {
        self.suite
            .processing
            .processors
            .push((name.into(), settings));
        self
    }

    /// Adds a hook, configured under `name`. `settings` are those every hook has, among them
    /// `use` where its name is not `name`, and its own.
    pub fn hook(mut self, name: impl Into<String>, settings: serde_json::Value) -> Self {
        self.suite.processing.hooks.push((name.into(), settings));
        self
    }

    /// Adds a channel, configured under `name`. `settings` are those every channel has, among
    /// them `use` where its name is not `name`, and its own.
    pub fn channel(mut self, name: impl Into<String>, settings: serde_json::Value) -> Self {
        self.suite.processing.channels.push((name.into(), settings));
        self
    }

    /// Sets the store that keeps reports and what is to be delivered: a `sqlite://`,
    /// `postgres://` or `mysql://` URL.
    pub fn store(mut self, url: impl Into<Secret>) -> Self {
        self.suite.processing.store = Some(url.into());
        self
    }

    /// The suite, if it is one.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, see [`VerificationSuite::validate`].
    ///
    /// ```
    /// use veracity::suite::{Check, Dataset, VerificationSuite};
    ///
    /// let error = VerificationSuite::builder("orders")
    ///     .dataset(Dataset::path("orders", "data/orders.parquet"))
    ///     .check(Check::new("Orders exist").dataset("odrers").assert("row_count() > 0"))
    ///     .build()
    ///     .unwrap_err();
    /// assert_eq!(error.to_string(), "unknown dataset `odrers`, did you mean `orders`?");
    /// ```
    pub fn build(self) -> Result<VerificationSuite> {
        self.suite.validate()?;
        Ok(self.suite)
    }
}

impl Check {
    /// A check called `name`, of severity P1, without assertions.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            dataset: None,
            severity: Severity::default(),
            tags: Vec::new(),
            assertions: Vec::new(),
            location: None,
        }
    }

    /// Sets the dataset it is about; needed where the suite has several.
    #[must_use]
    pub fn dataset(mut self, name: impl Into<String>) -> Self {
        self.dataset = Some(name.into());
        self
    }

    /// Sets the severity of its assertions.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Adds an assertion: text, a DataFusion expression, or an [`Assertion`].
    ///
    /// ```
    /// use datafusion::functions_aggregate::expr_fn::max;
    /// use datafusion::prelude::{col, lit};
    /// use veracity::suite::Check;
    ///
    /// let check = Check::new("Amounts are small")
    ///     .assert("min(amount) > 0")
    ///     .assert(max(col("amount")).lt(lit(1000)));
    /// assert_eq!(check.assertions.len(), 2);
    /// ```
    #[must_use]
    pub fn assert(mut self, assertion: impl Into<Assertion>) -> Self {
        self.assertions.push(assertion.into());
        self
    }
}

impl Assertion {
    /// An expression over aggregates must be true.
    #[must_use]
    pub fn expect(expression: impl Into<Predicate>) -> Self {
        Self::new(Condition::Expect(expression.into()))
    }

    /// An expression must be true for each row.
    pub fn rows(expression: impl Into<Predicate>) -> RowsAssertion {
        RowsAssertion {
            predicate: expression.into(),
            mostly: None,
            on_null: OnNull::default(),
            rest: Self::new(Condition::Expect(Predicate::from(""))),
        }
    }

    fn new(condition: Condition) -> Self {
        Self {
            condition,
            name: None,
            severity: None,
            tags: Vec::new(),
            location: None,
        }
    }

    /// Gives it a name, instead of its expression.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets its severity, instead of that of its check.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Its name, or its expression if it has none.
    pub fn display_name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.expression())
    }
}

/// An [`Assertion`] about each row, which alone may hold for but most rows.
#[derive(Debug, Clone)]
#[must_use = "add it to a check"]
pub struct RowsAssertion {
    predicate: Predicate,
    mostly: Option<f64>,
    on_null: OnNull,
    rest: Assertion,
}

impl RowsAssertion {
    /// Sets the least share of rows that must hold it, above 0 and at most 1.
    pub fn mostly(mut self, share: f64) -> Self {
        self.mostly = Some(share);
        self
    }

    /// Sets what a row means for which the expression is unknown.
    pub fn on_null(mut self, on_null: OnNull) -> Self {
        self.on_null = on_null;
        self
    }

    /// As [`Assertion::named`].
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.rest = self.rest.named(name);
        self
    }

    /// As [`Assertion::severity`].
    pub fn severity(mut self, severity: Severity) -> Self {
        self.rest = self.rest.severity(severity);
        self
    }

    /// As [`Assertion::tag`].
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.rest = self.rest.tag(tag);
        self
    }
}

impl From<RowsAssertion> for Assertion {
    fn from(rows: RowsAssertion) -> Self {
        let RowsAssertion {
            predicate,
            mostly,
            on_null,
            rest,
        } = rows;
        Self {
            condition: Condition::Rows {
                predicate,
                mostly,
                on_null,
            },
            ..rest
        }
    }
}

impl From<&str> for Assertion {
    fn from(expression: &str) -> Self {
        Self::expect(expression)
    }
}

impl From<String> for Assertion {
    fn from(expression: String) -> Self {
        Self::expect(expression)
    }
}

impl From<Expr> for Assertion {
    fn from(expression: Expr) -> Self {
        Self::expect(expression)
    }
}

impl From<&str> for Predicate {
    fn from(sql: &str) -> Self {
        Self::from(sql.to_owned())
    }
}

impl From<String> for Predicate {
    fn from(sql: String) -> Self {
        Self::Text { sql, start: None }
    }
}

impl From<Expr> for Predicate {
    fn from(expression: Expr) -> Self {
        Self::Expr(Box::new(expression))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::functions_aggregate::expr_fn::max;
    use datafusion::prelude::{col, lit};

    use super::super::{Format, Integrity, Source};
    use super::*;

    fn messages(builder: SuiteBuilder) -> Vec<String> {
        let errors = builder.build().unwrap_err().flatten();
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_suite_from_rust_is_what_was_said() {
        let suite = VerificationSuite::builder("orders")
            .dataset(
                Dataset::path("orders", "o.txt")
                    .format(Format::Csv)
                    .timezone("+02:00"),
            )
            .dataset(Dataset::sql("late", "select * from orders").integrity(Integrity::Full))
            .check(
                Check::new("c")
                    .dataset("orders")
                    .tag("daily")
                    .assert("row_count() > 0")
                    .assert("row_count() > 1".to_owned())
                    .assert(max(col("a")).lt(lit(3)))
                    .assert(
                        Assertion::rows("a < b")
                            .mostly(0.5)
                            .on_null(OnNull::Fail)
                            .named("n")
                            .severity(Severity::P3),
                    ),
            )
            .fail_on(Severity::P2)
            .build()
            .unwrap();
        assert_eq!(suite.fail_on, Severity::P2);
        assert!(
            matches!(&suite.datasets[0].source, Source::Path { path, format: Some(Format::Csv), .. } if path == "o.txt")
        );
        assert_eq!(suite.datasets[0].timezone.as_deref(), Some("+02:00"));
        assert_eq!(suite.datasets[1].integrity, Integrity::Full);
        let names: Vec<String> = suite.checks[0]
            .assertions
            .iter()
            .map(Assertion::display_name)
            .collect();
        assert_eq!(
            names,
            ["row_count() > 0", "row_count() > 1", "max(a) < 3", "n"]
        );
        let rows = &suite.checks[0].assertions[3];
        assert_eq!(rows.severity, Some(Severity::P3));
        assert!(matches!(
            rows.condition,
            Condition::Rows {
                mostly: Some(0.5),
                on_null: OnNull::Fail,
                ..
            }
        ));
    }

    #[test]
    fn a_suite_from_rust_keeps_to_the_rules_of_the_file() {
        let data = || Dataset::path("d", "d.csv");
        let found = messages(VerificationSuite::builder(" "));
        assert_eq!(
            found,
            [
                "the suite's name is empty",
                "the suite has no datasets",
                "the suite has no checks"
            ]
        );

        let found = messages(
            VerificationSuite::builder("s")
                .dataset(data().timezone("Mars"))
                .dataset(data())
                .dataset(Dataset::sql("e", ""))
                .check(Check::new("c").assert("a"))
                .check(
                    Check::new("c")
                        .dataset("f")
                        .assert("a")
                        .assert("")
                        .assert("a")
                        .assert(Assertion::rows("b").mostly(2.0)),
                )
                .check(Check::new("empty").dataset("d")),
        );
        assert_eq!(
            found,
            [
                "unknown timezone `Mars` of dataset `d`",
                "dataset `d` is defined twice",
                "the query of dataset `e` is empty",
                "check `c` does not say which dataset it is about",
                "check `c` is defined twice",
                "unknown dataset `f`, did you mean `d`?",
                "an assertion of check `c` is empty",
                "assertion `a` is stated twice in check `c`",
                "`mostly` is a share above 0 and at most 1, not 2",
                "check `empty` has no assertions",
            ]
        );
    }
}
