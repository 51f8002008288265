"""Appends one line per run to a file."""

import json
import os
import sys


def append(file, report, key):
    run, summary = report["run"], report["summary"]
    with open(file, "a", encoding="utf-8") as log:
        log.write(
            f"{run['started_at']} {run['suite']} {report['verdict']}: "
            f"{summary['failed']} of {summary['declared']} failed, key {key}\n"
        )


for line in sys.stdin:
    request = json.loads(line)
    answer = {"type": "ready"}
    if request["type"] == "start":
        file = request["config"]["file"]
    elif request["type"] == "process":
        try:
            append(file, request["report"], request["context"]["idempotency_key"])
            answer = {"type": "outcome", "status": "done"}
        except OSError as error:
            answer = {"type": "error", "retryable": True, "message": str(error)}
    elif request["type"] == "health":
        writable = os.access(os.path.dirname(file) or ".", os.W_OK)
        answer = {"type": "health", "status": "healthy" if writable else "unhealthy"}
    print(json.dumps(answer), flush=True)
    if request["type"] == "stop":
        break
