//! The two sides: a suite run by the engine, and SQL run by DataFusion.

use std::path::{Path, PathBuf};

use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use futures::StreamExt;
use tokio::runtime::Runtime;
use veracity::engine::Engine;
use veracity::prelude::{Report, VerificationSuite};
use veracity::suite::file;

/// What both sides run on: the same data and as many threads each.
pub struct Machine {
    folder: PathBuf,
    runtime: Runtime,
    engine: Engine,
    cores: usize,
}

impl Machine {
    pub fn new(folder: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let cores = std::thread::available_parallelism()?.get();
        Ok(Self {
            folder: folder.to_owned(),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(cores)
                .enable_all()
                .build()?,
            engine: Engine::builder().cores(cores).build()?,
            cores,
        })
    }

    /// The file that everything reads.
    pub fn lineitem(&self) -> String {
        self.folder.join("lineitem.parquet").display().to_string()
    }

    /// The suite `name` of benches/suites, over the generated data.
    pub fn suite(&self, name: &str) -> Result<VerificationSuite, Box<dyn std::error::Error>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("benches/suites")
            .join(name)
            .with_extension("yaml");
        let data = self.folder.display().to_string();
        let environment = |name: &str| (name == "BENCH_DATA").then(|| data.clone());
        Ok(file::load(&path, &environment)?.suite)
    }

    /// Verifies `suite`, all of which has to hold.
    pub fn verify(&self, suite: &VerificationSuite) -> Result<(), String> {
        all_passed(&self.runtime.block_on(suite.run(&self.engine)))
    }

    /// Plans `suite`, all of which has to be understood.
    pub fn plan(&self, suite: &VerificationSuite) -> Result<(), String> {
        let plan = self.runtime.block_on(self.engine.plan(suite));
        let plan = plan.map_err(|error| error.to_string())?;
        match plan.errors.first() {
            Some(error) => Err(format!("{}: {}", error.assertion, error.reason)),
            None => Ok(()),
        }
    }

    /// Runs `queries`, which end in semicolons, one after the other. Their batches are
    /// dropped.
    pub fn query(&self, queries: &str) -> Result<(), String> {
        let run = async {
            let config = SessionConfig::new().with_target_partitions(self.cores);
            let session = SessionContext::new_with_config(config);
            let options = ParquetReadOptions::default();
            session
                .register_parquet("lineitem", self.lineitem(), options)
                .await?;
            for query in queries.split(';').filter(|query| !query.trim().is_empty()) {
                let query = session.sql(query).await?;
                let context = query.task_ctx().into();
                let plan = query.create_physical_plan().await?;
                let mut batches = execute_stream(plan, context)?;
                while let Some(batch) = batches.next().await {
                    batch?;
                }
            }
            Ok(())
        };
        let done: datafusion::error::Result<()> = self.runtime.block_on(run);
        done.map_err(|error| error.to_string())
    }
}

fn all_passed(report: &Report) -> Result<(), String> {
    if report.summary.passed == report.summary.declared {
        return Ok(());
    }
    let wrong = report
        .results
        .iter()
        .find(|result| result.status != veracity::prelude::Status::Passed);
    Err(match wrong {
        Some(result) => format!(
            "{} {}: {:?} {:?}",
            result.status, result.assertion, result.actual, result.reason
        ),
        None => "nothing was verified".to_owned(),
    })
}
