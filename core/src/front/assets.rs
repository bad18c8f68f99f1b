//! Files that are served from memory: the bundles of the browser client, and the pages of an app.
//!
//! They are read and compressed once, at start, by whoever owns the file system; this is the lookup, and the answer to
//! one request as plain data. Nothing is copied: an answer borrows its headers and shares its body.

use crate::http::{Coding, etag, negotiate, unescape_path};
use ::http::Method;
use bytes::Bytes;
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// One file.
#[derive(Clone, Debug)]
pub struct Asset {
    /// The path of its requests, without a query and without escapes: `/socket.io/socket.io.js`.
    pub path: String,
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// Value of `Cache-Control`.
    pub cache_control: &'static str,
    /// Value of `ETag`, quotes included: `"4.8.4"`.
    pub etag: String,
    /// How requests for it are answered.
    pub rules: Rules,
    /// The file as it is.
    pub identity: Bytes,
    /// The file in other codings, each only if it is smaller that way.
    pub codings: Codings,
}

/// A file in each of the codings we speak.
#[derive(Clone, Debug, Default)]
pub struct Codings {
    /// Brotli (RFC 7932).
    pub br: Option<Bytes>,
    /// gzip (RFC 1952).
    pub gzip: Option<Bytes>,
    /// zlib (RFC 1950), which is what HTTP calls deflate.
    pub deflate: Option<Bytes>,
}

/// How requests for a file are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// As Socket.IO serves its client: whatever the method, and a 304 without headers (protocol.md 5.10).
    Bundle,
    /// As RFC 9110 would have it: GET and HEAD only.
    Page,
}

/// What of a request matters to a file.
#[derive(Clone, Copy, Debug)]
pub struct AssetRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// Value of `If-None-Match`.
    pub if_none_match: Option<&'a [u8]>,
    /// Value of `Accept-Encoding`.
    pub accept_encoding: Option<&'a [u8]>,
}

/// The answer to one request. CORS headers, if any, are added by the front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetAnswer<'a> {
    /// 200, 304 or 405.
    pub status: u16,
    /// All headers of the answer, except `Content-Length` and those every answer has.
    pub headers: SmallVec<[(&'static str, &'a str); 5]>,
    /// What follows the head. HEAD is answered with its length and without it.
    pub body: Bytes,
}

/// All files, by path.
#[derive(Clone, Debug, Default)]
pub struct Assets {
    by_path: BTreeMap<String, Asset>,
}

impl Assets {
    /// The file a request is for. `target` is the request target as it came; a query does not matter.
    pub fn find(&self, target: &str) -> Option<&Asset> {
        if self.is_empty() {
            return None;
        }
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        self.by_path.get(&*unescape_path(path)?)
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.by_path.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }
}

/// Of two files with the same path, the later one is served.
impl FromIterator<Asset> for Assets {
    fn from_iter<I: IntoIterator<Item = Asset>>(assets: I) -> Self {
        Self { by_path: assets.into_iter().map(|asset| (asset.path.clone(), asset)).collect() }
    }
}

impl Asset {
    /// Answers one request for this file.
    pub fn answer(&self, request: AssetRequest<'_>) -> AssetAnswer<'_> {
        let reading = matches!(*request.method, Method::GET | Method::HEAD);
        if self.rules == Rules::Page && !reading {
            return AssetAnswer {
                status: 405,
                headers: SmallVec::from_iter([("Allow", "GET, HEAD")]),
                body: Bytes::new(),
            };
        }
        let tag = self.etag.trim_matches('"');
        if request.if_none_match.is_some_and(|condition| etag::is_match(condition, tag)) {
            return self.not_modified();
        }
        let (coding, body) = self.representation(request.accept_encoding);
        let mut headers = SmallVec::from_iter([
            ("Cache-Control", self.cache_control),
            ("Content-Type", self.content_type),
            ("ETag", self.etag.as_str()),
            // Node leaves this out, and a shared cache may then hand brotli to a client that cannot read it.
            ("Vary", "Accept-Encoding"),
        ]);
        if coding != Coding::Identity {
            headers.push(("Content-Encoding", coding.name()));
        }
        AssetAnswer { status: 200, headers, body: body.clone() }
    }

    fn not_modified(&self) -> AssetAnswer<'_> {
        let headers = match self.rules {
            Rules::Bundle => SmallVec::new(),
            // RFC 9110 §15.4.5: what a cache needs to update what it has.
            Rules::Page => SmallVec::from_iter([
                ("Cache-Control", self.cache_control),
                ("ETag", self.etag.as_str()),
                ("Vary", "Accept-Encoding"),
            ]),
        };
        AssetAnswer { status: 304, headers, body: Bytes::new() }
    }

    /// The coding the client likes best; among equals, ours, smallest first.
    fn representation(&self, accept_encoding: Option<&[u8]>) -> (Coding, &Bytes) {
        let Codings { br, gzip, deflate } = &self.codings;
        let all = [(Coding::Brotli, br), (Coding::Gzip, gzip), (Coding::Deflate, deflate)];
        let available: SmallVec<[Coding; 3]> =
            all.iter().filter(|(_, bytes)| bytes.is_some()).map(|(coding, _)| *coding).collect();
        let chosen = negotiate(accept_encoding, &available);
        let bytes =
            all.into_iter().find(|(coding, _)| *coding == chosen).and_then(|(_, bytes)| bytes.as_ref());
        (chosen, bytes.unwrap_or(&self.identity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(rules: Rules) -> Asset {
        Asset {
            path: "/socket.io/socket.io.js".to_owned(),
            content_type: "application/javascript; charset=utf-8",
            cache_control: "public, max-age=0",
            etag: "\"4.8.4\"".to_owned(),
            rules,
            identity: Bytes::from_static(b"identity"),
            codings: Codings {
                br: Some(Bytes::from_static(b"br")),
                gzip: Some(Bytes::from_static(b"gzip")),
                deflate: Some(Bytes::from_static(b"deflate")),
            },
        }
    }

    fn get(method: &Method) -> AssetRequest<'_> {
        AssetRequest { method, if_none_match: None, accept_encoding: None }
    }

    #[test]
    fn a_file_is_found_whatever_its_query_and_no_other_name_is() {
        let assets = Assets::from_iter([asset(Rules::Bundle)]);
        assert!(assets.find("/socket.io/socket.io.js").is_some());
        assert!(assets.find("/socket.io/socket.io.js?v=1?2").is_some());
        // Vector H29: not one of the names.
        for other in ["/socket.io/socket.io.esm.js", "/socket.io/", "/socket.io/socket.io.js/", ""] {
            assert!(assets.find(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_bundle_is_served_to_any_method_with_the_headers_of_socket_io() {
        let asset = asset(Rules::Bundle);
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = asset.answer(get(&method));
            assert_eq!(answer.status, 200);
            assert_eq!(answer.body, "identity");
            assert_eq!(
                answer.headers.as_slice(),
                [
                    ("Cache-Control", "public, max-age=0"),
                    ("Content-Type", "application/javascript; charset=utf-8"),
                    ("ETag", "\"4.8.4\""),
                    ("Vary", "Accept-Encoding"),
                ]
            );
        }
    }

    #[test]
    fn a_bundle_the_client_has_is_304_without_headers() {
        // Vector H28.
        let asset = asset(Rules::Bundle);
        for tag in ["W/\"4.8.4\"", "\"4.8.4\"", "\"1\", W/\"4.8.4\"", "*"] {
            let answer =
                asset.answer(AssetRequest { if_none_match: Some(tag.as_bytes()), ..get(&Method::GET) });
            assert_eq!((answer.status, answer.headers.len()), (304, 0), "{tag}");
            assert!(answer.body.is_empty());
        }
        for tag in ["4.8.4", "\"4.8.3\"", "", "w/\"4.8.4\""] {
            let answer =
                asset.answer(AssetRequest { if_none_match: Some(tag.as_bytes()), ..get(&Method::GET) });
            assert_eq!(answer.status, 200, "{tag}");
        }
    }

    #[test]
    fn a_page_is_for_reading_only_and_its_304_keeps_the_tag() {
        let asset = asset(Rules::Page);
        let refused = asset.answer(get(&Method::POST));
        assert_eq!(refused.status, 405);
        assert_eq!(refused.headers.as_slice(), [("Allow", "GET, HEAD")]);
        let known = asset.answer(AssetRequest { if_none_match: Some(b"\"4.8.4\""), ..get(&Method::GET) });
        assert_eq!(known.status, 304);
        assert!(known.headers.contains(&("ETag", "\"4.8.4\"")));
    }

    #[test]
    fn the_client_chooses_the_coding_and_we_choose_among_equals() {
        let mut asset = asset(Rules::Bundle);
        let body = |asset: &Asset, accepted: &str| {
            let request = AssetRequest { accept_encoding: Some(accepted.as_bytes()), ..get(&Method::GET) };
            let answer = asset.answer(request);
            let coding = answer.headers.iter().find(|(name, _)| *name == "Content-Encoding");
            assert_eq!(coding.map_or("identity", |(_, coding)| coding).as_bytes(), &answer.body[..]);
            String::from_utf8(answer.body.to_vec()).unwrap()
        };
        for (accepted, coding) in [
            ("gzip, deflate, br", "br"),
            ("GZIP", "gzip"),
            ("deflate", "deflate"),
            ("br;q=0.5, gzip;q=0.8", "gzip"),
            ("br;q=0, *", "gzip"),
            ("*", "br"),
            ("*;q=0", "identity"),
            ("zstd", "identity"),
            ("gzip;q=loud", "identity"),
            ("", "identity"),
        ] {
            assert_eq!(body(&asset, accepted), coding, "{accepted}");
        }
        asset.codings.br = None;
        assert_eq!(body(&asset, "gzip, deflate, br"), "gzip");
    }
}
