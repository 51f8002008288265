//! Hooks of veracity: log, metrics, notify.
