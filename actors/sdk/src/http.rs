//! The contract `wasmcloud:httpserver`: requests that arrive at an actor over HTTP.

use crate::msgpack::{Decode, DecodeError, Encode, Reader, Writer};

mod query;

/// The contract's id, to be claimed when signing.
pub const CONTRACT: &str = "wasmcloud:httpserver";
/// The operation an HTTP server calls: takes a [`Request`], returns a [`Response`].
pub const HANDLE_REQUEST: &str = "HttpServer.HandleRequest";

crate::message! {
    /// A request, whole: the body has been read.
    pub struct Request {
        /// Upper-case method.
        pub method: String = "method",
        /// Path, percent-encoded as it came.
        pub path: String = "path",
        /// Query without its question mark, empty when there is none.
        pub query_string: String = "queryString",
        /// Headers.
        pub header: Headers = "header",
        /// Body.
        pub body: Vec<u8> = "body",
    }
}

crate::message! {
    /// What the client gets.
    pub struct Response {
        /// Status, 100 to 599.
        pub status_code: u16 = "statusCode",
        /// Headers; the server adds the length and the date.
        pub header: Headers = "header",
        /// Body.
        pub body: Vec<u8> = "body",
    }
}

impl Request {
    /// Makes a `GET` of `target`, a path with or without a query: `/search?q=red`.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target, Vec::new())
    }

    /// Makes a `POST` of `body` to `target`, a path with or without a query.
    #[must_use]
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target, body)
    }

    /// Makes a request without headers, for tests and for calling an actor that answers HTTP.
    #[must_use]
    pub fn new(method: &str, target: &str, body: impl Into<Vec<u8>>) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: method.into(),
            path: path.into(),
            query_string: query.into(),
            header: Headers::default(),
            body: body.into(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.header.add(name, value);
        self
    }

    /// Returns the first value of the query's parameter `name`, decoded as forms are: `+` is a space, `%XX` a byte.
    ///
    /// ```
    /// use wattle_actor::http::Request;
    ///
    /// let request = Request::get("/search?q=red+wattle&page=2");
    /// assert_eq!(request.query("q").as_deref(), Some("red wattle"));
    /// assert_eq!(request.query("sort"), None);
    /// ```
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        query::first(&self.query_string, name)
    }
}

impl Response {
    /// Makes a response with `status` and `body`, without headers.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status_code: status, header: Headers::default(), body: body.into() }
    }

    /// Makes a 200 with a plain text.
    #[must_use]
    pub fn text(body: impl Into<String>) -> Self {
        Self::new(200, body.into()).with_header("content-type", "text/plain; charset=utf-8")
    }

    /// Makes a 200 with a text that is JSON already.
    #[must_use]
    pub fn json(body: impl Into<String>) -> Self {
        Self::new(200, body.into()).with_header("content-type", "application/json")
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.header.add(name, value);
        self
    }
}

/// Headers in the order they came. Names are compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(Vec<(String, Vec<String>)>);

impl Headers {
    /// Returns the first value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str)
    }

    /// Returns every value of `name`.
    #[must_use]
    pub fn all(&self, name: &str) -> &[String] {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or(&[], |(_, values)| values)
    }

    /// Adds a value of `name` to those there are.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        match self.0.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            Some((_, values)) => values.push(value.into()),
            None => self.0.push((name, vec![value.into()])),
        }
    }

    /// Returns names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }
}

impl Encode for Headers {
    fn encode(&self, output: &mut Writer) {
        output.map(self.0.len());
        for (name, values) in &self.0 {
            output.text(name);
            values.encode(output);
        }
    }
}

impl Decode for Headers {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut headers = Vec::new();
        for _ in 0..input.map()? {
            headers.push((Decode::decode(input)?, Decode::decode(input)?));
        }
        Ok(Self(headers))
    }
}
