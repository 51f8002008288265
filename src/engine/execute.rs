//! The queries of a plan, run; every primitive gets a value or the reason it has none.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, ScalarValue, exec_datafusion_err};
use datafusion::datasource::MemTable;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionContext;
use futures::{FutureExt, StreamExt};

use super::fuse;
use super::plan::{DatasetPlan, Wanted};
use super::primitive::Frequency;
use super::progress::Progress;
use super::queries;
use super::watch::Watch;
use crate::source::OpenDataset;

/// Where the value of a primitive came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Statistics of the files.
    Metadata,
    /// The fused scan.
    Scan,
    /// A count of equal keys.
    GroupBy,
    /// A join.
    Join,
}

impl Origin {
    /// The word of the Report.
    pub fn word(self) -> &'static str {
        match self {
            Origin::Metadata => "metadata",
            Origin::Scan => "scan",
            Origin::GroupBy => "group by",
            Origin::Join => "join",
        }
    }
}

/// What became of a primitive: its value, or why it has none.
pub type Outcome = Result<ScalarValue, String>;

/// What reading a dataset took.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    /// How often its data was read.
    pub scans: u64,
    /// Bytes read from storage.
    pub bytes: u64,
    /// Rows, where counted on the way.
    pub rows: Option<u64>,
    /// Why it could not be read.
    pub error: Option<String>,
}

/// What is known so far; an interrupted run reports from it.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// By primitive.
    pub values: HashMap<usize, (Outcome, Origin)>,
    /// By dataset.
    pub costs: HashMap<usize, Cost>,
}

/// Everything that running needs.
pub struct Work<'a> {
    /// Where queries are planned.
    pub session: &'a SessionContext,
    /// Its state, taken once.
    pub state: &'a SessionState,
    /// The datasets; `None` for those that could not be opened.
    pub open: &'a [Option<Arc<OpenDataset>>],
    /// Their plans.
    pub plans: &'a [Option<DatasetPlan>],
    /// Datasets worked on at once.
    pub concurrency: usize,
    /// Where results go.
    pub outcomes: &'a Mutex<Outcomes>,
    /// Who watches.
    pub progress: &'a Progress,
    /// Who is told.
    pub watch: &'a Watch,
}

/// Runs every plan.
pub async fn run(work: &Work<'_>) {
    // Tables that are read into memory once, before anything else uses them.
    let mut tables: Vec<Option<Arc<dyn TableProvider>>> = Vec::with_capacity(work.open.len());
    for (index, open) in work.open.iter().enumerate() {
        let table = match (open, &work.plans[index]) {
            (Some(open), Some(plan)) => {
                work.watch.dataset_begins(&open.name);
                work.table(index, open, plan).await
            }
            _ => None,
        };
        tables.push(table);
    }
    let tables = &tables;
    futures::stream::iter(0..work.open.len())
        .for_each_concurrent(work.concurrency.max(1), |index| {
            async move {
                if let (Some(open), Some(plan)) = (&work.open[index], &work.plans[index]) {
                    work.dataset(index, open, plan, tables).await;
                    work.watch.dataset_ends(&open.name, &work.spent(index));
                }
            }
            .boxed()
        })
        .await;
}

impl Work<'_> {
    pub(super) fn record(&self, primitive: usize, outcome: Outcome, origin: Origin) {
        self.outcomes
            .lock()
            .expect("nothing panics while it holds the outcomes")
            .values
            .insert(primitive, (outcome, origin));
    }

    pub(super) fn cost(&self, dataset: usize, change: impl FnOnce(&mut Cost)) {
        let mut outcomes = self
            .outcomes
            .lock()
            .expect("nothing panics while it holds the outcomes");
        change(outcomes.costs.entry(dataset).or_default());
    }

    /// What reading the dataset took so far.
    fn spent(&self, dataset: usize) -> Cost {
        let outcomes = self
            .outcomes
            .lock()
            .expect("nothing panics while it holds the outcomes");
        outcomes.costs.get(&dataset).cloned().unwrap_or_default()
    }

    /// The table that queries run on; `None` (and every primitive failed) if it cannot be
    /// read at all.
    async fn table(
        &self,
        index: usize,
        open: &Arc<OpenDataset>,
        plan: &DatasetPlan,
    ) -> Option<Arc<dyn TableProvider>> {
        for (primitive, value) in &plan.metadata {
            self.record(*primitive, Ok(value.clone()), Origin::Metadata);
        }
        self.cost(index, |cost| cost.rows = plan.rows);
        if plan.scans() == 0 {
            return Some(Arc::clone(&open.provider));
        }
        if let Err(error) = open.inspect().await {
            self.fail_all(index, plan, &error.to_string());
            return None;
        }
        if !plan.shared {
            return Some(Arc::clone(&open.provider));
        }
        match self.read_into_memory(index, open).await {
            Ok(table) => Some(table),
            Err(error) => {
                self.fail_all(index, plan, &why(&error, open).await);
                None
            }
        }
    }

    fn fail_all(&self, index: usize, plan: &DatasetPlan, message: &str) {
        self.cost(index, |cost| cost.error = Some(message.to_owned()));
        for (primitive, origin) in plan.computed() {
            self.record(primitive, Err(message.to_owned()), origin);
        }
    }

    async fn read_into_memory(
        &self,
        index: usize,
        open: &OpenDataset,
    ) -> datafusion::common::Result<Arc<dyn TableProvider>> {
        let all: Vec<usize> = (0..open.schema.fields().len()).collect();
        let plan = fuse::scan(self.state, &open.provider, &all, None).await?;
        let partitions = self.collect(&open.name, Arc::clone(&plan)).await?;
        self.cost(index, |cost| {
            cost.scans += 1;
            cost.bytes += bytes_scanned(plan.as_ref());
            cost.rows = Some(partitions.iter().map(|batch| batch.num_rows() as u64).sum());
        });
        let cores = self.state.config().target_partitions();
        let mut parts = vec![Vec::new(); cores];
        for (n, batch) in partitions.into_iter().enumerate() {
            parts[n % cores].push(batch);
        }
        let table = MemTable::try_new(Arc::clone(&open.schema), parts)?;
        Ok(Arc::new(table))
    }

    pub(super) async fn collect(
        &self,
        dataset: &str,
        plan: Arc<dyn ExecutionPlan>,
    ) -> datafusion::common::Result<Vec<RecordBatch>> {
        let _watched = self.progress.watch(dataset, Arc::clone(&plan));
        collect(plan, self.state.task_ctx()).await
    }

    async fn dataset(
        &self,
        index: usize,
        open: &Arc<OpenDataset>,
        plan: &DatasetPlan,
        tables: &[Option<Arc<dyn TableProvider>>],
    ) {
        let Some(table) = &tables[index] else {
            return;
        };
        if let Some(fused) = &plan.fused {
            self.fused(index, open, plan, fused, table).await;
        }
        for frequency in &plan.frequencies {
            let asked: Vec<Frequency> = {
                let mut asked: Vec<_> = frequency.asked.iter().map(|(_, asked)| *asked).collect();
                asked.dedup();
                asked
            };
            let query = queries::frequencies(self.session, table, &frequency.set, &asked);
            let outcome = self.query(index, open, plan.shared, query).await;
            for (primitive, wanted) in &frequency.asked {
                let place = asked.iter().position(|asked| asked == wanted);
                let value = outcome
                    .as_ref()
                    .map_err(Clone::clone)
                    .map(|row| place.map_or(ScalarValue::Null, |place| row[place].clone()));
                self.record(*primitive, value, Origin::GroupBy);
            }
        }
        for (primitive, relation) in &plan.relations {
            let outcome = match &tables[relation.parent] {
                Some(parents) => {
                    let query = queries::unmatched(self.session, table, parents, relation);
                    let shared = self.plans[relation.parent]
                        .as_ref()
                        .is_some_and(|plan| plan.shared);
                    if !shared {
                        self.cost(relation.parent, |cost| cost.scans += 1);
                    }
                    self.query(index, open, plan.shared, query).await
                }
                None => Err(self.why_unreadable(relation.parent)),
            };
            let outcome = outcome.map(|mut row| row.swap_remove(0));
            self.record(*primitive, outcome, Origin::Join);
        }
        for (primitive, call) in &plan.alone {
            let query = queries::alone(self.session, table, call);
            let outcome = self.query(index, open, plan.shared, query).await;
            let outcome = outcome.map(|mut row| row.swap_remove(0));
            self.record(*primitive, outcome, Origin::Scan);
        }
        if let Some(change) = open.changed() {
            self.fail_all(index, plan, &change);
        }
    }

    fn why_unreadable(&self, dataset: usize) -> String {
        let outcomes = self
            .outcomes
            .lock()
            .expect("nothing panics while it holds the outcomes");
        let known = outcomes
            .costs
            .get(&dataset)
            .and_then(|cost| cost.error.clone());
        known.unwrap_or_else(|| "the other dataset could not be read".to_owned())
    }

    async fn query(
        &self,
        index: usize,
        open: &OpenDataset,
        shared: bool,
        query: datafusion::common::Result<datafusion::dataframe::DataFrame>,
    ) -> Result<Vec<ScalarValue>, String> {
        if !shared {
            self.cost(index, |cost| cost.scans += 1);
        }
        let row = match query {
            Ok(query) => caught(queries::single_row(query, &open.name, self.progress)).await,
            Err(error) => Err(error),
        };
        match row {
            Ok((values, bytes)) => {
                if !shared {
                    self.cost(index, |cost| cost.bytes += bytes);
                }
                Ok(values)
            }
            Err(error) => Err(why(&error, open).await),
        }
    }
}

/// A panic of a query as an error: it is a failure of who asked, like any other.
pub(super) async fn caught<T>(
    query: impl Future<Output = datafusion::common::Result<T>>,
) -> datafusion::common::Result<T> {
    AssertUnwindSafe(query)
        .catch_unwind()
        .await
        .unwrap_or_else(|payload| {
            let text = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("without a message");
            let error = exec_datafusion_err!("it panicked: {text}");
            // Dropping a payload may panic again.
            std::mem::forget(payload);
            Err(error)
        })
}

impl Wanted {
    /// The primitives that get a value from it.
    pub fn primitives(&self) -> Vec<usize> {
        match self {
            Wanted::Primitive(primitive) => vec![*primitive],
            Wanted::Keys(asked) => asked.iter().map(|(primitive, _)| *primitive).collect(),
            Wanted::Rows => Vec::new(),
        }
    }
}

impl DatasetPlan {
    /// The primitives that need the data, and where their values come from.
    fn computed(&self) -> Vec<(usize, Origin)> {
        let fused = self.fused.iter().flat_map(|fused| {
            fused
                .calls
                .iter()
                .chain(&fused.rules)
                .flat_map(|(wanted, _)| wanted.primitives())
        });
        let fused = fused.map(|primitive| (primitive, Origin::Scan));
        let keys = self.frequencies.iter().flat_map(|set| &set.asked);
        let keys = keys.map(|(primitive, _)| (*primitive, Origin::GroupBy));
        let joins = self.relations.iter().map(|(id, _)| (*id, Origin::Join));
        let alone = self.alone.iter().map(|(id, _)| (*id, Origin::Scan));
        fused.chain(keys).chain(joins).chain(alone).collect()
    }
}

/// What failed, with the file if that can be told.
pub(super) async fn why(error: &DataFusionError, open: &OpenDataset) -> String {
    let reading = matches!(
        error.find_root(),
        DataFusionError::ParquetError(_) | DataFusionError::IoError(_)
    );
    if reading
        && open.files.len() > 1
        && let Some(message) = open.find_unreadable().await
    {
        return message;
    }
    open.explain(error)
}

/// Bytes read from storage below `plan`, as its scans counted them.
pub fn bytes_scanned(plan: &dyn ExecutionPlan) -> u64 {
    let own = plan
        .metrics()
        .and_then(|metrics| metrics.sum_by_name("bytes_scanned"))
        .map_or(0, |value| value.as_usize() as u64);
    own + plan
        .children()
        .into_iter()
        .map(|child| bytes_scanned(child.as_ref()))
        .sum::<u64>()
}

/// Rows that left the leaf scans of `plan`.
pub fn rows_scanned(plan: &dyn ExecutionPlan) -> Option<u64> {
    let children = plan.children();
    if children.is_empty() {
        let metrics = plan.metrics()?.aggregate_by_name();
        return metrics.iter().find_map(|metric| match metric.value() {
            MetricValue::OutputRows(rows) => Some(rows.value() as u64),
            _ => None,
        });
    }
    children
        .into_iter()
        .filter_map(|child| rows_scanned(child.as_ref()))
        .reduce(|a, b| a + b)
}
