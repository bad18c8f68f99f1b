//! The chat's page: three files inside the binary.

use bytes::Bytes;

/// Where the page expects Socket.IO; other paths are written in its place.
const DEFAULT_PATH: &str = "/socket.io/";

/// A file the gateway serves from memory.
#[derive(Clone, Debug)]
pub struct Asset {
    /// The request path, exactly.
    pub path: &'static str,
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// The file.
    pub body: Bytes,
}

/// The files of the page, for a gateway whose Socket.IO lives at `path` (begins and ends with `/`).
///
/// The page states its own Content-Security-Policy and needs nothing from elsewhere, except
/// `socket.io.min.js` from below `path`.
pub fn assets(path: &str) -> Vec<Asset> {
    let html = include_str!("../../../web/chat.html").replace(DEFAULT_PATH, path);
    vec![
        Asset { path: "/", content_type: "text/html; charset=utf-8", body: html.into() },
        Asset {
            path: "/chat.css",
            content_type: "text/css; charset=utf-8",
            body: Bytes::from_static(include_bytes!("../../../web/chat.css")),
        },
        Asset {
            path: "/chat.js",
            content_type: "text/javascript; charset=utf-8",
            body: Bytes::from_static(include_bytes!("../../../web/chat.js")),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::super::rules::{NICKNAME_CHARS_MAX, TEXT_CHARS_MAX};
    use super::*;

    fn html(path: &str) -> String {
        String::from_utf8(assets(path).remove(0).body.to_vec()).unwrap()
    }

    #[test]
    fn the_page_loads_the_client_from_where_the_gateway_serves_it() {
        assert!(html("/socket.io/").contains(r#"src="/socket.io/socket.io.min.js""#));
        assert!(html("/live/").contains(r#"src="/live/socket.io.min.js""#));
        assert!(!html("/live/").contains("/socket.io/"));
    }

    #[test]
    fn the_page_has_the_elements_the_browser_test_looks_for() {
        let page = html("/socket.io/");
        for id in ["join", "nickname", "messages", "count", "form", "input"] {
            assert_eq!(page.matches(&format!(r#"id="{id}""#)).count(), 1, "#{id}");
        }
    }

    #[test]
    fn the_page_lets_nobody_type_more_than_the_server_takes() {
        let page = html("/socket.io/");
        assert!(page.contains(&format!(r#"maxlength="{NICKNAME_CHARS_MAX}""#)));
        assert!(page.contains(&format!(r#"maxlength="{TEXT_CHARS_MAX}""#)));
    }

    #[test]
    fn the_page_has_no_inline_script_or_style_that_its_policy_would_refuse() {
        let page = html("/socket.io/");
        assert!(page.contains("default-src 'none'; script-src 'self'; style-src 'self'"));
        assert_eq!(page.matches("<script").count(), page.matches("<script src=").count());
        for inline in ["<style", " style=", " onclick=", " onload="] {
            assert!(!page.contains(inline), "{inline}");
        }
    }
}
