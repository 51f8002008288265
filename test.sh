#!/usr/bin/env bash
# Passes all tests: format, lints, unit and integration tests, doc tests.
set -euo pipefail
cd "$(dirname "$0")"

export CARGO_INCREMENTAL=0
export CARGO_PROFILE_DEV_DEBUG=0
# A snapshot that differs is a failure, never an update.
export INSTA_UPDATE=no

step() { printf '\n== %s\n' "$*" >&2; }

step format
cargo fmt --all --check

step servers
bash .ci/servers.sh
cargo build --locked -p veracity-servers
# One PostgreSQL and one MariaDB for all tests; each test gets databases of its own.
with_servers() { "${CARGO_TARGET_DIR:-target}/debug/veracity-servers" "$@"; }

step tests
if cargo nextest --version >/dev/null 2>&1; then
    with_servers cargo nextest run --workspace --locked --no-fail-fast
else
    with_servers cargo test --workspace --locked --tests --examples
fi

step doc tests
cargo test --workspace --locked --doc

step lints
cargo clippy --workspace --locked --all-targets -- --deny warnings

if cargo deny --version >/dev/null 2>&1; then
    step dependencies
    cargo deny --offline check bans licenses sources
fi

step passed
