//! The fields of frames as JSON, as docs/backend-protocol.md §9 writes them.

use serde_json::{Value, json};
use tidegate_core::backend::wire::{
    Connect, EmitFlags, FromBackend, Hello, MAGIC, Packet, Selector, Sockets, Texts, ToBackend, Welcome,
};
use tidegate_core::close::{CloseReason, DisconnectReason};
use tidegate_core::shard::app::SocketKey;

pub(crate) fn from_backend(frame: &FromBackend<'_>) -> Value {
    match *frame {
        FromBackend::Hello(Hello { version_min, version_max, window, software, process }) => json!({
            "magic": magic(), "lowest": version_min, "highest": version_max, "window": window,
            "software": software, "process": process,
        }),
        FromBackend::Credit(bytes) => json!({ "bytes": bytes }),
        FromBackend::Serve { dynamic, namespaces } => {
            json!({ "flags": u8::from(dynamic), "namespaces": texts(namespaces) })
        }
        FromBackend::Withdraw(namespaces) => json!({ "namespaces": texts(namespaces) }),
        FromBackend::Drain => json!({}),
        FromBackend::Accept(socket)
        | FromBackend::Decline(socket)
        | FromBackend::Disconnect(socket)
        | FromBackend::Released(socket) => json!({ "socket": key(socket) }),
        FromBackend::Reject { socket, message, data } => {
            json!({ "socket": key(socket), "message": message, "data": data.unwrap_or_default() })
        }
        FromBackend::Emit { socket, flags, ack, timeout_ms, packet } => json!({
            "flags": bits(flags), "socket": key(socket), "ack": ack.to_string(), "timeout": timeout_ms,
            "packet": parts(&packet),
        }),
        FromBackend::Ack { socket, ack, packet } => {
            json!({ "socket": key(socket), "ack": ack.to_string(), "packet": parts(&packet) })
        }
        FromBackend::Broadcast { flags, selector, request, timeout_ms, packet } => json!({
            "flags": bits(flags), "selector": selected(selector), "request": request.to_string(),
            "timeout": timeout_ms, "packet": parts(&packet),
        }),
        FromBackend::Join { socket, rooms } | FromBackend::Leave { socket, rooms } => {
            json!({ "socket": key(socket), "rooms": texts(rooms) })
        }
        FromBackend::Close(session) => json!({ "session": key_bytes(session.to_bytes()) }),
        FromBackend::Data { socket, json } => json!({ "socket": key(socket), "data": json }),
        FromBackend::SocketsJoin { selector, rooms } | FromBackend::SocketsLeave { selector, rooms } => {
            json!({ "selector": selected(selector), "rooms": texts(rooms) })
        }
        FromBackend::DisconnectSockets { selector, close } => {
            json!({ "selector": selected(selector), "close": u8::from(close) })
        }
        FromBackend::Fetch { request, selector } => {
            json!({ "request": request.to_string(), "selector": selected(selector) })
        }
        FromBackend::ServerEmit { namespace, request, timeout_ms, json } => json!({
            "namespace": namespace, "request": request.to_string(), "timeout": timeout_ms, "array": json,
        }),
        FromBackend::ServerAck { token, json } => json!({ "token": token.to_string(), "answer": json }),
    }
}

pub(crate) fn to_backend(frame: &ToBackend<'_>) -> Value {
    match *frame {
        ToBackend::Welcome(Welcome { version, window, portion, frame_bytes_max, software, options }) => {
            json!({
                "magic": magic(), "version": version, "window": window, "portion": portion, "longest": frame_bytes_max,
                "software": software, "options": options,
            })
        }
        ToBackend::Refuse { code, message } => json!({ "code": code.code(), "message": message }),
        ToBackend::Credit(bytes) => json!({ "bytes": bytes }),
        ToBackend::Tick | ToBackend::Drained => json!({}),
        ToBackend::Fetched { request, last, sockets } => {
            json!({ "request": request.to_string(), "last": u8::from(last), "sockets": fetched(sockets) })
        }
        ToBackend::Asked { request, clients } => {
            json!({ "request": request.to_string(), "clients": clients })
        }
        ToBackend::Answer { request, packet } => {
            json!({ "request": request.to_string(), "packet": parts(&packet) })
        }
        ToBackend::Answered { request, timed_out } => {
            json!({ "request": request.to_string(), "timed_out": u8::from(timed_out) })
        }
        ToBackend::Peers(links) => json!({ "links": links }),
        ToBackend::ServerResponses { request, asked, responses } => json!({
            "request": request.to_string(), "asked": asked,
            "responses": responses.iter().collect::<Vec<_>>(),
        }),
        ToBackend::Connect(connect) => connect_fields(&connect),
        ToBackend::Event { socket, ack, redelivered, packet } => json!({
            "flags": u8::from(ack.is_some()) | u8::from(redelivered) << 1, "socket": key(socket),
            "ack": ack.unwrap_or_default().to_string(), "packet": parts(&packet),
        }),
        ToBackend::Ack { socket, ack, packet } => {
            json!({ "socket": key(socket), "ack": ack.to_string(), "packet": parts(&packet) })
        }
        ToBackend::Disconnected { socket, reason } => {
            json!({ "socket": key(socket), "reason": code(reason) })
        }
        ToBackend::Handover(socket) => json!({ "socket": key(socket) }),
        ToBackend::ServerEvent { token, namespace, json } => {
            json!({ "token": token.to_string(), "namespace": namespace, "array": json })
        }
        ToBackend::ConnectionError { code, message, handshake } => {
            json!({ "code": code, "message": message, "handshake": handshake })
        }
        ToBackend::Transport { session, transport } => {
            json!({ "session": key_bytes(session.to_bytes()), "transport": transport })
        }
    }
}

fn connect_fields(connect: &Connect<'_>) -> Value {
    let Connect { socket, session, id, revision, transport, namespace, handshake, adopted } = *connect;
    json!({
        "flags": u8::from(adopted.is_some()), "socket": key(socket), "session": key_bytes(session.to_bytes()),
        "id": id.encode().as_str(), "revision": revision, "transport": transport, "namespace": namespace,
        "handshake": handshake,
        "rooms": texts(adopted.map(|adopted| adopted.rooms).unwrap_or_default()),
        "data": adopted.and_then(|adopted| adopted.data).unwrap_or_default(),
    })
}

fn fetched(sockets: Sockets<'_>) -> Vec<Value> {
    let fields = sockets.iter().map(|socket| {
        json!({
            "socket": key(socket.socket), "id": socket.id.encode().as_str(), "rooms": texts(socket.rooms),
            "data": socket.data.unwrap_or_default(), "handshake": socket.handshake,
        })
    });
    fields.collect()
}

/// The table of §5, written once more.
fn code(reason: DisconnectReason) -> u8 {
    let words = [
        (1, CloseReason::TransportClose),
        (2, CloseReason::TransportError),
        (3, CloseReason::PingTimeout),
        (4, CloseReason::ParseError),
        (5, CloseReason::ForcedClose),
        (6, CloseReason::ForcedServerClose),
        (7, CloseReason::ServerShuttingDown),
    ];
    match reason {
        DisconnectReason::Session(reason) => {
            words.iter().find(|(_, other)| *other == reason).expect("every reason has a code").0
        }
        DisconnectReason::ClientNamespace => 16,
        DisconnectReason::ServerNamespace => 17,
    }
}

fn magic() -> &'static str {
    str::from_utf8(&MAGIC).expect("it is ASCII")
}

fn texts(list: Texts<'_>) -> Vec<&str> {
    list.iter().collect()
}

fn key(socket: SocketKey) -> String {
    key_bytes(socket.to_bytes())
}

fn key_bytes([a, b, c, d, e, f, g, h, i, j]: [u8; 10]) -> String {
    let (slot, generation) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    format!("{slot}.{generation}.{}", u16::from_le_bytes([i, j]))
}

fn bits(flags: EmitFlags) -> u8 {
    let EmitFlags { volatile, compress, local, ack } = flags;
    [volatile, !compress, local, ack].iter().rev().fold(0, |bits, &is_set| bits << 1 | u8::from(is_set))
}

fn selected(selector: Selector<'_>) -> Value {
    let Selector { namespace, rooms, except } = selector;
    json!({ "namespace": namespace, "rooms": texts(rooms), "except": texts(except) })
}

fn parts(packet: &Packet<'_>) -> Value {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    json!({ "json": packet.json(), "attachments": packet.attachments().iter().map(hex).collect::<Vec<_>>() })
}
