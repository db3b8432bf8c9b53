#!/usr/bin/env python3
"""Runs the 40 steps of steps.json with several clients, then the benchmark programs, against one server binary.

  run.py KVD_BINARY

Each client gets a server of its own: an empty temporary folder, a free loopback port; those in -tls talk to its TLS port. At the restart step the server is
killed with SIGKILL and started again on the same folder and port. Client libraries are installed from PyPI, npm and
crates.io into a cache folder (`$XDG_CACHE_HOME/kvd-clients`); a client that cannot be had is SKIPPED, with the reason.
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "kvd-clients"
STEPS = 40
CLIENT_SECONDS = 120
INSTALL_SECONDS = 900
BENCHMARK = "-t set,get,incr,mset -n 20000 -P 16 -q".split()
# A test of one benchmark program, as it names itself in its quiet output.
BENCHMARK_TESTS = ["SET", "GET", "INCR", "MSET"]


class Skipped(Exception):
    """A client that this machine cannot run."""


class Server:
    def __init__(self, binary, folder):
        self.binary, self.folder, self.port = binary, folder, free_port()
        self.tls_port, self.tls = 0, []
        if certificate := make_certificate(folder):
            self.tls_port = free_port()
            self.tls = ["--tls-port", str(self.tls_port), "--tls-cert-file", certificate, "--tls-auth-clients", "no"]
            self.tls += ["--tls-key-file", os.path.join(folder, "tls.key"), "--tls-ca-cert-file", certificate]
        self.start()

    def start(self):
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder, "--appendonly", "yes"]
        arguments += self.tls
        with open(os.path.join(self.folder, "server.log"), "ab") as log:
            self.process = subprocess.Popen([self.binary, *arguments], stdout=log, stderr=log)
        deadline = time.monotonic() + 15
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = pathlib.Path(self.folder, "server.log").read_text(errors="replace")
                sys.exit(f"the server does not serve:\n{text[-2000:]}")
            time.sleep(0.02)

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64) == b"+PONG\r\n"
        except OSError:
            return False

    def end(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        return self.process.wait(30)


def make_certificate(folder):
    """One for localhost that signs itself, if the machine has openssl; TLS_CA names it to drivers."""
    key, certificate = os.path.join(folder, "tls.key"), os.path.join(folder, "tls.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split()
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate]
    if not shutil.which("openssl"):
        return None
    subprocess.run(command, check=True, capture_output=True)
    return certificate


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def installed(*names):
    for name in names:
        if path := shutil.which(name):
            return path
    raise Skipped(f"{names[0]} is not installed")


def install(command, **options):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, **options)
    except subprocess.TimeoutExpired:
        raise Skipped(f"{command[0]} took longer than {INSTALL_SECONDS} s") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise Skipped(f"{os.path.basename(command[0])}: {lines[-1]}")


def redis_cli(version):
    return lambda: [sys.executable, HERE / "redis_cli.py", "{port}", installed("redis-cli"), version]


def redis_py():
    home = CACHE / "python"
    python = home / "bin" / "python"
    if not python.exists():
        install([sys.executable, "-m", "venv", str(home)])
    install([str(python), "-m", "pip", "install", "--quiet", "redis==8.1.*"])
    return [python, HERE / "redis_py.py", "{port}"]


def ioredis():
    node, npm, home = installed("node"), installed("npm"), CACHE / "node"
    home.mkdir(parents=True, exist_ok=True)
    install([npm, "install", "--prefix", str(home), "--no-audit", "--no-fund", "ioredis@6"], cwd=home)
    return [node, HERE / "ioredis.mjs", "{port}", home]


def redis_rs():
    cargo, package = installed("cargo"), HERE / "redis_rs"
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "rust")
    install([cargo, "fetch", "--locked"], cwd=package)
    built = subprocess.run([cargo, "build", "--quiet", "--locked", "--target-dir", target], cwd=package)
    if built.returncode:
        sys.exit("redis_rs does not build")
    return [target / "debug" / "redis_rs", "{port}", HERE / "steps.json"]


def over_tls(prepare):
    """The same client, told to use TLS."""

    def prepared():
        installed("openssl")
        return ["env", "TLS_CA={folder}/tls.pem", *(str(part).replace("{port}", "{tls_port}") for part in prepare())]

    return prepared


CLIENTS = {
    "redis-cli": redis_cli("2"),
    "redis-cli-resp3": redis_cli("3"),
    "redis-py": redis_py,
    "ioredis": ioredis,
    "redis-rs": redis_rs,
    "redis-cli-tls": over_tls(redis_cli("3")),
    "redis-py-tls": over_tls(redis_py),
    "ioredis-tls": over_tls(ioredis),
}
BENCHMARKS = {
    "redis-benchmark": ["redis-benchmark", "redis-benchmark8"],
    # The second name is that of bench/peers.sh.
    "valkey-benchmark": ["valkey-benchmark", "valkey-benchmark9"],
}


def run_client(command, server):
    """The number of steps that passed, and what was said of the others."""
    words = {"{port}": str(server.port), "{tls_port}": str(server.tls_port), "{folder}": server.folder}
    arguments = [str(part) for part in command]
    for word, value in words.items():
        arguments = [part.replace(word, value) for part in arguments]
    driver = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(CLIENT_SECONDS, driver.kill)
    watchdog.start()
    passed, problems = 0, []
    for line in driver.stdout:
        if line == "RESTART\n":
            server.end()
            server.start()
            driver.stdin.write("READY\n")
            driver.stdin.flush()
        elif line.startswith("ok "):
            passed += 1
        else:
            problems.append(line.rstrip())
    driver.stdin.close()
    if status := driver.wait():
        problems.append(f"the driver ended with status {status}")
    watchdog.cancel()
    return passed, problems


def run_benchmark(program, server):
    command = [program, "-p", str(server.port), *BENCHMARK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_SECONDS)
    output = done.stdout + done.stderr
    passed = sum(bool(re.search(rf"(^|[\r\n]){test}\b[^\r\n]*requests per second", output)) for test in BENCHMARK_TESTS)
    wrong = done.returncode or re.search("error|warning", output, re.IGNORECASE)
    return passed, [output[-1000:]] if wrong else []


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    binary = installed(sys.argv[1])
    failed = False
    jobs = [(name, STEPS, command, run_client) for name, command in CLIENTS.items()]
    jobs += [(name, len(BENCHMARK_TESTS), lambda n=names: installed(*n), run_benchmark) for name, names in BENCHMARKS.items()]
    for name, total, prepare, run in jobs:
        try:
            command = prepare()
        except Skipped as reason:
            print(f"SKIPPED {name}: {reason}", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            server = Server(binary, folder)
            try:
                passed, problems = run(command, server)
            finally:
                server.end()
        for problem in problems:
            print(f"  {problem}")
        print(f"{name} passed {passed} of {total}", flush=True)
        failed |= passed != total or bool(problems)
    return failed


if __name__ == "__main__":
    sys.exit(main())
