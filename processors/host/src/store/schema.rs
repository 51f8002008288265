//! The tables of the store. A migration that was released is never changed.

use veracity_sql::Migration;

/// Where the applied migrations are recorded.
pub(super) const NAME: &str = "veracity_store_migrations";

/// Free text is escaped (see `text.rs`); times are milliseconds since the epoch.
pub(super) const MIGRATIONS: &[Migration<'_>] = &[Migration {
    version: 1,
    name: "reports, deliveries, states, breakers, disabled processors",
    statements: &[
        // `series` is a digest of the suite and the tags of its run; `run` sorts by time.
        "create table veracity_store_reports (
            run {key} not null primary key,
            suite_key {key} not null,
            series {key} not null,
            suite {text} not null,
            origin {text} not null,
            schema_version {int} not null,
            recorded_at {int} not null,
            report {text} not null
        ) {table}",
        "create index veracity_store_reports_series on veracity_store_reports (series, run)",
        // `leased_until` is 0 while nobody holds the delivery; `fence` counts the claims.
        "create table veracity_store_deliveries (
            id {key} not null primary key,
            run {key} not null,
            processor {key} not null,
            plugin {key} not null,
            suite_key {key} not null,
            status {key} not null,
            attempts {int} not null,
            max_attempts {int} not null,
            due {int} not null,
            fence {int} not null,
            owner {key} not null,
            leased_until {int} not null,
            updated_at {int} not null,
            error {text},
            note {text},
            constraint veracity_store_deliveries_run_processor unique (run, processor),
            constraint veracity_store_deliveries_of_report
                foreign key (run) references veracity_store_reports (run)
        ) {table}",
        "create index veracity_store_deliveries_due on veracity_store_deliveries (status, due)",
        "create table veracity_store_states (
            id {key} not null primary key,
            suite {text} not null,
            instance {text} not null,
            version {int} not null,
            updated_at {int} not null,
            state {text} not null
        ) {table}",
        "create table veracity_store_breakers (
            id {key} not null primary key,
            name {text} not null,
            updated_at {int} not null,
            breaker {text} not null
        ) {table}",
        "create table veracity_store_disabled (
            name {key} not null primary key,
            disabled_at {int} not null
        ) {table}",
    ],
}];
