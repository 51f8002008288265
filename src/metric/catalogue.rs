//! Every metric by name, and the marker functions that stand for them in an expression.
//!
//! A marker is an aggregate function that only carries its name and arguments: it is
//! expanded into primitives ([`super::expand`]) before anything is computed.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, TypeSignature, Volatility,
};

/// One entry of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in the assertion language.
    pub name: &'static str,
    /// How it is called.
    pub usage: &'static str,
    /// What it is, in one line.
    pub meaning: &'static str,
    /// How it is computed.
    pub family: Family,
    /// How many arguments it takes, least and most.
    pub arity: (usize, usize),
}

/// How a metric is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// In the one scan of the dataset, or from file metadata.
    Scan,
    /// By counting equal values: one query per column set.
    Frequency,
    /// By a join with another dataset.
    Relation,
    /// From the schema; no data is read.
    Schema,
}

impl Family {
    /// The heading of the family in listings.
    pub fn title(self) -> &'static str {
        match self {
            Family::Scan => "Values of columns (one scan for all of them)",
            Family::Frequency => "Equal values (one query per column set)",
            Family::Relation => "Other datasets (a join)",
            Family::Schema => "Schema (no data read)",
        }
    }
}

const MANY: usize = 64;

const fn metric(
    name: &'static str,
    usage: &'static str,
    meaning: &'static str,
    family: Family,
    arity: (usize, usize),
) -> Metric {
    Metric {
        name,
        usage,
        meaning,
        family,
        arity,
    }
}

/// All metrics, sorted by family and name. Beside them every aggregate function of
/// DataFusion can be used.
pub const METRICS: &[Metric] = &[
    metric(
        "approx_distinct_count",
        "approx_distinct_count(c)",
        "distinct non-NULL values by HyperLogLog; an estimate",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "approx_quantile",
        "approx_quantile(c, q)",
        "the q-quantile by t-digest, q in [0, 1]; an estimate",
        Family::Scan,
        (2, 2),
    ),
    metric(
        "avg",
        "avg(c)",
        "mean of the non-NULL values; exact sum over count; also `mean`",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "avg_length",
        "avg_length(c)",
        "mean length of the texts in characters, or of the lists in elements",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "completeness",
        "completeness(c, ..)",
        "share of rows where all given columns are non-NULL, in [0, 1]",
        Family::Scan,
        (1, MANY),
    ),
    metric(
        "compliance",
        "compliance(predicate)",
        "share of rows where the predicate is true, in [0, 1]; unknown is not true",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "correlation",
        "correlation(a, b)",
        "Pearson's correlation in [-1, 1]; undefined if a column is constant",
        Family::Scan,
        (2, 2),
    ),
    metric(
        "count_values",
        "count_values(c, v, ..)",
        "rows whose value is one of those given",
        Family::Scan,
        (2, 10_000),
    ),
    metric(
        "freshness",
        "freshness(ts)",
        "seconds from the newest timestamp to the start of the run",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "kurtosis",
        "kurtosis(c)",
        "excess kurtosis of the population; 0 if the variance is 0",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "max",
        "max(c)",
        "the greatest non-NULL value; undefined if there are NaNs",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "max_length",
        "max_length(c)",
        "greatest length of the texts in characters, or of the lists in elements",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "median",
        "median(c)",
        "the middle value, or the mean of the two middle ones; exact",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "min",
        "min(c)",
        "the smallest non-NULL value; undefined if there are NaNs",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "min_length",
        "min_length(c)",
        "smallest length of the texts in characters, or of the lists in elements",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "null_count",
        "null_count(c)",
        "rows with NULL; NaN and the empty text are values",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "quantile",
        "quantile(c, q)",
        "the q-quantile, q in [0, 1], interpolated between neighbours; exact",
        Family::Scan,
        (2, 2),
    ),
    metric(
        "row_count",
        "row_count(), row_count(dataset)",
        "rows",
        Family::Scan,
        (0, 1),
    ),
    metric(
        "skewness",
        "skewness(c)",
        "skewness of the population; 0 if the variance is 0",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "stddev",
        "stddev(c)",
        "standard deviation of the sample; also `stddev_samp`",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "stddev_pop",
        "stddev_pop(c)",
        "standard deviation of the population",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "sum",
        "sum(c)",
        "exact sum of integers and decimals; an overflow is an error, never wrong",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "var_pop",
        "var_pop(c)",
        "variance of the population; also `variance_pop`",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "var_samp",
        "var_samp(c)",
        "variance of the sample; also `variance`, `variance_samp`, `var`",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "violations",
        "violations(predicate)",
        "rows where the predicate is false; unknown is no violation",
        Family::Scan,
        (1, 1),
    ),
    metric(
        "distinct_count",
        "distinct_count(c, ..)",
        "distinct values or tuples; NULL is no value",
        Family::Frequency,
        (1, MANY),
    ),
    metric(
        "distinctness",
        "distinctness(c, ..)",
        "distinct values / rows with a value, in (0, 1]",
        Family::Frequency,
        (1, MANY),
    ),
    metric(
        "duplicate_count",
        "duplicate_count(c, ..)",
        "surplus rows: rows with a value - distinct values",
        Family::Frequency,
        (1, MANY),
    ),
    metric(
        "duplicate_row_count",
        "duplicate_row_count(c, ..)",
        "rows whose value occurs more than once",
        Family::Frequency,
        (1, MANY),
    ),
    metric(
        "entropy",
        "entropy(c, ..)",
        "Shannon entropy of the values, in nats",
        Family::Frequency,
        (1, MANY),
    ),
    metric(
        "unique_value_ratio",
        "unique_value_ratio(c, ..)",
        "values seen exactly once / distinct values, in [0, 1]",
        Family::Frequency,
        (1, MANY),
    ),
    metric(
        "uniqueness",
        "uniqueness(c, ..)",
        "values seen exactly once / rows with a value, in [0, 1]",
        Family::Frequency,
        (1, MANY),
    ),
    metric(
        "referential_integrity",
        "referential_integrity(c, other.d), referential_integrity(a, b, other.a, other.b)",
        "share of the rows with a value whose value is in the other dataset, in [0, 1]",
        Family::Relation,
        (2, MANY),
    ),
    metric(
        "unmatched",
        "unmatched(c, other.d), unmatched(a, b, other.a, other.b)",
        "rows whose value is not in the other dataset; NULL needs no match",
        Family::Relation,
        (2, MANY),
    ),
    metric(
        "column_count",
        "column_count()",
        "number of columns",
        Family::Schema,
        (0, 0),
    ),
    metric(
        "column_type",
        "column_type('c')",
        "type of a column as text, such as 'Int64' or 'Utf8'",
        Family::Schema,
        (1, 1),
    ),
    metric(
        "has_column",
        "has_column('c')",
        "whether a column of exactly that name exists",
        Family::Schema,
        (1, 1),
    ),
];

/// Names of DataFusion's own functions that the catalogue lists, and other names of
/// metrics, each with the entry it belongs to.
const ALIASES: &[(&str, &str)] = &[
    ("mean", "avg"),
    ("stddev_samp", "stddev"),
    ("var", "var_samp"),
    ("var_sample", "var_samp"),
    ("variance", "var_samp"),
    ("variance_samp", "var_samp"),
    ("var_population", "var_pop"),
    ("variance_pop", "var_pop"),
    ("size", "row_count"),
];

/// The entry called `name`, also by another of its names.
pub fn find(name: &str) -> Option<&'static Metric> {
    let name = ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name, |(_, of)| of);
    METRICS.iter().find(|metric| metric.name == name)
}

/// Names of DataFusion's aggregate functions that the catalogue does not list, sorted.
pub fn other_aggregates() -> Vec<String> {
    let mut names: Vec<String> = all_default_aggregate_functions()
        .iter()
        .map(|function| function.name().to_lowercase())
        .filter(|name| find(name).is_none())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The primitives that are not computed by an aggregate function: counts of equal
/// values and of rows without a match.
pub(crate) mod primitive {
    pub const DISTINCT: &str = "__distinct";
    pub const ONCE: &str = "__once";
    pub const ENTROPY: &str = "__entropy";
    pub const UNMATCHED: &str = "__unmatched";
}

static MARKERS: LazyLock<HashMap<&'static str, Arc<AggregateUDF>>> = LazyLock::new(|| {
    let internal = [
        primitive::DISTINCT,
        primitive::ONCE,
        primitive::ENTROPY,
        primitive::UNMATCHED,
    ];
    METRICS
        .iter()
        .map(|metric| metric.name)
        .filter(|name| !BUILT_IN.contains(name))
        .chain(
            ALIASES
                .iter()
                .map(|(alias, _)| *alias)
                .filter(|name| !BUILT_IN.contains(name)),
        )
        .chain(internal)
        .map(|name| (name, Arc::new(AggregateUDF::from(Marker::new(name)))))
        .collect()
});

/// What DataFusion has under the same name; its function is the marker then.
const BUILT_IN: &[&str] = &[
    "avg",
    "mean",
    "max",
    "median",
    "min",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "sum",
    "var",
    "var_pop",
    "var_population",
    "var_samp",
    "var_sample",
];

/// The marker function of the metric called `name`, if DataFusion has none of its own.
pub fn marker(name: &str) -> Option<Arc<AggregateUDF>> {
    MARKERS.get(name).cloned()
}

/// The marker functions to be registered, in no particular order.
pub fn markers() -> impl Iterator<Item = Arc<AggregateUDF>> {
    MARKERS
        .iter()
        .filter(|(name, _)| !name.starts_with("__"))
        .map(|(_, marker)| Arc::clone(marker))
}

/// An aggregate function that is a name and nothing else.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Marker {
    name: &'static str,
    signature: Signature,
}

impl Marker {
    fn new(name: &'static str) -> Self {
        let signature = Signature::one_of(
            vec![TypeSignature::VariadicAny, TypeSignature::Nullary],
            Volatility::Immutable,
        );
        Self { name, signature }
    }
}

impl AggregateUDFImpl for Marker {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.name {
            primitive::DISTINCT | primitive::ONCE | primitive::UNMATCHED => DataType::Int64,
            _ => DataType::Float64,
        })
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        internal_err!("`{}` is expanded before it is computed", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_within_their_family_and_unique() {
        for pair in METRICS.windows(2) {
            assert!(
                (pair[0].family, pair[0].name) < (pair[1].family, pair[1].name),
                "{} before {}",
                pair[0].name,
                pair[1].name
            );
        }
    }

    #[test]
    fn another_name_leads_to_its_metric() {
        assert_eq!(find("mean").map(|metric| metric.name), Some("avg"));
        assert_eq!(find("completness"), None);
    }
}
