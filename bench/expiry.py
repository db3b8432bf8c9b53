#!/usr/bin/env python3
"""How punctual expiry is while clients write: the time from a key's deadline to its `expired` event at a subscriber.

  expiry.py --server kvd                       1,000,000 keys, deadlines spread over 60 s, writers at full speed
  expiry.py --server redis8 --keys 100000 --spread 20
  expiry.py --server kvd,null --keys 100000 --spread 1 --gap      100,000 deadlines within one second, and the longest
                                               time between two replies of a client that asks all the time

The deadline stands in the key's name, so nothing is kept on the side. Programs are found as duel.py finds them. The writers
are BENCH (default valkey-benchmark9) with 16 clients and pipelines of 8, SET on 100,000 keys of their own.
"""
import argparse, os, socket, statistics, subprocess, sys, threading, time

import duel


def percentile(values, share):
    return values[min(len(values) - 1, int(len(values) * share))]


def volatile_keys(server, count, begin_ms, spread_ms):
    """Keys whose names are their deadlines."""
    step = 5000
    for start in range(0, count, step):
        commands = []
        for number in range(start, min(start + step, count)):
            deadline = begin_ms + number * spread_ms // count
            commands.append([b"SET", b"due:%d:%d" % (deadline, number), b"x", b"PXAT", b"%d" % deadline])
        duel.fill_raw(server, commands)


def subscribe(port, late, stop):
    """Collects how late each event is, in milliseconds."""
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    s.sendall(b"SUBSCRIBE __keyevent@0__:expired\r\n")
    rest = b""
    while not stop.is_set():
        s.settimeout(0.5)
        try:
            data = s.recv(1 << 20)
        except socket.timeout:
            continue
        now = time.time() * 1000
        parts = (rest + data).split(b"due:")
        # The last event is whole when its line has ended.
        whole = len(parts) > 1 and parts[-1].endswith(b"\r\n")
        rest = b"" if whole else b"due:" + parts.pop() if len(parts) > 1 else parts[-1]
        late += [now - int(part.split(b":", 1)[0]) for part in parts[1:]]


def longest_gap(port, seconds, found):
    """The longest time from a request to its reply, of a client that asks again at once."""
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        s.sendall(b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n")
        s.recv(1000)
        found.append((time.monotonic() - began) * 1000)


def run(name, a):
    server = duel.Server(name, "everysec", "0" if a.pin else None)
    try:
        late, stop, gaps = [], threading.Event(), []
        begin_ms = int(time.time() * 1000) + a.load_seconds * 1000
        if name != "null":
            server.ask(b"CONFIG SET notify-keyspace-events Ex\r\n")
            volatile_keys(server, a.keys, begin_ms, a.spread * 1000)
            left = begin_ms / 1000 - time.time()
            if left < 0:
                sys.exit(f"loading took {-left:.1f} s too long: raise --load-seconds")
            threading.Thread(target=subscribe, args=(server.port, late, stop), daemon=True).start()
        writers = None
        if not a.gap:
            bench = [os.environ.get("BENCH", "valkey-benchmark9"), "-p", str(server.port), "-t", "set", "-r", "100000", "-c", "16",
                     "-P", "8", "-n", "2000000000", "-q"]
            writers = subprocess.Popen(bench, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(max(0, begin_ms / 1000 - time.time() - 1))
        if a.gap:
            longest_gap(server.port, a.spread + 3, gaps)
        else:
            time.sleep(a.spread + 3)
        stop.set()
        if writers:
            writers.kill()
        late.sort()
        if late:
            print(f"{name}: {len(late):,} of {a.keys:,} events; late by p50 {percentile(late, 0.5):.1f} ms, p99 {percentile(late, 0.99):.1f} ms, max {late[-1]:.1f} ms")
        if gaps:
            gaps.sort()
            print(f"{name}: {len(gaps):,} replies; median {statistics.median(gaps):.3f} ms, p99.9 {percentile(gaps, 0.999):.2f} ms, longest {gaps[-1]:.2f} ms")
    finally:
        server.stop()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--server", default="kvd")
    ap.add_argument("--keys", type=int, default=1_000_000)
    ap.add_argument("--spread", type=int, default=60, help="seconds over which the deadlines lie")
    ap.add_argument("--load-seconds", type=int, default=30, help="time given to loading before the first deadline")
    ap.add_argument("--gap", action="store_true", help="no writers: the longest reply gap instead")
    ap.add_argument("--pin", action="store_true", help="the server on cpu 0 alone")
    a = ap.parse_args()
    for name in a.server.split(","):
        run(name, a)


main()
