"""The behaviours that the python-socketio client can express, over each transport.

    python3 python_client.py URL [--transport polling|websocket|upgrade] [--only TEXT]

Prints a line for each behaviour and `N passed, N failed`; the exit code is 1 if one failed. Every wait is for an event
and ends with a watchdog.
"""

import argparse
import asyncio
import sys
import time
import traceback
import uuid

import socketio
from engineio.payload import Payload
from socketio.exceptions import ConnectionError as RefusedError
from socketio.exceptions import TimeoutError as AckTimeoutError

WATCHDOG_S = 20
# By default this client refuses a poll with more than 16 packets, whatever server it came from.
Payload.max_decode_packets = 10_000
MODES = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": ["polling", "websocket"]}
NSP = "/behaviours"
TIMED_OUT = "operation has timed out"


class Client:
    """One python-socketio client whose events can be waited for.

    It is the asyncio one: the other handles every message on a thread of its own, so that it keeps no order.
    """

    def __init__(self, lab, namespaces=(NSP,), auth=None, **options):
        self.io = socketio.AsyncClient(reconnection=False, **options)
        self.heard = asyncio.Queue()
        self.gone = asyncio.Queue()
        self.refused = asyncio.Queue()
        for each in namespaces:
            self.io.on("disconnect", lambda reason, n=each: self.gone.put_nowait((n, reason)), namespace=each)
            self.io.on("connect_error", self.refused.put_nowait, namespace=each)
        self.lab = lab
        self.namespaces = list(namespaces)
        self.auth = auth

    async def connect(self):
        await self.io.connect(
            self.lab.url,
            transports=MODES[self.lab.mode],
            namespaces=self.namespaces,
            auth=self.auth,
            wait_timeout=WATCHDOG_S,
        )
        return self

    def listen(self, event, namespace=NSP, answer=None):
        """Collects the args of an event in `heard`; `answer(*args)` makes the ack."""

        def handler(*args):
            self.heard.put_nowait((event, list(args)))
            return answer(*args) if answer else None

        self.io.on(event, handler, namespace=namespace)
        return self

    def keep_silent(self, event, until, namespace=NSP):
        """Does not ack an event before `until` is set."""

        async def handler(*_):
            await until.wait()

        self.io.on(event, handler, namespace=namespace)
        return self

    async def ask(self, event, *args, namespace=NSP):
        """Emits, and returns the ack: None, its argument, or a list of several."""
        answer = await self.io.call(event, tuple(args), namespace=namespace, timeout=WATCHDOG_S)
        return list(answer) if isinstance(answer, tuple) else answer

    async def emit(self, event, *args, namespace=NSP):
        await self.io.emit(event, tuple(args), namespace=namespace)

    async def next(self, event):
        name, args = await asyncio.wait_for(self.heard.get(), WATCHDOG_S)
        assert name == event, f"heard {name} in place of {event}"
        return args

    async def left(self):
        """The namespace of the next disconnect."""
        return (await asyncio.wait_for(self.gone.get(), WATCHDOG_S))[0]

    def id(self, namespace=NSP):
        return self.io.get_sid(namespace)


class Lab:
    """The clients of one behaviour."""

    def __init__(self, url, mode):
        self.url = url
        self.mode = mode
        self.clients = []

    def client(self, *args, **options):
        client = Client(self, *args, **options)
        self.clients.append(client)
        return client

    async def connect(self, *args, **options):
        return await self.client(*args, **options).connect()

    async def close(self):
        for client in self.clients:
            await client.io.disconnect()


def name(prefix="room"):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


# ---- behaviours ------------------------------------------------------------------------------------------------


async def a_client_connects_to_several_namespaces_over_one_connection(lab):
    client = await lab.connect(["/", "/admin", "/custom", "/dyn-55"])
    ids = {client.id(namespace) for namespace in client.namespaces}
    assert len(ids) == 4 and all(len(each) == 20 for each in ids)
    assert client.io.eio.sid not in ids
    for namespace in client.namespaces:
        assert await client.ask("nsp", namespace=namespace) == namespace


async def a_client_ends_on_the_transport_it_asked_for(lab):
    client = await lab.connect()
    assert client.io.transport() == ("polling" if lab.mode == "polling" else "websocket")


async def the_auth_payload_reaches_the_application(lab):
    client = await lab.client(["/"], auth={"token": "t€😀", "list": [1, None]}).listen("auth", "/").connect()
    assert await client.next("auth") == [{"token": "t€😀", "list": [1, None]}]
    other = await lab.connect(auth={"a": 1})
    assert (await other.ask("handshake"))["auth"] == {"a": 1}


async def refused(lab, namespace, auth=None):
    """The error of a CONNECT that must be refused."""
    client = lab.client([namespace], auth=auth)
    try:
        await client.connect()
    except RefusedError:
        return await asyncio.wait_for(client.refused.get(), WATCHDOG_S)
    raise AssertionError("it was let in")


async def an_unknown_namespace_is_refused(lab):
    assert await refused(lab, "/unknown") == {"message": "Invalid namespace"}
    assert await refused(lab, "/dyn-abc") == {"message": "Invalid namespace"}


async def a_middleware_refuses_with_message_and_data(lab):
    assert await refused(lab, "/mw") == {"message": "nope"}
    assert await refused(lab, "/mw", {"data": 1}) == {"message": "nope", "data": {"code": 42}}


async def every_json_value_comes_back(lab):
    client = await lab.connect(["/"])
    client.listen("echo", "/")
    values = [
        None, True, False, 0, -1, 1.5, 1e21, 2**53 - 1, "", "é€中文", "😀👨‍👩‍👧‍👦", '"\\/\b\f\n\r\t', "\0\x01\x1e\x7f", "\u2028\u2029\ufeff",
        [], {}, [[], [[]]], {"": 0, "é": {"deep": [1, [2, {"x": None}]]}}, list(range(1000)),
    ]  # fmt: skip
    for value in values:
        assert await client.ask("echo", value, namespace="/") == value
    await client.emit("echo", *values, namespace="/")
    assert await client.next("echo") == values
    await client.emit("echo", namespace="/")
    assert await client.next("echo") == []


async def binary_comes_back_nested_and_in_several_attachments(lab):
    client = (await lab.connect()).listen("echo").listen("bin")
    for length in [0, 1, 2, 3, 125, 126, 65535, 65536]:
        data = bytes(i * 7 % 256 for i in range(length))
        assert await client.ask("echo", data) == data
    args = [{"a": [{"b": b"\1"}, [b"\2\3"]]}, b"", "é", [b"\4", None]]
    assert await client.ask("echo", *args) == args
    await client.emit("echo", *args)
    assert await client.next("echo") == args
    ten = [bytes([i]) * i for i in range(10)]
    assert await client.ask("echo", *ten) == ten
    assert await client.ask("bin") == [b"\xff", "x"]
    assert await client.next("bin") == [{"a": b"\1\2", "list": [b"", "x", {"b": b"\3"}]}, b"\xff"]


async def a_thousand_events_come_back_in_order(lab):
    client = (await lab.connect()).listen("echo").listen("tick")
    for i in range(1000):
        await client.emit("echo", i)
    assert [await client.next("echo") for _ in range(1000)] == [[i] for i in range(1000)]
    assert await client.ask("ticks", 1000) == 1000
    assert [await client.next("tick") for _ in range(1000)] == [[i] for i in range(1000)]


async def the_client_acks_the_servers_events(lab):
    client = (await lab.connect()).listen("question", answer=lambda a, b: (b, a, b"\7"))
    report = await client.ask("call-me", {"ev": "question", "args": [1, b"\2"], "timeout": 10_000})
    assert report == {"err": None, "res": [b"\2", 1, b"\7"]}, report


async def the_servers_timeout_passes_when_the_client_does_not_ack(lab):
    release = asyncio.Event()
    client = (await lab.connect()).keep_silent("question", release)
    report = await client.ask("call-me", {"ev": "question", "timeout": 50})
    assert report == {"err": TIMED_OUT, "res": []}, report
    release.set()
    assert await client.ask("echo", "alive") == "alive"


async def the_clients_timeout_passes_when_the_server_does_not_ack(lab):
    client = await lab.connect()
    try:
        await client.io.call("never", namespace=NSP, timeout=0.05)
    except AckTimeoutError:
        return
    raise AssertionError("it was acked")


async def broadcasts_reach_rooms_but_not_the_sender_nor_the_excepted(lab):
    room, other, news, marker = name(), name(), name("news"), name("marker")
    sender, member, both = [(await lab.connect()).listen(news).listen(marker) for _ in range(3)]
    everybody = [sender, member, both]
    for client, rooms in [(sender, [room]), (member, [room]), (both, [room, other])]:
        assert await client.ask("join", rooms) == sorted([client.id(), *rooms])

    async def broadcast(command, **what):
        """How often each of them heard it: what has not come before the marker does not come."""
        assert await sender.ask(command, {"ev": news, "args": [1, b"\1"], **what}) is True
        assert await sender.ask("in", {"rooms": [each.id() for each in everybody], "ev": marker}) is True
        counts = []
        for client in everybody:
            heard = []
            while not heard or heard[-1][0] != marker:
                heard.append(await asyncio.wait_for(client.heard.get(), WATCHDOG_S))
            assert all(args == [1, b"\1"] for _, args in heard[:-1])
            counts.append(len(heard) - 1)
        return counts

    assert await broadcast("to", rooms=[room]) == [0, 1, 1]
    assert await broadcast("in", rooms=[room, other]) == [1, 1, 1]
    assert await broadcast("in", rooms=[room], **{"except": [other]}) == [1, 1, 0]
    assert await both.ask("leave", other) == sorted([both.id(), room])
    assert await broadcast("to", rooms=[other]) == [0, 0, 0]


async def a_broadcast_with_ack_collects_answers_or_times_out(lab):
    room, release = name(), asyncio.Event()
    clients = [(await lab.connect()).listen("question", answer=lambda x, i=i: i + x) for i in range(3)]
    for client in clients:
        await client.ask("join", [room])
    what = {"rooms": [room], "ev": "question", "args": [100], "from": "namespace", "timeout": 15_000}
    report = await clients[0].ask("broadcast-ack", what)
    assert report["err"] is None and sorted(report["res"]) == [100, 101, 102]
    silent = (await lab.connect()).keep_silent("question", release)
    await silent.ask("join", [room])
    report = await clients[0].ask("broadcast-ack", {**what, "timeout": 1500})
    release.set()
    assert report["err"] == TIMED_OUT and sorted(report["res"]) == [100, 101, 102]


async def fetch_tells_rooms_and_data(lab):
    room = name()
    client = await lab.connect(auth={"who": "py"})
    await client.ask("join", [room])
    await client.ask("data", {"n": 1})
    expected = {"id": client.id(), "rooms": sorted([client.id(), room]), "data": {"n": 1}, "auth": {"who": "py"}}
    assert await client.ask("fetch", {"rooms": [room]}) == [expected]


async def big_payloads_go_up_and_come_down(lab):
    client = await lab.connect()
    text = "x" * 900_000
    measured = await client.ask("measure", text)
    assert measured == {"binary": False, "length": 900_000, "sum": 900_000 * ord("x") % 2**32}
    data = b"\7" * (675_000 if lab.mode == "polling" else 900_000)
    assert await client.ask("echo", data) == data
    assert len(await client.ask("big", {"bytes": 3_000_000})) == 3_000_000
    data = await client.ask("big", {"bytes": 3_000_000, "binary": True})
    assert data == (bytes(range(251)) * 11953)[:3_000_000]


async def leaving_is_seen_by_the_application(lab):
    helper = await lab.connect()
    client = await lab.connect()
    sid = client.id()
    await client.io.disconnect()
    reason = (await helper.ask("last-disconnect", sid))["reason"]
    assert reason in ("client namespace disconnect", "transport close"), reason


async def a_server_disconnect_is_seen_by_the_client(lab):
    helper = await lab.connect()
    for close in [False, True]:
        client = await lab.connect()
        sid = client.id()
        await client.emit("bye", close)
        assert await client.left() == NSP
        assert (await helper.ask("last-disconnect", sid))["reason"] == "server namespace disconnect"


async def leaving_one_namespace_by_the_server_keeps_the_others(lab):
    client = await lab.connect(["/", "/admin"])
    await client.emit("bye", False, namespace="/admin")
    assert await client.left() == "/admin"
    assert await client.ask("echo", "alive", namespace="/") == "alive"


BEHAVIOURS = [
    a_client_connects_to_several_namespaces_over_one_connection,
    a_client_ends_on_the_transport_it_asked_for,
    the_auth_payload_reaches_the_application,
    an_unknown_namespace_is_refused,
    a_middleware_refuses_with_message_and_data,
    every_json_value_comes_back,
    binary_comes_back_nested_and_in_several_attachments,
    a_thousand_events_come_back_in_order,
    the_client_acks_the_servers_events,
    the_servers_timeout_passes_when_the_client_does_not_ack,
    the_clients_timeout_passes_when_the_server_does_not_ack,
    broadcasts_reach_rooms_but_not_the_sender_nor_the_excepted,
    a_broadcast_with_ack_collects_answers_or_times_out,
    fetch_tells_rooms_and_data,
    big_payloads_go_up_and_come_down,
    leaving_is_seen_by_the_application,
    a_server_disconnect_is_seen_by_the_client,
    leaving_one_namespace_by_the_server_keeps_the_others,
]

# ---- running them ----------------------------------------------------------------------------------------------


async def run(behaviour, url, mode):
    """None, or the traceback of what went wrong."""
    lab = Lab(url, mode)
    try:
        await asyncio.wait_for(behaviour(lab), 3 * WATCHDOG_S)
    except Exception:
        return traceback.format_exc()
    finally:
        try:
            await asyncio.wait_for(lab.close(), WATCHDOG_S)
        except Exception:
            traceback.print_exc()
    return None


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--transport", choices=MODES)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    passed = failed = 0
    for mode in [options.transport] if options.transport else MODES:
        for behaviour in BEHAVIOURS:
            sentence = behaviour.__name__.replace("_", " ")
            if options.only not in sentence:
                continue
            start = time.monotonic()
            error = await run(behaviour, options.url, mode)
            took = round((time.monotonic() - start) * 1000)
            if error is None:
                passed += 1
                print(f"ok   python {mode}: {sentence} ({took} ms)", flush=True)
            else:
                failed += 1
                print(f"FAIL python {mode}: {sentence}\n{error}", flush=True)
    print(f"python: {passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
