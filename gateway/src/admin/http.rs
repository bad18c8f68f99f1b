//! Just enough HTTP/1.1 for a health check and a scrape: one GET per connection.

use super::exposition;
use super::metrics::render;
use super::process::ProcessReport;
use super::report::{MetricsSource, Readiness};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// For a whole request to come.
const REQUEST_TIME: Duration = Duration::from_secs(2);
/// The same while other clients wait to be accepted: whoever has something to ask says it at once.
const REQUEST_TIME_IN_A_CROWD: Duration = Duration::from_millis(50);
/// For the client to take some of the answer, each time.
const WRITE_TIME: Duration = Duration::from_secs(5);
/// For the client to close after the answer.
const LINGER_TIME: Duration = Duration::from_millis(500);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header fields of a request.
const FIELDS_MAX: usize = 64;

const PLAIN: &str = "text/plain; charset=utf-8";

/// Reads one request and answers it. The caller closes the connection. `is_crowded` says whether others wait.
///
/// # Errors
///
/// If the client is too slow, or gone: nobody is left to tell.
pub(super) fn serve(
    mut stream: &TcpStream,
    source: &dyn MetricsSource,
    is_crowded: &dyn Fn() -> bool,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_TIME))?;
    let patience = Patience::new(REQUEST_TIME, is_crowded);
    let mut head = Vec::with_capacity(1024);
    let mut chunk = [0; 1024];
    let answer = loop {
        if let Some(answer) = answer(&head, source) {
            break answer;
        }
        match patience.read(stream, &mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => head.extend_from_slice(&chunk[..count]),
        }
    };
    stream.write_all(answer.encode().as_bytes())?;
    // The client reads the answer before the connection goes: a close with input unread is a reset.
    stream.shutdown(Shutdown::Write)?;
    let patience = Patience::new(LINGER_TIME, is_crowded);
    while patience.read(stream, &mut chunk)? > 0 {}
    Ok(())
}

/// How long a client is waited for in all, however small the pieces are in which it sends.
struct Patience<'a> {
    start: Instant,
    most: Duration,
    is_crowded: &'a dyn Fn() -> bool,
}

impl<'a> Patience<'a> {
    fn new(most: Duration, is_crowded: &'a dyn Fn() -> bool) -> Self {
        Self { start: Instant::now(), most, is_crowded }
    }

    /// Reads what has come.
    fn read(&self, mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if is_over(self.start.elapsed(), self.most, self.is_crowded) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(REQUEST_TIME_IN_A_CROWD))?;
            match stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }
}

/// Whether a client has had its time: `most` of it, but little while others wait.
fn is_over(waited: Duration, most: Duration, is_crowded: impl Fn() -> bool) -> bool {
    waited >= most || waited >= REQUEST_TIME_IN_A_CROWD && is_crowded()
}

/// What to say to a head; `None` while it has not come to its end.
fn answer(head: &[u8], source: &dyn MetricsSource) -> Option<Answer> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {
            let target = request.path.unwrap_or_default();
            let path = target.split_once('?').map_or(target, |(path, _)| path);
            Some(route(request.method.unwrap_or_default(), path, source))
        }
        Ok(httparse::Status::Partial) if head.len() < HEAD_BYTES_MAX => None,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            Some(Answer::text("431 Request Header Fields Too Large", "too large\n"))
        }
        Err(_) => Some(Answer::text("400 Bad Request", "bad request\n")),
    }
}

fn route(method: &str, path: &str, source: &dyn MetricsSource) -> Answer {
    let answer: fn(&dyn MetricsSource) -> Answer = match path {
        "/health/live" => |_| Answer::text("200 OK", "live\n"),
        "/health/ready" => ready,
        "/metrics" => |source| Answer {
            content_type: exposition::CONTENT_TYPE,
            ..Answer::text("200 OK", &render(&source.reports(), &ProcessReport::read()))
        },
        _ => return Answer::text("404 Not Found", "try /health/live, /health/ready or /metrics\n"),
    };
    match method {
        "GET" => answer(source),
        "HEAD" => Answer { head_only: true, ..answer(source) },
        _ => Answer {
            allow: "Allow: GET, HEAD\r\n",
            ..Answer::text("405 Method Not Allowed", "GET or HEAD\n")
        },
    }
}

fn ready(source: &dyn MetricsSource) -> Answer {
    let readiness = source.readiness();
    let status = if readiness == Readiness::Ready { "200 OK" } else { "503 Service Unavailable" };
    Answer::text(status, &format!("{}\n", readiness.as_str()))
}

struct Answer {
    status: &'static str,
    content_type: &'static str,
    /// A header line, or nothing.
    allow: &'static str,
    body: String,
    head_only: bool,
}

impl Answer {
    fn text(status: &'static str, body: &str) -> Self {
        Self { status, content_type: PLAIN, allow: "", body: body.to_owned(), head_only: false }
    }

    fn encode(&self) -> String {
        let Self { status, content_type, allow, body, head_only } = self;
        let length = body.len();
        let body = if *head_only { "" } else { body };
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
             Cache-Control: no-store\r\n{allow}Connection: close\r\n\r\n{body}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_time_while_nobody_waits_and_little_of_it_in_a_crowd() {
        let just_before = |time: Duration| time.checked_sub(Duration::from_millis(1)).unwrap();
        for (waited, is_crowded, over) in [
            (just_before(REQUEST_TIME), false, false),
            (REQUEST_TIME, false, true),
            (just_before(REQUEST_TIME_IN_A_CROWD), true, false),
            (REQUEST_TIME_IN_A_CROWD, true, true),
            (REQUEST_TIME_IN_A_CROWD, false, false),
        ] {
            assert_eq!(
                is_over(waited, REQUEST_TIME, || is_crowded),
                over,
                "{waited:?}, crowded: {is_crowded}"
            );
        }
    }
}
