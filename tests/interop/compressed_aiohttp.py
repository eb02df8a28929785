"""Python's `aiohttp`, for compressed.py. As a client it names the server's window. As a server it takes what it is offered."""

import contextlib

import aiohttp
from aiohttp import web

OFFERS = {f"a window of {bits} bits": bits for bits in range(9, 16)}
ANSWERS = {"what is offered": None}
MAX_SIZE = 4 << 20


class WebSocket:
    """One of aiohttp's, with the methods of `websockets`."""

    def __init__(self, ws):
        self.ws = ws

    async def send(self, message):
        await (self.ws.send_str(message) if isinstance(message, str) else self.ws.send_bytes(message))

    async def recv(self):
        received = await self.ws.receive()
        assert received.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), received
        return received.data

    async def close(self):
        await self.ws.close()


def is_compressing(ws):
    return ws.ws.compress > 0


@contextlib.asynccontextmanager
async def connect(url, bits):
    async with aiohttp.ClientSession() as session, session.ws_connect(url, compress=bits, max_msg_size=MAX_SIZE) as ws:
        yield WebSocket(ws)


@contextlib.asynccontextmanager
async def serve(port, answer_to, handle):
    async def handler(request):
        ws = web.WebSocketResponse(compress=True, max_msg_size=MAX_SIZE)
        await ws.prepare(request)
        await handle(request.path_qs, WebSocket(ws))
        return ws

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()
