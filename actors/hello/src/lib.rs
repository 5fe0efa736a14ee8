//! The smallest HTTP actor.

use wattle_actor::http::{self, Request, Response};

#[wattle_actor::handler(http::HANDLE_REQUEST)]
fn hello(request: Request) -> Response {
    Response::text(format!("hello from {}\n", request.path))
}
