//! The DataFusion session of a run.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool, UnboundedMemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::metric;

/// A session that knows our metrics, with `cores` partitions and at most `memory_limit`
/// bytes for sorting, grouping and joining; beyond it spills to temporary files.
pub fn session(cores: usize, memory_limit: Option<usize>) -> Result<SessionContext> {
    let runtime = match memory_limit {
        Some(bytes) => {
            let consumers = std::num::NonZeroUsize::new(3).expect("3 is not 0");
            let pool = TrackConsumersPool::new(FairSpillPool::new(bytes), consumers);
            RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool))
        }
        None => RuntimeEnvBuilder::new().with_memory_pool(Arc::new(UnboundedMemoryPool::default())),
    };
    let mut config = SessionConfig::new()
        .with_target_partitions(cores)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(true);
    // Wide aggregations spend less on each batch when batches are larger.
    config = config.with_batch_size(16 * 1024);
    let session = SessionContext::new_with_config_rt(config, runtime.build_arc()?);
    metric::register(&session);
    Ok(session)
}
