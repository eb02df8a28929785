"""two_chats.py URL URL: two people talk, each at another process of the example `rooms`, which are one chat."""

import asyncio
import json
import sys

from websockets.asyncio.client import connect


async def until(socket, is_expected):
    """Skips what is not expected."""
    async with asyncio.timeout(20):
        while not is_expected(message := json.loads(await socket.recv())):
            pass
    return message


def shows(key):
    """Whether a message of presence has this person, in the whole list or as somebody who has come."""
    return lambda message: any(person["key"] == key for person in message.get("people", []) + message.get("joined", []))


async def main(urls):
    async with connect(f"{urls[0]}?person=ann") as ann, connect(f"{urls[1]}?person=ben") as ben:
        for socket, name in [(ann, "Ann"), (ben, "Ben")]:
            meta = {"name": name, "typing": False}
            await socket.send(json.dumps({"type": "join", "room": "tea", "meta": meta, "watch": True}))
        # Each process says how things are here first, and what it hears of the other one later.
        await until(ann, shows("ben"))
        await until(ben, shows("ann"))
        for socket, other, name, text in [(ann, ben, "Ann", "Is it hot?"), (ben, ann, "Ben", "It is.")]:
            await socket.send(json.dumps({"type": "send", "room": "tea", "data": {"name": name, "text": text}}))
            heard = await until(other, lambda message: message.get("from") == name.lower())
            assert heard["data"]["text"] == text, heard
        await ben.close()
        await until(ann, lambda message: "ben" in message.get("left", []))


asyncio.run(main(sys.argv[1:]))
print("two processes are one chat")
