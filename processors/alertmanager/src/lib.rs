//! Sends the failed assertions of veracity to Alertmanager.
