"""`python`: a peer. python-socketio on uvicorn, with uvloop and httptools, in production settings.

Prints `version …`, then `listening on http://…` once it does.
"""

import gc
import platform
import socket
from importlib.metadata import version

import orjson
import socketio
import uvicorn


class Json:
    """orjson as python-socketio wants its JSON: text, and options that say what orjson does anyway."""

    loads = staticmethod(orjson.loads)

    @staticmethod
    def dumps(value, **_options):
        return orjson.dumps(value).decode()


# Nothing is compressed, and nobody's origin is checked. Handlers are called rather than started as a task each.
sio = socketio.AsyncServer(
    async_mode="asgi",
    async_handlers=False,
    json=Json,
    http_compression=False,
    cors_allowed_origins=[],
)


@sio.event
def echo(sid, *args):
    return args


@sio.event
async def broadcast(sid, *args):
    await sio.emit("news", args)


@sio.event
async def join(sid, room):
    await sio.enter_room(sid, room)


@sio.event
async def leave(sid, room):
    await sio.leave_room(sid, room)


@sio.event
async def room(sid, name, *args):
    await sio.emit("msg", args, to=name)


class Server(uvicorn.Server):
    """Says where it listens, once it does."""

    async def startup(self, sockets=None):
        await super().startup(sockets)
        host, port = sockets[0].getsockname()
        print(f"listening on http://{host}:{port}", flush=True)


def main():
    # Few cycles come up here, but many objects. With Python's thresholds, which mean ten thousand clients no better than ten,
    # looking for cycles is two thirds of the work.
    gc.set_threshold(50_000, 20, 100)
    modules = ["python-socketio", "uvicorn", "uvloop", "httptools", "websockets", "orjson"]
    versions = ", ".join(f"{name} {version(name)}" for name in modules)
    print(f"version python {platform.python_version()}, {versions}", flush=True)
    config = uvicorn.Config(
        socketio.ASGIApp(sio),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        # Engine.IO has heartbeats of its own.
        ws_ping_interval=None,
        backlog=4096,
        log_level="warning",
        access_log=False,
    )
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    Server(config).run(sockets=[listener])


main()
