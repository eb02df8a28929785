#!/usr/bin/env python3
"""Tests Prism's example `chat` behind HAProxy and nginx, as `.ci/proxies` sets them up.

proxies.py HAPROXY_STATS_SOCKET HAPROXY NGINX NGINX_WITHOUT_UPGRADE   the last three as HOST:PORT

Exits 1 if a check failed or none ran.
"""

import asyncio
import csv
import io
import socket
import sys
import time
import urllib.request
from pathlib import Path

import checks
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

TIMEOUT = 20  # seconds
PAGE = (Path(__file__).parent / "../../examples/chat.html").read_bytes()


def statistics(path):
    """Returns HAProxy's statistics of each server, by backend."""
    with socket.socket(socket.AF_UNIX) as haproxy:
        haproxy.settimeout(TIMEOUT)
        haproxy.connect(path)
        haproxy.sendall(b"show stat\n")
        text = b"".join(iter(lambda: haproxy.recv(65536), b"")).decode()
    rows = csv.DictReader(io.StringIO(text.removeprefix("# ")))
    return {row["pxname"]: row for row in rows if row["svname"] == "prism"}


def health(path, backend, expected):
    """Waits for the result of a health check. Before the first, HAProxy assumes that a server is up, and during a later one (`* L7OK`) there is none."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        row = statistics(path)[backend]
        if row["check_status"] not in ("", "INI") and not row["check_status"].startswith("* "):
            break
        assert time.monotonic() < deadline, "no check was made"
        time.sleep(0.05)
    found = (row["status"], row["check_status"], row["check_code"])
    assert found == expected, found


def page(address):
    with urllib.request.urlopen(f"http://{address}/", timeout=TIMEOUT) as answer:
        assert (answer.status, answer.read()) == (200, PAGE), answer.status


async def chat(address):
    async with connect(f"ws://{address}/ws", open_timeout=TIMEOUT, close_timeout=TIMEOUT) as ws:
        async with asyncio.timeout(TIMEOUT):
            assert (await ws.recv()).startswith("you are ")
            assert (await ws.recv()).endswith(" joined")
            await ws.send("hello")
            assert (await ws.recv()).endswith(": hello")


async def refused(address):
    try:
        async with connect(f"ws://{address}/ws", open_timeout=TIMEOUT):
            raise AssertionError("a WebSocket without an upgrade")
    except InvalidStatus as refusal:
        found = (refusal.response.status_code, b"HTTP/1.1" in refusal.response.body)
        assert found == (426, True), found


def main(statistics_socket, haproxy, nginx, without_upgrade):
    up, down = ("UP", "L7OK"), ("DOWN", "L7STS")
    named = [
        ("HAProxy, option httpchk", lambda: health(statistics_socket, "bare", (*up, "204"))),
        ("HAProxy, option httpchk GET /", lambda: health(statistics_socket, "page", (*up, "200"))),
        ("HAProxy, a page that is not there", lambda: health(statistics_socket, "nowhere", (*down, "404"))),
        ("HAProxy, the page", lambda: page(haproxy)),
        ("HAProxy, a WebSocket", lambda: asyncio.run(chat(haproxy))),
        ("nginx, the page", lambda: page(nginx)),
        ("nginx, a WebSocket", lambda: asyncio.run(chat(nginx))),
        ("nginx without upgrade, the page", lambda: page(without_upgrade)),
        ("nginx without upgrade, no WebSocket", lambda: asyncio.run(refused(without_upgrade))),
    ]
    return checks.run(named)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
