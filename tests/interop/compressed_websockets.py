"""Python's `websockets`, for compressed.py: with every parameter that it has, and changed to do what few peers do."""

import contextlib
import itertools
import zlib

from websockets.asyncio.client import connect as connect_websocket
from websockets.asyncio.server import serve as serve_websockets
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Frame, Opcode

SETTINGS = {"max_size": 4 << 20, "ping_interval": None, "open_timeout": 10, "close_timeout": 10, "compression": None}
TAIL = b"\x00\x00\xff\xff"
STEP = 16


class Strict(PerMessageDeflate):
    """Refuses a distance that exceeds the window. zlib compares it with what earlier calls wrote, so each call writes little."""

    def decode(self, frame, *, max_size=None):
        if not frame.rsv1:
            assert frame.opcode not in (Opcode.TEXT, Opcode.BINARY) or not frame.data, "a message that is not compressed"
            return frame
        assert frame.fin, "Prism sends each message as one frame"
        if self.remote_no_context_takeover:
            self.decoder = zlib.decompressobj(-self.remote_max_window_bits)
        data, plain = bytes(frame.data) + TAIL, []
        while data or len(plain[-1]) == STEP:
            plain.append(self.decoder.decompress(data, STEP))
            data = self.decoder.unconsumed_tail
        return Frame(frame.opcode, b"".join(plain))


class FinalBlocks(Strict):
    """Ends each message in a final block (RFC 7692 §7.2.3.4), every other one with an empty block behind it."""

    history = b""
    count = 0

    def encode(self, frame):
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY):
            return frame
        encoder = zlib.compressobj(wbits=-self.local_max_window_bits, zdict=self.history)
        payload = encoder.compress(frame.data) + encoder.flush(zlib.Z_FINISH)
        if not self.local_no_context_takeover:
            self.history = (self.history + frame.data)[-(1 << self.local_max_window_bits) :]
        self.count += 1
        return Frame(frame.opcode, payload + b"\0" * (self.count % 2), rsv1=True)


def using(extension, factory):
    """Returns a factory of this extension, whose parameters it negotiates like another one."""

    class Factory(factory):
        def process_request_params(self, params, accepted):
            response, agreed = super().process_request_params(params, accepted)
            return response, made_of(agreed)

        def process_response_params(self, params, accepted):
            return made_of(super().process_response_params(params, accepted))

    def made_of(agreed):
        return extension(
            agreed.remote_no_context_takeover,
            agreed.local_no_context_takeover,
            agreed.remote_max_window_bits,
            agreed.local_max_window_bits,
        )

    return Factory


class OwnWindowOf8(Strict):
    """Compresses for a window of 8 bits. zlib refuses that, but with 9 bits no distance exceeds 512 - 262 bytes."""


def with_own_window_of_8(factory, is_client):
    """Returns a factory that names a window of 8 for what it sends, which `websockets` itself does not support."""
    name = "client_max_window_bits" if is_client else "server_max_window_bits"

    def renamed(params):
        return [(key, "8" if key == name else value) for key, value in params]

    def widened(params):
        return [(key, "9" if (key, value) == (name, "8") else value) for key, value in params]

    class Factory(using(OwnWindowOf8, factory)):
        def get_request_params(self):
            return renamed(super().get_request_params())

        def process_request_params(self, params, accepted):
            response, agreed = super().process_request_params(widened(params), accepted)
            return renamed(response), agreed

        def process_response_params(self, params, accepted):
            assert not is_client or (name, "8") in params, f"answered with {params}"
            return super().process_response_params(widened(params), accepted)

    return Factory


def grid(extension, factory, pairs):
    """Returns a factory for each combination of the parameters; `pairs` are windows, of the server's messages and the client's."""
    make = using(extension, factory)
    return {
        f"{extension.__name__}, no takeover {server:d} {client:d}, windows {' '.join(map(str, bits))}": make(server, client, *bits)
        for (server, client), bits in itertools.product(itertools.product((False, True), repeat=2), pairs)
    }


SAME = [(bits, bits) for bits in range(9, 16)]
OFFERS = {
    **grid(Strict, ClientPerMessageDeflateFactory, [(None, None), (None, True), (8, 9), *SAME]),
    **grid(FinalBlocks, ClientPerMessageDeflateFactory, [(None, True), (9, 9)]),
    "a window of 8 in both directions": with_own_window_of_8(ClientPerMessageDeflateFactory, True)(False, False, 8, 9),
}
ANSWERS = {
    **grid(Strict, ServerPerMessageDeflateFactory, [(None, None), (9, 8), *SAME]),
    **grid(FinalBlocks, ServerPerMessageDeflateFactory, [(None, None), (9, 9)]),
    "a window of 8 in both directions": with_own_window_of_8(ServerPerMessageDeflateFactory, False)(False, False, 9, 8),
}


def is_compressing(ws):
    return len(ws.protocol.extensions) == 1


def connect(url, offer):
    return connect_websocket(url, extensions=[offer], **SETTINGS)


@contextlib.asynccontextmanager
async def serve(port, answer_to, handle):
    async def process_request(connection, request):
        connection.protocol.available_extensions = [answer_to(request.path)]

    async def handler(ws):
        await handle(ws.request.path, ws)

    async with serve_websockets(handler, "127.0.0.1", port, process_request=process_request, extensions=[], **SETTINGS):
        yield
