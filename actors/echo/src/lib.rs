//! Answers with what it was sent: `Echo` returns its payload, HTTP requests get their body back.

use wattle_actor::{
    Raw,
    http::{self, Request, Response},
};

wattle_actor::actor! {
    "Echo" => echo,
    http::HANDLE_REQUEST => page,
}

fn echo(payload: Raw) -> Raw {
    payload
}

fn page(request: Request) -> Response {
    let kind = request.header.get("content-type").unwrap_or("application/octet-stream").to_owned();
    Response::new(200, request.body).with_header("content-type", kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattle_actor::{msgpack, testing::guest_call};

    #[test]
    fn returns_the_payload_as_it_is() {
        assert_eq!(guest_call(__guest_call, "Echo", b"\xff\x00").unwrap(), b"\xff\x00");
    }

    #[test]
    fn returns_the_body_with_its_type() {
        let mut request = Request {
            method: "POST".into(),
            path: "/".into(),
            query_string: String::new(),
            header: http::Headers::default(),
            body: b"{}".to_vec(),
        };
        request.header.add("Content-Type", "application/json");
        let answer = guest_call(__guest_call, http::HANDLE_REQUEST, &msgpack::to_bytes(&request)).unwrap();
        assert_eq!(msgpack::from_bytes::<Response>(&answer).unwrap(), Response::json("{}"));
    }

    #[test]
    fn is_healthy_without_saying_so() {
        assert_eq!(guest_call(__guest_call, "Actor.HealthRequest", b"\x80").unwrap(), b"\x81\xa7healthy\xc3");
    }

    #[test]
    fn an_operation_nobody_handles_is_an_error() {
        assert_eq!(guest_call(__guest_call, "Nope", b"").unwrap_err(), "no handler for operation Nope");
    }

    #[test]
    fn a_payload_that_is_no_request_is_an_error() {
        let error = guest_call(__guest_call, http::HANDLE_REQUEST, b"\x01").unwrap_err();
        assert_eq!(error, "not a valid payload: expected a map at byte 0");
    }
}
