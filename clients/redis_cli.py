"""Runs steps.json with redis-cli: redis_cli.py PORT PROGRAM 2|3.

One redis-cli reads quoted commands from a pipe for the whole script, also across the restart; the pipeline of
writes goes through `redis-cli --pipe`, scans through `redis-cli --scan`.
"""
import os
import re
import subprocess
import sys

import steps

PORT, PROGRAM, VERSION = sys.argv[1:4]
TLS = ["--tls", "--cacert", os.environ["TLS_CA"]] if "TLS_CA" in os.environ else []
COMMAND = [PROGRAM, "-p", PORT, *TLS] + (["-3"] if VERSION == "3" else [])
MARK = b"__end_of_reply__"

session = subprocess.Popen([*COMMAND, "--no-raw"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def quoted(argument):
    return b'"' + b"".join(bytes([b]) if 32 < b < 127 and b not in b'"\\' else b"\\x%02x" % b for b in argument) + b'"'


def read_lines(commands):
    """Sends commands, returns the lines that redis-cli printed for them."""
    for arguments in [*commands, [b"ECHO", MARK]]:
        session.stdin.write(b" ".join(map(quoted, arguments)) + b"\n")
    session.stdin.flush()
    lines = []
    while (line := session.stdout.readline()) != b'"%s"\n' % MARK:
        if not line:
            raise EOFError("redis-cli ended")
        lines.append(line.rstrip(b"\n"))
    # A reply that took more than half a second is followed by its time.
    return [line for line in lines if not re.fullmatch(rb"\(\d+\.\d\ds\)", line)]


def parsed(lines):
    """One reply from the form that redis-cli shows to people: a scalar, or numbered items, one level deep."""
    items = [item for item in (re.match(rb" *\d+([)#]) (.*)", line) for line in lines) if item]
    if not items:
        return scalar(b"\n".join(lines))
    if items[0].group(1) == b"#":
        return {scalar(name): scalar(item) for name, item in (line.group(2).split(b" => ", 1) for line in items)}
    return [scalar(line.group(2)) for line in items]


def scalar(text):
    if text.startswith(b"(error) "):
        return steps.Failure(text[8:].decode())
    if text.startswith(b"(integer) "):
        return int(text[10:])
    if text == b"(nil)":
        return None
    if text.startswith(b'"'):
        return unquoted(text[1:-1])
    return text


def unquoted(text):
    names = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}

    def one(match):
        found = match.group(1)
        return bytes.fromhex(found[1:].decode()) if len(found) == 3 else names.get(found, found)

    return re.sub(rb"\\(x[0-9a-f]{2}|.)", one, text)


def call(arguments):
    lines = read_lines([arguments])
    # INFO is the one reply that redis-cli prints as it came.
    return b"\n".join(lines) if arguments[0] == b"INFO" else parsed(lines)


def pipeline(commands):
    """`--pipe` counts replies and errors but shows none: it is for SET; others go to the session, in one write."""
    if commands[0][0] != b"SET":
        return [scalar(line) for line in read_lines(commands)]
    request = b"".join(
        b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in arguments)
        for arguments in commands
    )
    done = subprocess.run([*COMMAND, "--pipe"], input=request, capture_output=True, timeout=60)
    if done.returncode or b"errors: 0, replies: %d" % len(commands) not in done.stdout:
        raise RuntimeError((done.stdout + done.stderr).decode())
    return [b"OK"] * len(commands)


def scan(pattern):
    found = subprocess.run([*COMMAND, "--scan", "--pattern", pattern], capture_output=True, timeout=60, check=True)
    return found.stdout.split()


steps.run(call, pipeline, scan, lambda: True)
session.stdin.close()
sys.exit(session.wait(10))
