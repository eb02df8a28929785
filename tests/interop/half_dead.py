#!/usr/bin/env python3
"""Sends a hundred messages and a close through Python's `websockets`, and disconnects before any answer. The other end has to receive everything.

half_dead.py client ws://HOST:PORT   as a client
half_dead.py server PORT             as a server of one connection
"""

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


def send_and_disconnect(ws):
    """Sends everything in one write, and closes the socket, even if the other end still sends."""
    for number in range(100):
        ws.protocol.send_ping(b"?")
        ws.protocol.send_text(b"message %d" % number)
    ws.protocol.send_close(1000, "done")
    ws.transport.write(b"".join(ws.protocol.data_to_send()))
    ws.transport.close()


async def main(role, where):
    if role == "client":
        ws = await connect(where, ping_interval=None)
        send_and_disconnect(ws)
        await ws.wait_closed()
        return
    gone = asyncio.Event()

    async def handle(ws):
        send_and_disconnect(ws)
        await ws.wait_closed()
        gone.set()

    async with serve(handle, "127.0.0.1", int(where), ping_interval=None):
        print(f"listening on ws://127.0.0.1:{where}", flush=True)
        await gone.wait()


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("client", "server"):
        sys.exit(__doc__)
    asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 60))
