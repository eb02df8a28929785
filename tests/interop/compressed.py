#!/usr/bin/env python3
"""Exchanges compressed messages with Prism through a Python library, once for each way to negotiate that the library has.

compressed.py PEER client ws://HOST:PORT   as a client of an echo server
compressed.py PEER server PORT             as a server for a client that speaks Autobahn's protocol, as in python_peers.py

PEER is one of the modules named compressed_PEER. Prism has to compress every message. Exits with 1 if a check failed or did not run.
"""

import asyncio
import importlib
import random
import sys
from urllib.parse import parse_qs, urlsplit

from checks import Checks

ONE_CONVERSATION = 20  # seconds
WHOLE_RUN = 140


def messages():
    """Messages of all sizes. Many are similar to earlier ones, which takeover makes use of, some with more than a window between."""
    rng = random.Random(7692)
    words = [rng.randbytes(rng.randrange(2, 9)).hex() for _ in range(300)]
    texts = [" ".join(rng.choices(words, k=count)) for count in (1, 10, 40, 100, 1000, 5000)]
    records = [f'{{"id":{n},"type":"position","x":{n * n % 997},"y":{n * 31 % 101},"alive":true}}' for n in range(30)]
    noise = [rng.randbytes(size) for size in (1, 16, 300, 5000, 40_000)]
    return ["", b"", "Hello", "Hello", *records, *texts, *noise, *texts, bytes(300_000), *noise[:3], *records[:5]]


async def converse(peer, ws):
    """Sends each message, and expects it back before the next. Then sends all of them without waiting."""
    assert peer.is_compressing(ws), "no compression was agreed"
    for message in messages():
        await ws.send(message)
        expect(await ws.recv(), message)

    async def read():
        for message in messages():
            expect(await ws.recv(), message)

    reading = asyncio.create_task(read())
    for message in messages():
        await ws.send(message)
    await reading
    await ws.close()


def expect(got, message):
    assert got == message, f"wanted {short(message)}, got {short(got)}"


def short(message):
    return f"{type(message).__name__} of {len(message)}: {message[:40]!r}"


async def as_client(peer, url, checks):
    async def one(offer):
        async with peer.connect(url, offer) as ws:
            await converse(peer, ws)

    for name, offer in peer.OFFERS.items():
        await checks.wait(name, ONE_CONVERSATION, one(offer))


async def as_server(peer, port, checks):
    answers = list(peer.ANSWERS.items())
    finished = asyncio.get_running_loop().create_future()

    def case(path):
        """Returns the case of a request, and what to answer. In the requests around the cases, any answer will do."""
        query = parse_qs(urlsplit(path).query)
        return answers[int(query["case"][0]) - 1] if "case" in query else answers[0]

    async def handle(path, ws):
        if path == "/getCaseCount":
            await ws.send(str(len(answers)))
        elif "case=" in path:
            await checks.wait(case(path)[0], ONE_CONVERSATION, converse(peer, ws))
        else:
            await ws.close()
            finished.set_result(None)

    async with peer.serve(port, lambda path: case(path)[1], handle):
        print(f"listening on ws://127.0.0.1:{port}", flush=True)
        await finished


async def main(peer, role, where):
    peer, checks = importlib.import_module(f"compressed_{peer}"), Checks()
    if role == "client":
        return await checks.wait_for_all(WHOLE_RUN, as_client(peer, where, checks), peer.OFFERS)
    return await checks.wait_for_all(WHOLE_RUN, as_server(peer, int(where), checks), peer.ANSWERS)


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[2] not in ("client", "server"):
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(*sys.argv[1:])))
