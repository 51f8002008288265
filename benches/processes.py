#!/usr/bin/env python3
"""Compares `veracity run` with hand-written DuckDB, process against process.

    cargo build --release
    cargo bench --bench compare -- --rounds 1 s1      # makes target/bench-data once
    pip install duckdb
    python3 benches/processes.py [--rounds N] [NAME..]

Start-up of both is part of what is measured: CPU time (user and system), wall time and peak
memory of the whole process. The two take turns, so that a busy machine slows both.
benches/README.md says what is measured and what the targets are.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCHES = ROOT / "benches"
LINEITEM = ROOT / "target" / "bench-data"
NYCFLIGHTS = ROOT / "examples" / "data"

# What a person writes to run a file of queries with DuckDB, and nothing that costs time.
DUCKDB = """
import sys, duckdb
connection = duckdb.connect(config={"threads": 2})
for view in sys.argv[2:]:
    connection.execute(f"create view {view.split('.')[0]} as from '{view}'")
for query in open(sys.argv[1]).read().split(";"):
    if query.strip():
        connection.execute(query).fetchall()
"""


# Five hooks that get every event: about 1,100 in a run of 500 assertions.
HOOKS = """
hooks:
  counts: {use: metrics}
  more: {use: metrics}
  text: {use: log, level: debug, path: hooks.log}
  lines: {use: log, level: debug, format: json, path: hooks.ndjson}
  again: {use: metrics, mode: synchronous}
"""


@dataclass
class Cost:
    """What one process took."""

    cpu_ms: float
    wall_ms: float
    peak_mib: float


@dataclass
class Case:
    """A suite beside hand-written queries, with the greatest ratios asked for."""

    name: str
    this: list[str]
    data: Path
    reference: list[str] | None = None
    target_cpu: float | None = None
    target_wall: float | None = None
    target_wall_ms: float | None = None
    target_mib: float | None = None
    exit_code: int = 0


def cases(veracity: str, nycflights: Path) -> list[Case]:
    def run(suite: str, *more: str) -> list[str]:
        return [veracity, "run", str(BENCHES / "suites" / f"{suite}.yaml"), *more]

    def duckdb(queries: str, *views: str) -> list[str]:
        return [sys.executable, "-c", DUCKDB, str(BENCHES / "sql" / f"{queries}.sql"), *views]

    def five_times(name: str, hooks: str = "") -> list[str]:
        """A run of the checks of S2, five times each."""
        head, checks = (BENCHES / "suites" / "s2.yaml").read_text().split("checks:\n")
        times = [checks.replace("  - check: ", f"  - check: {n} ") for n in range(5)]
        suite = LINEITEM / name
        suite.write_text(head + "checks:\n" + "".join(times) + hooks)
        return [veracity, "run", str(suite)]

    lineitem = "lineitem.parquet"
    flights = ["flights.parquet", "planes.csv", "airlines.csv", "airports.csv"]
    return [
        Case("s1", run("s1"), LINEITEM, duckdb("s1-duckdb", lineitem), 0.65, 0.65, target_mib=600),
        Case("s1-256MiB", run("s1", "--memory-limit", "256MiB"), LINEITEM),
        Case("s2", run("s2"), LINEITEM, duckdb("s2", lineitem), 0.8, 0.8, target_mib=200),
        Case("s3", run("s3"), nycflights, duckdb("s3-duckdb", *flights), 0.5, exit_code=1),
        Case("hooks", five_times("hooks.yaml", HOOKS), LINEITEM, five_times("no-hooks.yaml"), 1.01, 1.01),
        Case("version", [veracity, "--version"], LINEITEM, target_wall_ms=10),
    ]


def measure(command: list[str], data: Path, exit_code: int) -> Cost:
    environment = {**os.environ, "BENCH_DATA": str(data)}
    begun = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=data,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    # Nobody writes so much to standard error that the pipe is full before the end.
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    with process.stderr as stderr:
        if process.returncode != exit_code:
            sys.exit(f"{command}: exit code {process.returncode}: {stderr.read().decode()}")
    kibibytes = usage.ru_maxrss if sys.platform != "darwin" else usage.ru_maxrss / 1024
    return Cost((usage.ru_utime + usage.ru_stime) * 1e3, wall * 1e3, kibibytes / 1024)


def median(costs: list[Cost]) -> Cost:
    return Cost(
        *(
            statistics.median(getattr(cost, name) for cost in costs)
            for name in ("cpu_ms", "wall_ms", "peak_mib")
        )
    )


def compare(case: Case, rounds: int) -> None:
    sides = [(case.this, case.exit_code)]
    if case.reference:
        sides.append((case.reference, 0))
    costs = [[] for _ in sides]
    for command, exit_code in sides:
        measure(command, case.data, exit_code)
    for turn in range(rounds):
        for side in range(len(sides)):
            side = (side + turn) % len(sides)
            command, exit_code = sides[side]
            costs[side].append(measure(command, case.data, exit_code))
    this = median(costs[0])
    reference = median(costs[1]) if case.reference else None
    row(case.name, "CPU", "ms", this.cpu_ms, reference and reference.cpu_ms, case.target_cpu, None)
    row(
        case.name,
        "wall",
        "ms",
        this.wall_ms,
        reference and reference.wall_ms,
        case.target_wall,
        case.target_wall_ms,
    )
    row(
        case.name,
        "peak",
        "MiB",
        this.peak_mib,
        reference and reference.peak_mib,
        None,
        case.target_mib,
    )


def row(
    name: str,
    what: str,
    unit: str,
    this: float,
    reference: float | None,
    most_ratio: float | None,
    most: float | None,
) -> None:
    ratio = this / reference if reference else None
    if most_ratio is not None and ratio is not None:
        target, verdict = f"{most_ratio:.2f}", "ok" if ratio <= most_ratio else "missed"
    elif most is not None:
        target, verdict = f"{most:g} {unit}", "ok" if this <= most else "missed"
    else:
        target, verdict = "-", ""
    of = f"{reference:.1f} {unit}" if reference else "-"
    times = f"{ratio:.2f}" if ratio else "-"
    print(f"| {name} | {what} | {this:.1f} {unit} | {of} | {times} | {target} | {verdict} |")
    sys.stdout.flush()


def same_values_with_little_memory(veracity: str) -> str:
    """Runs S1 with and without a memory limit and compares all that was measured."""

    def symbols(*more: str) -> list[tuple[str, object]]:
        suite = str(BENCHES / "suites" / "s1.yaml")
        done = subprocess.run(
            [veracity, "run", suite, "--format", "json", *more],
            env={**os.environ, "BENCH_DATA": str(LINEITEM)},
            stdout=subprocess.PIPE,
            check=True,
        )
        report = json.loads(done.stdout)
        return [(symbol["metric"], symbol["value"]) for symbol in report["symbols"]]

    unlimited, limited = symbols(), symbols("--memory-limit", "256MiB")
    different = [pair for pair in zip(unlimited, limited) if not alike(*pair)]
    return f"different: {different}" if different else "the same"


def alike(one: tuple[str, object], other: tuple[str, object]) -> bool:
    """Floating-point sums depend on the order of the rows in their last digits."""
    (metric, value), (other_metric, other_value) = one, other
    if isinstance(value, float) and isinstance(other_value, float):
        return metric == other_metric and abs(value - other_value) <= 1e-12 * abs(value)
    return one == other


def main() -> None:
    arguments = argparse.ArgumentParser(description="Compares veracity with hand-written DuckDB.")
    arguments.add_argument("names", nargs="*", metavar="NAME", help="cases; all if not given")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--veracity", type=Path, default=ROOT / "target/release/veracity")
    arguments.add_argument("--nycflights", type=Path, default=NYCFLIGHTS)
    given = arguments.parse_args()
    veracity = str(given.veracity.resolve())
    print("| case | measure | veracity | DuckDB | ratio | target | |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for case in cases(veracity, given.nycflights.resolve()):
        if not given.names or case.name in given.names:
            compare(case, given.rounds)
    if not given.names or "s1-256MiB" in given.names:
        print(f"\ns1 with 256 MiB: values are {same_values_with_little_memory(veracity)}")


if __name__ == "__main__":
    main()
