#!/usr/bin/env python3
"""Holds conversations with Prism through Python's `websockets`.

python_peers.py client ws://HOST:PORT   as a client of an echo server
python_peers.py server PORT             as a server for a client that speaks Autobahn's protocol: `/getCaseCount`,
                                        then `/runCase?case=N&agent=A` for each N, then `/updateReports`
python_peers.py client wss://HOST:PORT VERSION CA.pem         the same two over TLS, in the version 1.2 or 1.3
python_peers.py server PORT VERSION CERTIFICATES.pem KEY.pem

Prism echoes in both directions, so both use the same conversations. Exits with 1 if one failed or did not run.
"""

import asyncio
import ssl
import sys
from urllib.parse import parse_qs, urlsplit

from checks import Checks
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

ONE_CONVERSATION = 20  # seconds
WHOLE_RUN = 120
MIB = 1 << 20
SETTINGS = {"max_size": 4 * MIB, "ping_interval": None, "open_timeout": 10, "close_timeout": 10}


# ---- conversations: each ends with a close, (code, reason) ------------------------------------------------------------


def echoes(*messages):
    """Sends each message, and expects it back before the next."""

    async def talk(ws):
        for message in messages:
            await ws.send(message)
            await expect(ws, message)

    return talk


def fragments(*parts):
    """Sends one message as several frames, and expects it back whole."""

    async def talk(ws):
        await ws.send(parts)
        await expect(ws, parts[0][:0].join(parts))

    return talk


async def ping(ws):
    for payload in (b"", b"are you there?", bytes(range(125))):
        # Only a pong with the same payload resolves this.
        await (await ws.ping(payload))
    await echoes("still here")(ws)


async def ping_between_fragments(ws):
    pongs = []

    async def parts():
        yield "half a message, "
        pongs.append(await ws.ping(b"now?"))
        # A ping in the middle of a message is answered before the rest is sent.
        await pongs[0]
        yield "and the other half"

    await ws.send(parts())
    await expect(ws, "half a message, and the other half")


async def in_order(ws):
    messages = [f"message {n}" if n % 2 else b"%d" % n * (n % 300) for n in range(1000)]

    async def read():
        for message in messages:
            await expect(ws, message)

    reading = asyncio.create_task(read())
    for message in messages:
        await ws.send(message)
    await reading


async def nothing(ws):
    pass


DONE = (1000, "")
CONVERSATIONS = {
    "text": (echoes("hello"), DONE),
    "text beyond ASCII": (echoes("Grüße, 世界, 👋🏽", "\x00", "\U0010ffff"), DONE),
    "binary": (echoes(b"\x00\xff", bytes(range(256))), DONE),
    "empty": (echoes("", b"", ""), DONE),
    "every form of length": (echoes(*(b"x" * n for n in (1, 125, 126, 127, 65535, 65536))), DONE),
    "1 MiB of text": (echoes("é" * (MIB // 2)), DONE),
    "1 MiB of binary": (echoes(bytes(range(256)) * (MIB // 256)), DONE),
    "fragmented text": (fragments("one ", "", "two ", "zwölf", ""), DONE),
    "fragmented binary": (fragments(b"\x00" * 70000, b"\x01", b"\x02" * 300), DONE),
    "ping": (ping, DONE),
    "ping between fragments": (ping_between_fragments, DONE),
    "1,000 messages without waiting": (in_order, DONE),
    "close at once": (nothing, DONE),
    "close with a code and a reason": (echoes("so long"), (4001, "bye")),
    "close with the longest reason": (nothing, (3000, "ö" * 61 + "!")),
}


async def expect(ws, message):
    got = await ws.recv()
    if got != message:
        raise AssertionError(f"wanted {short(message)}, got {short(got)}")


def short(message):
    return f"{type(message).__name__} of {len(message)}: {message[:40]!r}"


async def converse(ws, name):
    talk, (code, reason) = CONVERSATIONS[name]
    await talk(ws)
    await ws.close(code, reason)
    if (ws.close_code, ws.close_reason) != (code, reason):
        raise AssertionError(f"closed with {(code, reason)}, answered with {(ws.close_code, ws.close_reason)}")


# ---- roles ------------------------------------------------------------------------------------------------------------


async def as_client(url, tls, checks):
    async def one(name):
        async with connect(url, ssl=tls, **SETTINGS) as ws:
            await converse(ws, name)

    for name in CONVERSATIONS:
        await checks.wait(name, ONE_CONVERSATION, one(name))


async def as_server(port, tls, checks):
    cases = {str(number): name for number, name in enumerate(CONVERSATIONS, 1)}
    finished = asyncio.get_running_loop().create_future()

    async def handle(ws):
        address = urlsplit(ws.request.path)
        query = parse_qs(address.query)
        if address.path == "/getCaseCount":
            await ws.send(str(len(cases)))
        elif address.path == "/runCase" and query.get("agent") and query.get("case", [""])[0] in cases:
            name = cases[query["case"][0]]
            await checks.wait(name, ONE_CONVERSATION, converse(ws, name))
        elif address.path == "/updateReports":
            await ws.close()
            finished.set_result(None)
        else:
            finished.set_exception(AssertionError(f"unknown request {ws.request.path}"))

    async with serve(handle, "127.0.0.1", port, ssl=tls, **SETTINGS):
        print(f"listening on port {port}", flush=True)
        await finished


def tls_in(version, role, files):
    """Returns a context for one version of TLS."""
    if role == "client":
        context = ssl.create_default_context(cafile=files[0])
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[f"TLSv{version.replace('.', '_')}"]
    return context


async def main(role, where, version=None, *files):
    checks = Checks()
    tls = tls_in(version, role, files) if version else None
    run = as_client(where, tls, checks) if role == "client" else as_server(int(where), tls, checks)
    return await checks.wait_for_all(WHOLE_RUN, run, CONVERSATIONS)


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("client", "server"):
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(*sys.argv[1:])))
