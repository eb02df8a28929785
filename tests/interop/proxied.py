#!/usr/bin/env python3
"""Tests Prism's example `proxied` behind proxies that name their clients, as `.ci/proxies` sets them up.

proxied.py SERVER KIND NAME=HOST:PORT[,HAPROXY_STATS_SOCKET]...   SERVER as HOST:PORT; KIND: forwarded or proxy-protocol

The proxies cut connections that are idle for 3 s, and the server pings every second.

The proxies and the server are on 127.0.0.1, which the server trusts. Clients are on 127.0.0.2. One address may have 8 connections:
`--max-connections-per-ip 8`. Exits 1 if a check failed or none ran.
"""

import asyncio
import http.client
import socket
import sys
from contextlib import AsyncExitStack

import checks
from proxies import health
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

TIMEOUT = 20  # seconds
CLIENT = "127.0.0.2"
BUSY, OTHER = "127.0.0.3", "127.0.0.4"  # clients of their own, so that connections of the other checks do not count
MAX_PER_IP = 8
IDLE = 7  # seconds: more than twice the time after which the proxies cut an idle connection
FORGED = {"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6", "X-Real-IP": "6.6.6.6"}


def get(address, path="/", client=CLIENT, headers={}):
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT, source_address=(client, 0))
    try:
        connection.request("GET", path, headers=headers)
        own_port = connection.sock.getsockname()[1]
        response = connection.getresponse()
        return response.status, response.read().decode(), own_port
    finally:
        connection.close()


def open_socket(address, headers={}, client=CLIENT):
    return connect(
        f"ws://{address}/ws",
        open_timeout=TIMEOUT,
        close_timeout=TIMEOUT,
        ping_interval=None,  # the server's pings have to suffice
        max_size=1 << 25,
        compression=None,
        additional_headers=headers,
        local_addr=(client, 0),
    )


class Proxy:
    def __init__(self, address, kind):
        self.address, _, self.statistics = address.partition(",")
        self.kind = kind

    def client(self, port, address=CLIENT):
        """How the server should see a client. Only the PROXY protocol says the port."""
        return f"{address}:{port if self.kind == 'proxy-protocol' else 0}"

    def page(self, headers={}):
        status, body, port = get(self.address, headers=headers)
        assert (status, body) == (200, self.client(port)), (status, body)

    async def greeted(self, ws):
        async with asyncio.timeout(TIMEOUT):
            greeting = await ws.recv()
        address, port = ws.local_address
        expected = f"hello {self.client(port, address)}"
        assert greeting == expected, (greeting, expected)

    async def echo(self, ws, message):
        async with asyncio.timeout(TIMEOUT):
            await ws.send(message)
            assert await ws.recv() == message, "not echoed"

    async def chat(self, headers={}):
        async with open_socket(self.address, headers) as ws:
            await self.greeted(ws)
            await self.echo(ws, "hello")

    async def large(self):
        async with open_socket(self.address) as ws:
            await self.greeted(ws)
            await self.echo(ws, bytes(range(256)) * (1 << 16))  # 16 MiB

    async def closes(self):
        async with open_socket(self.address) as ws:
            await self.greeted(ws)
            await ws.close(4001, "enough")
            assert (ws.close_code, ws.close_reason) == (4001, "enough"), ws.close_code
        async with open_socket(self.address) as ws:
            await self.greeted(ws)
            await ws.send("bye")
            try:
                async with asyncio.timeout(TIMEOUT):
                    await ws.recv()
                raise AssertionError("not closed")
            except ConnectionClosed as closed:
                assert (closed.rcvd.code, closed.rcvd.reason) == (4000, "see you"), closed

    async def idle(self):
        async with open_socket(self.address) as ws:
            await self.greeted(ws)
            await asyncio.sleep(IDLE)
            await self.echo(ws, "still here")

    async def limit(self):
        """One client too many of an address is refused, and those of other addresses are not."""
        async with AsyncExitStack() as connections:
            for _ in range(MAX_PER_IP):
                await self.greeted(await connections.enter_async_context(open_socket(self.address, client=BUSY)))
            try:
                async with open_socket(self.address, client=BUSY):
                    raise AssertionError("not refused")
            except InvalidStatus as refusal:
                assert refusal.response.status_code == 429, refusal.response.status_code
            async with open_socket(self.address, client=OTHER) as ws:
                await self.greeted(ws)

    def checks(self):
        run = asyncio.run
        checked = [("the health check", lambda: health(self.statistics, "prism", ("UP", "L7OK", "200")))]
        return (checked if self.statistics else []) + [
            ("the client's address on a page", self.page),
            ("the client's address on a WebSocket", lambda: run(self.chat())),
            ("a forged header on a page", lambda: self.page(FORGED)),
            ("a forged header on a WebSocket", lambda: run(self.chat(FORGED))),
            ("a message of 16 MiB", lambda: run(self.large())),
            ("close codes in both directions", lambda: run(self.closes())),
            (f"idle for {IDLE} s", lambda: run(self.idle())),
            (f"{MAX_PER_IP} connections for one address", lambda: run(self.limit())),
        ]


def untrusted(server):
    """A client that reaches the server without a proxy cannot name another."""
    status, body, port = get(server, headers=FORGED)
    assert (status, body) == (200, f"{CLIENT}:{port}"), (status, body)
    asyncio.run(untrusted_socket(server))


async def untrusted_socket(server):
    async with open_socket(server, FORGED) as ws:
        async with asyncio.timeout(TIMEOUT):
            greeting = await ws.recv()
        assert greeting == "hello %s:%d" % ws.local_address, greeting


def refusals(server):
    """Malformed headers of a trusted peer are refused and counted."""
    malformed = [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"PROXY TCP4 nonsense\r\n", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0", b"PROXY " + b"x" * 200]
    return [lambda bytes=bytes: refused(server, bytes) for bytes in malformed]


def refused(server, bytes):
    before = count(server)
    host, port = server.rsplit(":", 1)
    with socket.create_connection((host, int(port)), TIMEOUT, ("127.0.0.1", 0)) as peer:
        peer.sendall(bytes)
        answer = peer.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert count(server) == before + 1, "not counted"


def count(server):
    _, body, _ = get(server, "/metrics")
    name = 'prism_handshakes_total{result="bad_proxy_header"} '
    return next(int(line.removeprefix(name)) for line in body.splitlines() if line.startswith(name))


def main(server, kind, *proxies):
    named = [("no proxy, a forged header", lambda: untrusted(server))]
    for proxy in proxies:
        name, address = proxy.split("=")
        named += [(f"{name}, {what}", check) for what, check in Proxy(address, kind).checks()]
    if kind == "proxy-protocol":
        named += [(f"malformed header {at}", check) for at, check in enumerate(refusals(server), 1)]
    return checks.run(named)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
