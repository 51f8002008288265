"""A processor that misbehaves in its first attempt, in the way its argument says."""

import json
import os
import signal
import subprocess
import sys
import time

MODE = sys.argv[1]


def say(**message):
    print(json.dumps(message), flush=True)


def done(attempt):
    say(type="outcome", status="done", note=f"attempt {attempt}")


def daemon():
    # In a session of its own, and so in no group that could be killed; it holds the pipes.
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    print(child.pid, file=sys.stderr, flush=True)


def misbehave():
    if MODE == "nonsense":
        print("hello there", flush=True)
    elif MODE == "not UTF-8":
        sys.stdout.buffer.write(b'{"type":"outcome","status":"done","note":"\xff\xfe"}\n')
        sys.stdout.buffer.flush()
    elif MODE == "an endless line":
        while True:
            sys.stdout.write("x" * 65536)
    elif MODE == "unknown type":
        say(type="thanks")
    elif MODE == "the wrong answer":
        say(type="ready")
    elif MODE == "end":
        sys.exit(0)
    elif MODE == "fail":
        try:
            1 // 0
        except ZeroDivisionError:
            sys.excepthook(*sys.exc_info())
            sys.exit(3)
    elif MODE == "be killed":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1000)
    elif MODE == "close its output":
        os.close(1)
        time.sleep(1000)
    elif MODE == "half an answer":
        os.write(1, b'{"type":"outcome","sta')
        os._exit(0)
    elif MODE == "no line break at the end":
        os.write(1, b'{"type":"outcome","status":"done"}')
        os._exit(0)
    elif MODE == "sleep":
        time.sleep(1000)
    elif MODE == "ignore signals":
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        time.sleep(1000)
    elif MODE == "blank lines":
        while True:
            print(flush=True)
    elif MODE == "leave a daemon":
        daemon()
        done(1)
    elif MODE == "leave a daemon and end":
        daemon()
        os._exit(0)
    elif MODE == "allocate":
        print(len(bytearray(4 << 30)), file=sys.stderr)
        done(1)
    else:
        done(1)


if MODE == "nonsense at the start":
    print("Welcome!", flush=True)

for line in sys.stdin:
    request = json.loads(line)
    if request["type"] == "start":
        say(type="ready")
        if MODE == "do not read":
            time.sleep(1000)
    elif request["type"] == "process":
        attempt = request["context"]["attempt"]
        if MODE == "answer twice":
            answer = {"type": "outcome", "status": "done", "note": f"attempt {attempt}"}
            os.write(1, 2 * (json.dumps(answer) + "\n").encode())
        elif attempt == 1:
            misbehave()
        else:
            done(attempt)
        if MODE == "one answer":
            sys.exit(0)
    elif request["type"] == "stop" and MODE != "ignore the end":
        break

if MODE == "ignore the end":
    time.sleep(1000)
