#!/usr/bin/env python3
"""Tests who may connect to Prism's example `login`.

login.py HOST:PORT

Exits 1 if a check failed.
"""

import asyncio
import http.client
import sys
from functools import partial

import checks
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

TIMEOUT = 20  # seconds


def log_in(address, name):
    """Returns the cookie of a user who has logged in."""
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
    connection.request("GET", f"/login?name={name}")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (303, "/"), answer.status
    return answer.headers["Set-Cookie"].split(";")[0]


async def answer(address, origin, cookie=None):
    """Returns the status of the answer to an upgrade request and, if that is 101, the first two messages, or the close code."""
    headers = {"Cookie": cookie} if cookie else {}
    try:
        async with connect(f"ws://{address}/ws", origin=origin, additional_headers=headers, open_timeout=TIMEOUT) as ws:
            async with asyncio.timeout(TIMEOUT):
                return 101, [await ws.recv(), await ws.recv()]
    except InvalidStatus as refusal:
        return refusal.response.status_code, None
    except ConnectionClosed as closed:
        return 101, closed.rcvd.code


def refused(address, query):
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
    connection.request("GET", f"/login{query}")
    assert connection.getresponse().status == 400, query


def main(address):
    cookie = log_in(address, "ada")
    ours, theirs = f"http://{address}", "https://evil.example"
    cases = [
        ("with a cookie", (ours, cookie), (101, ["you are ada", "ada joined"])),
        ("without a cookie", (ours,), (101, 4001)),
        ("with a wrong cookie", (ours, "session=0"), (101, 4001)),
        ("from another site's page", (theirs, cookie), (403, None)),
    ]
    names = ["", "?name=", "?name=+", "?name=a:b", "?name=a%0Ab", "?name=" + "x" * 25]

    def check(request, expected):
        found = asyncio.run(answer(address, *request))
        assert found == expected, found

    named = [(name, partial(check, request, expected)) for name, request, expected in cases]
    return checks.run(named + [(f"a log-in as {name!r}", partial(refused, address, name)) for name in names])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
