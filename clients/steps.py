"""What the Python drivers share: reads steps.json, runs each step, compares replies, reports.

A driver prints `ok NAME` or `FAILED NAME: why` per step. At the restart step it prints `RESTART` and waits for a line:
by then the runner has killed the server and started it again.
"""
import json
import pathlib
import sys
import time


class Failure:
    """An error reply."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return f"error {self.text!r}"


def value(node, i=0):
    """The bytes that an argument or an expected string stands for."""
    if isinstance(node, str):
        return node.replace("{i}", str(i)).encode()
    if "hex" in node:
        return bytes.fromhex(node["hex"])
    return node["repeat"].encode() * node["times"]


def same(expected, reply, i=0):
    if isinstance(expected, dict):
        if "error" in expected:
            # Clients drop the word ERR, and only that one.
            prefix = expected["error"]
            return isinstance(reply, Failure) and reply.text.startswith((prefix, prefix.removeprefix("ERR ")))
        if "range" in expected:
            return type(reply) is int and expected["range"][0] <= reply <= expected["range"][1]
        if "integer" in expected:
            return type(reply) is int and reply == int(value(expected["integer"], i))
        if "contains" in expected:
            return expected["contains"].encode() in as_bytes(reply)
        if "map" in expected:
            pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2])
            got = {as_bytes(name): item for name, item in pairs}
            return all(same(item, got.get(name.encode())) for name, item in expected["map"].items())
    if isinstance(expected, list):
        return isinstance(reply, list) and len(reply) == len(expected) and all(map(same, expected, reply))
    if expected is None or isinstance(expected, int):
        return type(reply) is type(expected) and reply == expected
    return as_bytes(reply) == value(expected, i)


def as_bytes(reply):
    return reply.encode() if isinstance(reply, str) else reply


def shown(reply):
    text = repr(reply)
    return text if len(text) <= 200 else f"{text[:100]} … {text[-100:]} ({len(text)} characters)"


def run_step(step, call, pipeline, scan):
    """Nothing when the step holds, else what came instead."""
    count = range(1, step.get("times", 0) + 1)
    if "scan" in step:
        got, wanted = set(map(as_bytes, scan(step["scan"]))), {value(step["keys"], i) for i in count}
        return None if got == wanted else f"{len(wanted - got)} keys absent, {len(got - wanted)} too many"
    if "pipeline" in step:
        replies = pipeline([[value(part, i) for part in step["pipeline"]] for i in count])
        wrong = [i for i, reply in zip(count, replies) if not same(step["reply"], reply, i)]
        if len(replies) != len(count):
            return f"{len(replies)} replies"
        return f"reply {wrong[0]} is {shown(replies[wrong[0] - 1])}" if wrong else None
    deadline = time.monotonic() + step.get("within_ms", 0) / 1000
    while True:
        reply = call([value(part) for part in step["call"]])
        if same(step["reply"], reply):
            return None
        if time.monotonic() >= deadline:
            return shown(reply)
        time.sleep(0.02)


def run(call, pipeline, scan, settle):
    for step in json.loads((pathlib.Path(__file__).parent / "steps.json").read_text()):
        try:
            if step.get("restart"):
                print("RESTART", flush=True)
                sys.stdin.readline()
                deadline = time.monotonic() + step["within_ms"] / 1000
                while not settle() and time.monotonic() < deadline:
                    pass
            problem = run_step(step, call, pipeline, scan)
        except Exception as error:  # whatever the client library raises belongs to this step
            problem = f"{type(error).__name__}: {error}"
        print(f"FAILED {step['name']}: {problem}" if problem else f"ok {step['name']}", flush=True)
