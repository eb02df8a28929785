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
from websockets.exceptions import InvalidStatus

TIMEOUT = 20  # seconds


def log_in(address, name):
    """Returns the cookie of a user who has logged in."""
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
    connection.request("GET", f"/login?name={name}")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (303, "/"), answer.status
    return answer.headers["Set-Cookie"].split(";")[0]


async def answer(address, origin, cookie=None):
    """Returns the status of the answer to an upgrade request and, if that is 101, the first message."""
    headers = {"Cookie": cookie} if cookie else {}
    try:
        async with connect(f"ws://{address}/ws", origin=origin, additional_headers=headers, open_timeout=TIMEOUT) as ws:
            async with asyncio.timeout(TIMEOUT):
                return 101, await ws.recv()
    except InvalidStatus as refusal:
        return refusal.response.status_code, None


def main(address):
    cookie = log_in(address, "ada")
    ours, theirs = f"http://{address}", "https://evil.example"
    cases = [
        ("with a cookie", (ours, cookie), (101, "ada joined")),
        ("without a cookie", (ours,), (401, None)),
        ("with a wrong cookie", (ours, "session=0"), (401, None)),
        ("from another site's page", (theirs, cookie), (403, None)),
    ]

    def check(request, expected):
        found = asyncio.run(answer(address, *request))
        assert found == expected, found

    return checks.run([(name, partial(check, request, expected)) for name, request, expected in cases])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
