//! Payloads, and what carries them. Nothing here is random: the same bytes in every run, on every machine.

use bytes::Bytes;

/// A client's mask. No byte has its top bit set, so that ASCII stays ASCII, masked or not, and a frame can be
/// unmasked in place over and over.
pub(crate) const MASK: [u8; 4] = [0x37, 0x7a, 0x21, 0x3d];

/// The handshake of a browser that opens a WebSocket.
pub(crate) const WEBSOCKET: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n\
    Host: chat.example.org\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: https://chat.example.org\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    Cookie: session=4f2a9c8e7d6b5a4938271605f4e3d2c1\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    \r\n";

/// Fields of a browser's polling request.
const FIELDS: &str = "Host: chat.example.org\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n\
    Accept: */*\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    Cookie: session=4f2a9c8e7d6b5a4938271605f4e3d2c1\r\n";

/// Where polling clients go.
pub(crate) const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

pub(crate) fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\n{FIELDS}\r\n").into_bytes()
}

pub(crate) fn post(target: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {target} HTTP/1.1\r\n{FIELDS}Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// So many characters of English.
pub(crate) fn prose(characters: usize) -> String {
    "The tide takes no orders, but it keeps its hours. ".chars().cycle().take(characters).collect()
}

/// At most so many bytes of a text in which every eighth character or so is not ASCII.
pub(crate) fn mixed(bytes: usize) -> String {
    let mut text = String::new();
    for character in "Grüße aus Zürich – ça coûte 5 €, señor. ".chars().cycle() {
        if text.len() + character.len_utf8() > bytes {
            return text;
        }
        text.push(character);
    }
    text
}

/// One argument of this size in JSON, 64 bytes at least: a message of a chat, or a list of them.
pub(crate) fn json(bytes: usize) -> String {
    const MESSAGE: usize = 126;
    if bytes < 2 * MESSAGE {
        return message(bytes);
    }
    let mut list = String::from("[");
    while list.len() + 1 + 2 * MESSAGE < bytes {
        list.push_str(&message(MESSAGE));
        list.push(',');
    }
    list.push_str(&message(bytes - list.len() - 1));
    list.push(']');
    list
}

fn message(bytes: usize) -> String {
    let frame = r#"{"from":"ann","at":1795164458,"tags":[1,2],"text":""}"#;
    frame.replace(r#""text":"""#, &format!(r#""text":"{}""#, prose(bytes - frame.len())))
}

/// The payload of an echo with acknowledgement: 64 characters, as the load generator sends them.
pub(crate) fn echo() -> String {
    format!(r#"421["echo","{}"]"#, prose(64))
}

/// A masked text frame.
pub(crate) fn text_frame(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}

/// A masked frame. `first` is FIN, reserved bits and opcode.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..126), _) => frame.push(0x80 | length),
        (_, Ok(length)) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// So many bytes that are no text.
pub(crate) fn binary(bytes: usize) -> Bytes {
    (0..=u8::MAX).cycle().take(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_size_that_was_asked_for() {
        for bytes in [64, 128, 251, 252, 1024, 4096] {
            let json = json(bytes);
            assert_eq!(json.len(), bytes);
            serde_json::from_str::<serde_json::Value>(&json).unwrap();
        }
    }

    #[test]
    fn ascii_stays_ascii_under_the_mask() {
        assert!(text_frame(&prose(1000))[8..].is_ascii());
    }
}
