//! Channels of veracity: files, URLs, PostgreSQL NOTIFY, NATS.
