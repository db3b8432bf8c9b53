"""Runs steps.json with redis-py: redis_py.py PORT. The runner reads one line per step and answers RESTART."""
import os
import sys
import time

import redis
import steps

tls = {"ssl": True, "ssl_ca_certs": os.environ["TLS_CA"]} if "TLS_CA" in os.environ else {}
client = redis.Redis(port=int(sys.argv[1]), protocol=3, socket_timeout=30, **tls)
# The same connections without redis-py's conversions: what is compared is what the server sent.
plain = redis.Redis(connection_pool=client.connection_pool)
plain.response_callbacks.clear()


def call(arguments):
    try:
        return plain.execute_command(*arguments)
    except redis.ResponseError as error:
        return steps.Failure(str(error))


def pipeline(commands):
    pipe = plain.pipeline(transaction=False)
    pipe.response_callbacks = {}
    for arguments in commands:
        pipe.execute_command(*arguments)
    return pipe.execute()


def scan(pattern):
    return client.scan_iter(match=pattern, count=100)


def settle():
    """Whether the server answers again; redis-py opens a new connection by itself."""
    try:
        return client.ping()
    except redis.ConnectionError:
        time.sleep(0.05)
        return False


assert redis.__version__.startswith("8.1."), redis.__version__
steps.run(call, pipeline, scan, settle)
