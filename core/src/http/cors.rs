//! Which CORS fields a request gets: the rules of the `cors` package of Node (protocol.md 1.8).
//!
//! CORS is for browsers to enforce. Nothing is refused here; a page from elsewhere just may not read the
//! answer. It does not apply to WebSocket at all, where the same fields are sent and mean nothing.

use ::http::{HeaderValue, Method, header};

use super::reply::Field;

/// Fields of one response. Most have none, and a list in place would be the largest part of what is kept of a request.
pub type FieldList = Vec<Field>;

const METHODS_DEFAULT: &str = "GET,HEAD,PUT,PATCH,POST,DELETE";

/// Which pages may read our answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Every one (`*`): the answer does not depend on the request.
    Any,
    /// One, which every answer names whoever asks.
    One(HeaderValue),
    /// Those in the list, compared byte by byte; an answer names the one that asks.
    List(Vec<HeaderValue>),
    /// Every one, but an answer names the one that asks, as it must where credentials are allowed.
    Reflect,
}

/// A CORS policy, its values ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Which pages may read our answers.
    pub origins: Origins,
    /// Whether browsers may send cookies. They refuse that together with [`Origins::Any`].
    pub credentials: bool,
    /// Methods a preflight allows, comma-separated.
    pub methods: HeaderValue,
    /// Fields a preflight allows, comma-separated; `None` allows whatever it asks for.
    pub allowed_headers: Option<HeaderValue>,
    /// Fields a page may read, comma-separated.
    pub exposed_headers: Option<HeaderValue>,
    /// Seconds a browser may remember a preflight.
    pub max_age: Option<u32>,
}

impl Cors {
    /// A policy for these origins, the rest as Node has it by default.
    pub fn new(origins: Origins) -> Self {
        Self {
            origins,
            credentials: false,
            methods: HeaderValue::from_static(METHODS_DEFAULT),
            allowed_headers: None,
            exposed_headers: None,
            max_age: None,
        }
    }

    /// Whether a request is answered with [`Cors::preflight`] and goes no further: every OPTIONS.
    pub fn is_preflight(method: &Method) -> bool {
        *method == Method::OPTIONS
    }

    /// The fields for a request with this `Origin`, if it has one: plain requests and WebSocket upgrades.
    pub fn fields(&self, origin: Option<&[u8]>) -> FieldList {
        let mut fields = FieldList::new();
        self.push_origin(&mut fields, origin);
        if self.varies() {
            fields.push((header::VARY, HeaderValue::from_static("Origin")));
        }
        self.push_credentials(&mut fields);
        self.push_exposed(&mut fields);
        fields
    }

    /// The fields for a preflight. `requested` is its `Access-Control-Request-Headers`.
    pub fn preflight(&self, origin: Option<&[u8]>, requested: Option<&[u8]>) -> FieldList {
        let mut fields = FieldList::new();
        self.push_origin(&mut fields, origin);
        if let Some(vary) = self.preflight_vary() {
            fields.push((header::VARY, HeaderValue::from_static(vary)));
        }
        self.push_credentials(&mut fields);
        fields.push((header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone()));
        let allowed = match &self.allowed_headers {
            Some(configured) => Some(configured.clone()),
            None => requested.and_then(|value| HeaderValue::from_bytes(value).ok()),
        };
        if let Some(allowed) = allowed.filter(|value| !value.is_empty()) {
            fields.push((header::ACCESS_CONTROL_ALLOW_HEADERS, allowed));
        }
        if let Some(seconds) = self.max_age {
            fields.push((header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(seconds)));
        }
        self.push_exposed(&mut fields);
        fields
    }

    fn push_origin(&self, fields: &mut FieldList, origin: Option<&[u8]>) {
        let allowed = match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::One(origin) => Some(origin.clone()),
            Origins::List(list) => list.iter().find(|&one| Some(one.as_bytes()) == origin).cloned(),
            Origins::Reflect => origin.and_then(|origin| HeaderValue::from_bytes(origin).ok()),
        };
        fields.extend(allowed.map(|origin| (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin)));
    }

    fn push_credentials(&self, fields: &mut FieldList) {
        if self.credentials {
            fields.push((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        }
    }

    fn push_exposed(&self, fields: &mut FieldList) {
        let exposed = self.exposed_headers.clone().filter(|value| !value.is_empty());
        fields.extend(exposed.map(|value| (header::ACCESS_CONTROL_EXPOSE_HEADERS, value)));
    }

    /// Whether caches must tell origins apart. Also with one origin: Node says so, and it costs nothing.
    fn varies(&self) -> bool {
        self.origins != Origins::Any
    }

    fn preflight_vary(&self) -> Option<&'static str> {
        match (self.varies(), self.allowed_headers.is_none()) {
            (true, true) => Some("Origin, Access-Control-Request-Headers"),
            (true, false) => Some("Origin"),
            (false, true) => Some("Access-Control-Request-Headers"),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &[u8] = b"https://a.com";
    const B: &[u8] = b"https://b.com";

    fn value(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }

    fn show(fields: &FieldList) -> Vec<String> {
        fields.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn h25_a_preflight_for_any_origin_echoes_the_requested_headers() {
        let cors = Cors::new(Origins::Any);
        assert!(Cors::is_preflight(&Method::OPTIONS) && !Cors::is_preflight(&Method::GET));
        assert_eq!(
            show(&cors.preflight(Some(A), Some(b"content-type,x-z"))),
            [
                "access-control-allow-origin: *",
                "vary: Access-Control-Request-Headers",
                "access-control-allow-methods: GET,HEAD,PUT,PATCH,POST,DELETE",
                "access-control-allow-headers: content-type,x-z",
            ]
        );
    }

    #[test]
    fn h26_one_origin_is_named_whoever_asks() {
        let cors = Cors::new(Origins::One(value("https://a.com")));
        for origin in [Some(A), Some(B), None] {
            assert_eq!(
                show(&cors.fields(origin)),
                ["access-control-allow-origin: https://a.com", "vary: Origin"]
            );
        }
    }

    #[test]
    fn h27_a_list_names_the_asker_if_it_is_in_it() {
        let mut cors = Cors::new(Origins::List(vec![value("https://a.com")]));
        cors.credentials = true;
        let denied = ["vary: Origin", "access-control-allow-credentials: true"];
        assert_eq!(show(&cors.fields(None)), denied);
        assert_eq!(show(&cors.fields(Some(B))), denied);
        assert_eq!(show(&cors.fields(Some(b"https://a.com.evil"))), denied);
        assert_eq!(
            show(&cors.fields(Some(A))),
            ["access-control-allow-origin: https://a.com", denied[0], denied[1]]
        );
    }

    #[test]
    fn reflecting_names_everyone_who_says_who_they_are() {
        let cors = Cors::new(Origins::Reflect);
        assert_eq!(
            show(&cors.fields(Some(B))),
            ["access-control-allow-origin: https://b.com", "vary: Origin"]
        );
        assert_eq!(show(&cors.fields(None)), ["vary: Origin"]);
        assert_eq!(show(&cors.fields(Some(b"a\r\nb"))), ["vary: Origin"]);
    }

    #[test]
    fn any_origin_gets_nothing_that_varies() {
        assert_eq!(show(&Cors::new(Origins::Any).fields(Some(A))), ["access-control-allow-origin: *"]);
    }

    #[test]
    fn a_policy_may_set_everything() {
        let cors = Cors {
            origins: Origins::Reflect,
            credentials: true,
            methods: value("GET,POST"),
            allowed_headers: Some(value("x-a,x-b")),
            exposed_headers: Some(value("x-c")),
            max_age: Some(600),
        };
        assert_eq!(
            show(&cors.preflight(Some(A), Some(b"x-z"))),
            [
                "access-control-allow-origin: https://a.com",
                "vary: Origin",
                "access-control-allow-credentials: true",
                "access-control-allow-methods: GET,POST",
                "access-control-allow-headers: x-a,x-b",
                "access-control-max-age: 600",
                "access-control-expose-headers: x-c",
            ]
        );
        let plain = show(&cors.fields(Some(A)));
        assert_eq!(
            plain[2..],
            ["access-control-allow-credentials: true", "access-control-expose-headers: x-c"]
        );
    }

    #[test]
    fn a_preflight_that_asks_for_no_headers_still_varies_by_them() {
        let fields = show(&Cors::new(Origins::Reflect).preflight(Some(A), None));
        assert!(fields.contains(&"vary: Origin, Access-Control-Request-Headers".to_owned()));
        assert!(!fields.iter().any(|field| field.starts_with("access-control-allow-headers")));
    }
}
