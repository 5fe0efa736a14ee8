//! Counts in a key-value store: `GET` or `POST /counter/NAME` adds one to the key `NAME` and answers with the sum.
//!
//! Version 2 is the same source with the feature `v2`; with `bad` it fails at every call. When the store fails, its
//! error is this actor's error: the host knows best what is missing and how to mend it.

use wattle_actor::{
    KeyValue, Result,
    http::{self, Request, Response},
};

const VERSION: u8 = if cfg!(feature = "v2") { 2 } else { 1 };

#[wattle_actor::handler(http::HANDLE_REQUEST)]
fn count(request: Request) -> Result<Response> {
    let Some(name) = request.path.strip_prefix("/counter/").filter(|name| !name.is_empty()) else {
        return Ok(Response::new(404, "try /counter/NAME\n"));
    };
    if !matches!(request.method.as_str(), "GET" | "POST") {
        return Ok(Response::new(405, "use GET or POST\n").with_header("allow", "GET, POST"));
    }
    if cfg!(feature = "bad") {
        return Err(wattle_actor::Error::new("this version is a bad one"));
    }
    let counter = KeyValue::new().increment(name, 1)?;
    Ok(Response::json(format!("{{\"counter\": {counter}, \"version\": {VERSION}}}\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattle_actor::{
        msgpack,
        testing::{self, MemoryStore},
    };

    fn answer(request: &Request) -> Result<Response, String> {
        let answer = testing::guest_call(__guest_call, http::HANDLE_REQUEST, &msgpack::to_bytes(request))?;
        Ok(msgpack::from_bytes(&answer).unwrap())
    }

    #[test]
    fn adds_one_and_answers_with_the_sum() {
        let store = MemoryStore::new();
        store.set("a", "40");
        let response = testing::with_host(store.host(), || answer(&Request::post("/counter/a", "")));
        assert_eq!(response.unwrap(), Response::json(format!("{{\"counter\": 41, \"version\": {VERSION}}}\n")));
        assert_eq!(store.get("a").as_deref(), Some("41"));
    }

    #[test]
    fn the_stores_error_is_its_own() {
        let answer = testing::with_host(|_| Err("no such link".into()), || answer(&Request::get("/counter/a")));
        assert_eq!(answer.unwrap_err(), "no such link");
    }

    #[test]
    fn other_paths_and_methods_touch_no_store() {
        let status =
            |request: Request| testing::with_host(|_| unreachable!(), || answer(&request)).unwrap().status_code;
        assert_eq!(status(Request::get("/counter/")), 404);
        assert_eq!(status(Request::get("/")), 404);
        assert_eq!(status(Request::new("DELETE", "/counter/a", "")), 405);
    }
}
