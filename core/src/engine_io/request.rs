//! What a request to the engine asks for, or why it is refused (protocol.md 1.1 and 1.2).
//!
//! The order of checks is visible to clients, so it is all in one function, [`check`], of plain values.

use super::{Revision, Transport, Transports};
use crate::id::Id;
use std::borrow::Cow;

/// What the query of a request says to the engine. Other keys are the application's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineQuery {
    /// `EIO`.
    pub revision: Revision,
    /// `transport`; `None` if missing or unknown.
    pub transport: Option<Transport>,
    /// `sid`.
    pub sid: SessionField,
    /// `b64`: the client cannot take binary.
    pub base64_only: bool,
    /// `j`: answer polls in JSONP, calling `___eio[<these digits>]`.
    pub jsonp: Option<Box<str>>,
}

/// The `sid` of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionField {
    /// Missing or empty: a handshake.
    Absent,
    /// Not an id of ours, so no session has it.
    Malformed,
    /// An id, which may or may not have a session.
    Id(Id),
}

impl EngineQuery {
    /// Reads the decoded pairs of a query. The last value of a key wins.
    pub fn from_pairs<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let mut query = Self {
            revision: Revision::V3,
            transport: None,
            sid: SessionField::Absent,
            base64_only: false,
            jsonp: None,
        };
        for (key, value) in pairs {
            let value = value.as_ref();
            match key.as_ref() {
                "EIO" => query.revision = if value == "4" { Revision::V4 } else { Revision::V3 },
                "transport" => query.transport = Transport::decode(value),
                "sid" if value.is_empty() => query.sid = SessionField::Absent,
                "sid" => query.sid = Id::decode(value).map_or(SessionField::Malformed, SessionField::Id),
                "b64" => query.base64_only = !value.is_empty(),
                "j" => query.jsonp = Some(value.chars().filter(char::is_ascii_digit).collect()),
                _ => {}
            }
        }
        query
    }
}

/// What the engine cares about in a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// Any other.
    Other,
}

/// What a lookup of [`EngineQuery::sid`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// There was nothing to look up: [`SessionField::Absent`].
    None,
    /// No live session has it.
    Unknown,
    /// A live session has it.
    Known {
        /// Its current transport.
        transport: Transport,
        /// The revision it was opened with.
        revision: Revision,
    },
}

/// A request, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its query.
    pub query: &'a EngineQuery,
    /// Its method.
    pub method: Method,
    /// Whether it asks to become a WebSocket (`Connection` and `Upgrade` say so).
    pub is_upgrade: bool,
    /// Whether `Origin` is absent or free of bytes that a header must not have.
    pub is_origin_valid: bool,
    /// What became of its `sid`.
    pub session: Lookup,
}

/// The options that decide.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// `transports`.
    pub transports: Transports,
    /// `allowUpgrades`.
    pub allow_upgrades: bool,
    /// `allowEIO3`.
    pub allow_v3: bool,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a session; this request is its first poll.
    OpenPolling,
    /// Do the WebSocket handshake, then open a session on it.
    OpenWebSocket,
    /// It is a poll of its session.
    Poll,
    /// It brings packets to its session.
    Post,
    /// Do the WebSocket handshake, then let the session decide whether this is an upgrade of it.
    Upgrade,
    /// Answer 500 with an empty body; the session does not notice.
    OtherMethod,
}

/// The engine's errors, with the codes of its protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineError {
    /// `transport` is missing, unknown, not enabled, or not for URLs.
    UnknownTransport,
    /// `sid` names no live session.
    UnknownSession,
    /// A handshake with another method than GET.
    HandshakeMethod,
    /// The request contradicts itself or its session.
    BadRequest,
    /// The application refused the handshake, perhaps with a message.
    Forbidden(Option<String>),
    /// The revision is not served.
    UnsupportedRevision,
}

impl EngineError {
    /// The number clients see.
    pub fn code(&self) -> u8 {
        match self {
            Self::UnknownTransport => 0,
            Self::UnknownSession => 1,
            Self::HandshakeMethod => 2,
            Self::BadRequest => 3,
            Self::Forbidden(_) => 4,
            Self::UnsupportedRevision => 5,
        }
    }

    /// The text clients see.
    pub fn message(&self) -> &str {
        match self {
            Self::UnknownTransport => "Transport unknown",
            Self::UnknownSession => "Session ID unknown",
            Self::HandshakeMethod => "Bad handshake method",
            Self::BadRequest => "Bad request",
            Self::Forbidden(None) => "Forbidden",
            Self::Forbidden(Some(message)) => message,
            Self::UnsupportedRevision => "Unsupported protocol version",
        }
    }
}

/// An error, and the form its answer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was wrong.
    pub error: EngineError,
    /// Whether it answers a WebSocket handshake: then it is plain text, and the connection closes.
    pub is_upgrade: bool,
}

impl Refusal {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self.error {
            EngineError::Forbidden(_) if !self.is_upgrade => 403,
            _ => 400,
        }
    }

    /// The value of `Content-Type`.
    pub fn content_type(&self) -> &'static str {
        if self.is_upgrade { "text/html" } else { "application/json" }
    }

    /// The body: the message, or an object of code and message.
    pub fn body(&self) -> Cow<'_, str> {
        let message = self.error.message();
        if self.is_upgrade {
            return Cow::Borrowed(message);
        }
        let message = serde_json::Value::from(message);
        Cow::Owned(format!(r#"{{"code":{},"message":{message}}}"#, self.error.code()))
    }
}

/// Decides what to do with a request; the first failure wins.
///
/// `allow_request` asks the application about a handshake, and is called at most once and for nothing else;
/// its error is the message for the client, if it has one.
///
/// The engine's middleware (check 1 of protocol.md 1.2) has run before.
pub fn check(
    request: &Request<'_>,
    rules: &Rules,
    allow_request: impl FnOnce() -> Result<(), Option<String>>,
) -> Result<Action, Refusal> {
    // Without WebSocket nobody listens for upgrades, and the request is an ordinary one.
    let is_upgrade = request.is_upgrade && rules.transports.contains(Transport::WebSocket);
    let refuse = |error| Refusal { error, is_upgrade };

    let transport = check_transport(request, rules).map_err(refuse)?;
    match request.session {
        Lookup::None => check_handshake(request, rules, transport, is_upgrade, allow_request),
        Lookup::Unknown => Err(EngineError::UnknownSession),
        Lookup::Known { transport: current, revision } => {
            if revision != request.query.revision {
                Err(EngineError::BadRequest)
            } else if is_upgrade {
                check_upgrade(rules, transport)
            } else {
                check_session_request(request.method, transport, current)
            }
        }
    }
    .map_err(refuse)
}

/// Checks 2 and 3.
fn check_transport(request: &Request<'_>, rules: &Rules) -> Result<Transport, EngineError> {
    // WebTransport has no URL of its own: its clients send no query.
    let transport = request
        .query
        .transport
        .filter(|&transport| transport != Transport::WebTransport && rules.transports.contains(transport))
        .ok_or(EngineError::UnknownTransport)?;
    if request.is_origin_valid { Ok(transport) } else { Err(EngineError::BadRequest) }
}

/// Checks 7 to 10. Node does the last one of a WebSocket after the 101; here all come before.
fn check_handshake(
    request: &Request<'_>,
    rules: &Rules,
    transport: Transport,
    is_upgrade: bool,
    allow_request: impl FnOnce() -> Result<(), Option<String>>,
) -> Result<Action, EngineError> {
    if request.method != Method::Get {
        return Err(EngineError::HandshakeMethod);
    }
    let action = match (transport, is_upgrade) {
        (Transport::Polling, false) => Action::OpenPolling,
        (Transport::WebSocket, true) => Action::OpenWebSocket,
        _ => return Err(EngineError::BadRequest),
    };
    allow_request().map_err(EngineError::Forbidden)?;
    if request.query.revision == Revision::V3 && !rules.allow_v3 {
        return Err(EngineError::UnsupportedRevision);
    }
    Ok(action)
}

/// Whether the session can be upgraded right now is found out after the 101, as in Node (vectors U6 and U9).
fn check_upgrade(rules: &Rules, transport: Transport) -> Result<Action, EngineError> {
    if transport == Transport::WebSocket && rules.allow_upgrades {
        Ok(Action::Upgrade)
    } else {
        Err(EngineError::BadRequest)
    }
}

/// Check 5. Node never answers a plain request to a session that is on WebSocket; here it is refused.
fn check_session_request(
    method: Method,
    transport: Transport,
    current: Transport,
) -> Result<Action, EngineError> {
    if transport != Transport::Polling || current != Transport::Polling {
        return Err(EngineError::BadRequest);
    }
    Ok(match method {
        Method::Get => Action::Poll,
        Method::Post => Action::Post,
        Method::Other => Action::OtherMethod,
    })
}
