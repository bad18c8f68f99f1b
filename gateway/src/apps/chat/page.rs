//! The chat's page: three files inside the binary.

use crate::pages::page;
use bytes::Bytes;
use tidegate_core::front::assets::Asset;

/// Where the page expects Socket.IO; other paths are written in its place.
const DEFAULT_PATH: &str = "/socket.io/";

/// The files of the page, for a gateway whose Socket.IO lives at `path` (begins and ends with `/`).
///
/// The page states its own Content-Security-Policy and needs nothing from elsewhere, except
/// `socket.io.min.js` from below `path`.
pub fn assets(path: &str) -> Vec<Asset> {
    let html = include_str!("../../../web/index.html").replace(DEFAULT_PATH, path);
    let [css, js] = [
        include_bytes!("../../../web/chat.css").as_slice(),
        include_bytes!("../../../web/chat.js").as_slice(),
    ];
    vec![
        page("/", "index.html", html.into()),
        page("/chat.css", "chat.css", Bytes::from_static(css)),
        page("/chat.js", "chat.js", Bytes::from_static(js)),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::rules::{NICKNAME_CHARS_MAX, TEXT_CHARS_MAX};
    use super::*;

    fn html(path: &str) -> String {
        String::from_utf8(assets(path).remove(0).identity.to_vec()).unwrap()
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
