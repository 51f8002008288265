//! How far a run is, for those who watch.

use std::sync::{Arc, Mutex};

use datafusion::physical_plan::ExecutionPlan;

use super::execute::{bytes_scanned, rows_scanned};

/// A view on the queries that run now. Clones watch the same run.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    running: Arc<Mutex<Vec<Running>>>,
}

#[derive(Debug)]
struct Running {
    dataset: String,
    plan: Arc<dyn ExecutionPlan>,
}

/// How far the queries on one dataset are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatasetProgress {
    /// The dataset's name.
    pub dataset: String,
    /// Rows read by the query that runs now.
    pub rows: u64,
    /// Bytes read by it, where known.
    pub bytes: u64,
}

impl Progress {
    /// What runs at this moment, in the order it was begun.
    pub fn now(&self) -> Vec<DatasetProgress> {
        let running = self
            .running
            .lock()
            .expect("nothing panics while it holds the list");
        running
            .iter()
            .map(|query| DatasetProgress {
                dataset: query.dataset.clone(),
                rows: rows_scanned(query.plan.as_ref()).unwrap_or_default(),
                bytes: bytes_scanned(query.plan.as_ref()),
            })
            .collect()
    }

    /// Shows `plan` as running until the result is dropped.
    pub(super) fn watch(&self, dataset: &str, plan: Arc<dyn ExecutionPlan>) -> Watched {
        let mut running = self
            .running
            .lock()
            .expect("nothing panics while it holds the list");
        running.push(Running {
            dataset: dataset.to_owned(),
            plan: Arc::clone(&plan),
        });
        Watched {
            progress: self.clone(),
            plan,
        }
    }
}

/// A query that is shown as running.
pub(super) struct Watched {
    progress: Progress,
    plan: Arc<dyn ExecutionPlan>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Ok(mut running) = self.progress.running.lock() {
            running.retain(|query| !Arc::ptr_eq(&query.plan, &self.plan));
        }
    }
}
