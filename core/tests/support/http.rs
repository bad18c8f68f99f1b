//! Requests to write and responses to read.

/// A response off the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Status line and fields as they came.
    pub(crate) head: String,
}

impl Response {
    /// Takes a response to a request of this method off the front of `bytes`; `None` if it is not all there.
    pub(crate) fn parse(bytes: &[u8], method: &str) -> Option<(Self, usize)> {
        let end = find(bytes, b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&bytes[..end]).expect("our heads are ASCII").to_owned();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let fields = lines
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("no field: {line:?}")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut response = Self { status, fields, body: Vec::new(), head };
        let is_bodiless = method == "HEAD" || matches!(status, 100..200 | 204 | 304);
        let used = if is_bodiless {
            end
        } else if response.field("transfer-encoding") == Some("chunked") {
            let (body, used) = dechunk(&bytes[end..])?;
            response.body = body;
            end + used
        } else {
            let length: usize =
                response.field("content-length").expect("a length or chunks").parse().unwrap();
            response.body = bytes.get(end..end + length)?.to_vec();
            end + length
        };
        Some((response, used))
    }

    /// The value of a field, by its lower-case name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values =
            self.fields.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} is there twice");
        value
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// Status and body: `400 {"code":0,…}`.
    pub(crate) fn summary(&self) -> String {
        format!("{} {}", self.status, mask(self.text())).trim_end().to_owned()
    }
}

/// A request without a body.
pub(crate) fn bare(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// A GET.
pub(crate) fn get(target: &str) -> String {
    bare("GET", target)
}

/// A request without a body, with fields (`Name: value\r\n`).
pub(crate) fn with_fields(method: &str, target: &str, fields: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{fields}\r\n")
}

/// A POST, as browsers send it.
pub(crate) fn post(target: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    post_with(target, "Content-type: text/plain;charset=UTF-8\r\n", body)
}

/// A POST with fields of its own.
pub(crate) fn post_with(target: &str, fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\n{fields}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A POST whose body comes in chunks of `size`.
pub(crate) fn post_chunked(target: &str, body: &[u8], size: usize) -> Vec<u8> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut request = head.into_bytes();
    for chunk in body.chunks(size) {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes());
        request.extend_from_slice(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}

/// Replaces every id of a `"sid":"…"` by `~`.
pub(crate) fn mask(text: &str) -> String {
    let mut parts = text.split("\"sid\":\"");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (id, rest) = part.split_once('"').expect("the id ends");
        assert_eq!(id.len(), 20, "{id}");
        masked.push_str("\"sid\":\"~\"");
        masked.push_str(rest);
    }
    masked
}

fn dechunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[at..at + line]).unwrap(), 16).unwrap();
        at += line + 2;
        body.extend_from_slice(bytes.get(at..at + size)?);
        bytes.get(at + size..at + size + 2)?;
        at += size + 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
