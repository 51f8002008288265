"""A processor that keeps to the protocol."""

import json
import sys


def say(**message):
    print(json.dumps(message), flush=True)


reports = 0
for line in sys.stdin:
    request = json.loads(line)
    if request["type"] == "start":
        greeting = request["config"]["greeting"]
        say(type="ready")
    elif request["type"] == "process":
        run, context = request["report"]["run"], request["context"]
        if context["attempt"] > 1:
            say(type="error", message="come back later", retry_after_ms=60_000)
            continue
        reports += 1
        say(
            type="outcome",
            status="done",
            note=f"{greeting} from {context['instance']}: {run['suite']} "
            f"{request['report']['verdict']}, attempt {context['attempt']}, "
            f"key {context['idempotency_key']}",
            state={"seen": context["state"]["seen"] + 1},
            actions=[{"type": "publish", "channel": "later", "message": {}}],
        )
    elif request["type"] == "health":
        say(type="health", status="healthy", detail=f"{reports} report")
    elif request["type"] == "stop":
        break
