//! From packets to Engine.IO messages (protocol.md 4.1).
//!
//! Each function writes the Engine.IO type digit and the packet into one buffer of the right size. The default
//! namespace is never written; every other is followed by a comma.

use super::args::ArgsRef;
use super::packet::Kind;
use super::string;
use crate::payload::{Packet, Parcel};

/// Type digit of an Engine.IO message.
const MESSAGE: u8 = b'4';

/// An event. `name_json` is its name as JSON: [`EventName::json`], or [`quote`] of a text.
///
/// [`EventName::json`]: super::EventName::json
/// [`quote`]: super::quote
pub fn event(namespace: &str, ack: Option<u64>, name_json: &str, args: ArgsRef<'_>) -> Parcel {
    let kind = if args.attachments().is_empty() { Kind::Event } else { Kind::BinaryEvent };
    let json = args.json();
    let comma = usize::from(!json.is_empty());
    with_attachments(kind, namespace, ack, args, name_json.len() + comma + json.len(), |out| {
        out.extend_from_slice(name_json.as_bytes());
        if !json.is_empty() {
            out.push(b',');
            out.extend_from_slice(json.as_bytes());
        }
    })
}

/// The acknowledgement of event `id`.
pub fn ack(namespace: &str, id: u64, args: ArgsRef<'_>) -> Parcel {
    let kind = if args.attachments().is_empty() { Kind::Ack } else { Kind::BinaryAck };
    with_attachments(kind, namespace, Some(id), args, args.json().len(), |out| {
        out.extend_from_slice(args.json().as_bytes());
    })
}

/// The answer to a CONNECT that was accepted. `pid` is the secret of connection state recovery, if that is on.
pub fn connect(namespace: &str, sid: &str, pid: Option<&str>) -> Parcel {
    let payload_bytes = r#"{"sid":"","pid":""}"#.len() + sid.len() + pid.map_or(0, str::len);
    plain(Kind::Connect, namespace, payload_bytes, |out| {
        out.extend_from_slice(b"{\"sid\":");
        string::write(out, sid);
        if let Some(pid) = pid {
            out.extend_from_slice(b",\"pid\":");
            string::write(out, pid);
        }
        out.push(b'}');
    })
}

/// The answer to a CONNECT that was refused. `data` is JSON.
pub fn connect_error(namespace: &str, message: &str, data: Option<&str>) -> Parcel {
    let payload_bytes = r#"{"message":"","data":}"#.len() + message.len() + data.map_or(0, str::len);
    plain(Kind::ConnectError, namespace, payload_bytes, |out| {
        out.extend_from_slice(b"{\"message\":");
        string::write(out, message);
        if let Some(data) = data {
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(data.as_bytes());
        }
        out.push(b'}');
    })
}

/// Tells a client that it has left a namespace.
pub fn disconnect(namespace: &str) -> Parcel {
    plain(Kind::Disconnect, namespace, 0, |_| {})
}

/// A packet with an array for payload: `elements` writes what is between its brackets, `element_bytes` long.
fn with_attachments(
    kind: Kind,
    namespace: &str,
    ack: Option<u64>,
    args: ArgsRef<'_>,
    element_bytes: usize,
    elements: impl FnOnce(&mut Vec<u8>),
) -> Parcel {
    let count = kind.is_binary().then(|| args.attachments().len() as u64);
    let bytes = 2
        + count.map_or(0, |count| decimal_bytes(count) + 1)
        + namespace_bytes(namespace)
        + ack.map_or(0, decimal_bytes)
        + 2
        + element_bytes;
    let head = Packet::build_text(bytes, |out| {
        out.extend_from_slice(&[MESSAGE, kind.digit()]);
        if let Some(count) = count {
            write_decimal(out, count);
            out.push(b'-');
        }
        write_namespace(out, namespace);
        if let Some(ack) = ack {
            write_decimal(out, ack);
        }
        out.push(b'[');
        elements(out);
        out.push(b']');
    });
    Parcel { head, attachments: args.attachments().iter().map(|bytes| Packet::binary(bytes)).collect() }
}

/// A packet that never has an id or attachments.
fn plain(kind: Kind, namespace: &str, payload_bytes: usize, payload: impl FnOnce(&mut Vec<u8>)) -> Parcel {
    let packet = Packet::build_text(2 + namespace_bytes(namespace) + payload_bytes, |out| {
        out.extend_from_slice(&[MESSAGE, kind.digit()]);
        write_namespace(out, namespace);
        payload(out);
    });
    packet.into()
}

fn namespace_bytes(namespace: &str) -> usize {
    if namespace == "/" { 0 } else { namespace.len() + 1 }
}

fn write_namespace(out: &mut Vec<u8>, namespace: &str) {
    if namespace != "/" {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
}

/// How long [`write_decimal`] gets.
fn decimal_bytes(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

fn write_decimal(out: &mut Vec<u8>, mut number: u64) {
    let start = out.len();
    loop {
        out.push(b'0' + u8::try_from(number % 10).expect("a remainder of 10 is below 10"));
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out[start..].reverse();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 99, 100, 9_007_199_254_740_991, u64::MAX] {
            let mut out = b"x".to_vec();
            write_decimal(&mut out, number);
            assert_eq!(out, format!("x{number}").as_bytes());
            assert_eq!(out.len(), 1 + decimal_bytes(number));
        }
    }
}
