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
/// For the client to take some of the answer, each time.
const WRITE_TIME: Duration = Duration::from_secs(5);
/// For the client to say more or close, after the answer, each of [`LINGER_READS`] times.
const LINGER_TIME: Duration = Duration::from_millis(500);
/// How often what a client still sends is read, and thrown away.
const LINGER_READS: usize = 4;
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header fields of a request.
const FIELDS_MAX: usize = 64;

const PLAIN: &str = "text/plain; charset=utf-8";

/// Reads one request and answers it. The caller closes the connection.
///
/// # Errors
///
/// If the client is too slow, or gone: nobody is left to tell.
pub(super) fn serve(mut stream: &TcpStream, source: &dyn MetricsSource) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_TIME))?;
    let deadline = Instant::now() + REQUEST_TIME;
    let mut head = Vec::with_capacity(1024);
    let answer = loop {
        if let Some(answer) = answer(&head, source) {
            break answer;
        }
        read_more(stream, &mut head, deadline)?;
    };
    stream.write_all(answer.encode().as_bytes())?;
    linger(stream)
}

/// Reads what has come. The deadline holds for the request, however small its pieces are.
fn read_more(mut stream: &TcpStream, head: &mut Vec<u8>, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    stream.set_read_timeout(Some(left))?;
    let mut chunk = [0; 1024];
    match stream.read(&mut chunk)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => {
            head.extend_from_slice(&chunk[..count]);
            Ok(())
        }
    }
}

/// Lets the client read the answer before the connection goes: a close with input unread is a reset.
fn linger(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(LINGER_TIME))?;
    let mut ignored = [0; 8192];
    for _ in 0..LINGER_READS {
        if stream.read(&mut ignored)? == 0 {
            break;
        }
    }
    Ok(())
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
