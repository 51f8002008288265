//! Triggers and resolves alerts of PagerDuty by the report of veracity.
