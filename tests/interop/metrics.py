#!/usr/bin/env python3
"""Tests the metrics of Prism's example `proxied` with the OpenMetrics parser of `prometheus_client`.

metrics.py SERVER   SERVER as HOST:PORT; it pings every second

Exits 1 if a check failed or none ran.
"""

import asyncio
import http.client
import sys
import time

import checks
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

TIMEOUT = 10  # seconds
CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def scrape(server):
    host, port = server.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        assert (response.status, response.headers["Content-Type"]) == (200, CONTENT_TYPE), response.headers
        return {family.name: family for family in text_string_to_metric_families(response.read().decode())}
    finally:
        connection.close()


def value(families, family, sample, **labels):
    found = [it.value for it in families[family].samples if it.name == sample and it.labels == labels]
    assert len(found) == 1, (family, sample, labels, families[family].samples)
    return found[0]


def until(server, condition):
    """The metrics, as soon as they meet a condition."""
    deadline = time.monotonic() + TIMEOUT
    while not condition(families := scrape(server)):
        assert time.monotonic() < deadline, "the metrics did not change in time"
        time.sleep(0.05)
    return families


async def talk(server):
    """One connection that is pinged and that the server closes with 4000, and one that closes with 1000."""
    async with connect(f"ws://{server}/ws", ping_interval=None, compression=None) as socket:
        await socket.recv()  # hello
        round_trips = lambda families: value(families, "prism_ping_round_trip_seconds", "prism_ping_round_trip_seconds_count")
        await asyncio.to_thread(until, server, lambda families: round_trips(families) >= 1)
        await socket.send("bye")
        try:
            await socket.recv()
        except ConnectionClosed:
            pass
    async with connect(f"ws://{server}/ws", ping_interval=None, compression=None) as socket:
        await socket.recv()


def nothing_yet(server):
    families = scrape(server)
    assert value(families, "prism_connections_open", "prism_connections_open") == 0
    assert value(families, "prism_sent_messages", "prism_sent_messages_total") == 0


def two_connections(server):
    asyncio.run(talk(server))
    ended = lambda families, **labels: value(families, "prism_connections_ended", "prism_connections_ended_total", **labels)
    families = until(server, lambda families: ended(families, by="peer", how="normal") == 1)
    assert ended(families, by="us", how="private") == 1
    assert value(families, "prism_handshakes", "prism_handshakes_total", result="opened") == 2
    assert value(families, "prism_received_messages", "prism_received_messages_total") == 1
    assert value(families, "prism_sent_messages", "prism_sent_messages_total") == 2
    assert value(families, "prism_sent_bytes", "prism_sent_bytes_total") > 2 * len("hello 127.0.0.1:1")


def kinds_and_units(server):
    families = scrape(server)
    kinds = {name: (family.type, family.unit) for name, family in families.items()}
    assert kinds["prism_ping_round_trip_seconds"] == ("histogram", "seconds"), kinds
    assert kinds["prism_buffered_bytes"] == ("gauge", "bytes"), kinds
    assert kinds["prism_received_bytes"] == ("counter", "bytes"), kinds
    assert all(family.documentation for family in families.values())
    buckets = [it for it in families["prism_ping_round_trip_seconds"].samples if it.name.endswith("_bucket")]
    assert len(buckets) == 12, buckets


if __name__ == "__main__":
    [server] = sys.argv[1:]
    named = [
        ("a new server has counted nothing", lambda: nothing_yet(server)),
        ("two connections are counted by how they ended", lambda: two_connections(server)),
        ("each metric has a kind, a help text and its unit", lambda: kinds_and_units(server)),
    ]
    sys.exit(checks.run(named))
