#!/usr/bin/env python3
"""Runs Python servers that refuse, or accept unusually, in ways that users encounter. The caller checks how Prism's client reacts.

python_refusals.py      prints a URL for each, in the order of `PATHS`, then "listening", and serves until SIGTERM
"""

import asyncio
import os
import signal
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from websockets.asyncio.server import serve

FOR_EVER = 3600
PATHS = {}


def answer(function):
    PATHS[f"/{len(PATHS)}"] = function
    return function


# ---- answers: each function gets the connection of `websockets` and the request, before `websockets` answers -----------


@answer
async def a_401_whose_body_never_ends(connection, request):
    connection.transport.write(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\nwho are")
    await asyncio.sleep(FOR_EVER)


@answer
async def a_502_that_stalls_within_a_chunk(connection, request):
    connection.transport.write(
        b"HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n9\r\n gate"
    )
    await asyncio.sleep(FOR_EVER)


@answer
async def a_401_and_a_reset(connection, request):
    connection.transport.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\nwho are")
    at_once = struct.pack("ii", 1, 0)
    connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    connection.transport.abort()


@answer
class A503InHttp10(BaseHTTPRequestHandler):
    """The standard library's server, which is not `websockets`, speaks HTTP/1.0 unless it is told otherwise."""

    def do_GET(self):
        self.send_response(503)
        self.send_header("Retry-After", "9")
        self.end_headers()
        self.wfile.write(b"later")

    def log_message(self, *args):
        pass


@answer
async def a_101_with_an_empty_subprotocol(connection, request):
    return None


@answer
async def a_401_by_websockets(connection, request):
    return connection.respond(401, "who are you?\n")


async def process_request(connection, request):
    return await PATHS[request.path](connection, request)


def process_response(connection, request, response):
    if PATHS[request.path] is a_101_with_an_empty_subprotocol:
        response.headers["Sec-WebSocket-Protocol"] = ""


# ---- server -----------------------------------------------------------------------------------------------------------


async def main():
    # Exits at once, without waiting for answers that never end.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, os._exit, 0)
    old = ThreadingHTTPServer(("127.0.0.1", 0), A503InHttp10)
    threading.Thread(target=old.serve_forever, daemon=True).start()

    async def handle(ws):
        await ws.wait_closed()

    settings = {"process_request": process_request, "process_response": process_response, "open_timeout": None}
    async with serve(handle, "127.0.0.1", 0, **settings) as server:
        for path, function in PATHS.items():
            port = old.server_port if function is A503InHttp10 else server.sockets[0].getsockname()[1]
            print(f"ws://127.0.0.1:{port}{path}")
        print("listening", flush=True)
        await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(main())
