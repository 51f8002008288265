//! Ends before the host would.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use veracity_processor::{ProcessContext, ProcessorError};

/// What `work` returns, or a retryable error a moment before the deadline of `context`:
/// the host stops what does not return in time, and then nobody can say why.
///
/// # Errors
///
/// Those of `work`; retryable if it takes too long.
pub async fn within<T>(
    context: &ProcessContext,
    work: impl Future<Output = Result<T, ProcessorError>>,
) -> Result<T, ProcessorError> {
    let began = Instant::now();
    let left = context.remaining();
    let limit = left - (left / 10).min(Duration::from_millis(500));
    timeout(limit, work).await.unwrap_or_else(|_| {
        let waited = began.elapsed();
        let message = format!("no complete answer within {waited:.1?}");
        Err(ProcessorError::retryable(message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_ends_before_the_deadline_and_may_be_tried_again() {
        let context = ProcessContext::new("test", "id", Duration::from_secs(60));
        let error = within::<()>(&context, std::future::pending()).await;
        let error = error.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        let message = error.message();
        assert!(
            message.starts_with("no complete answer within 59."),
            "{error}"
        );
    }

    #[tokio::test]
    async fn what_ends_in_time_is_not_touched() {
        let context = ProcessContext::new("test", "id", Duration::from_secs(60));
        assert_eq!(within(&context, async { Ok(7) }).await, Ok(7));
        let refused = ProcessorError::permanent("no");
        let ended = within::<()>(&context, async { Err(refused.clone()) }).await;
        assert_eq!(ended, Err(refused.clone()));
    }
}
