//! Calls another actor by its call alias.
//!
//! `Relay` passes its payload to the operation `Echo` of the actor called `echo`. `POST /ALIAS/OPERATION` does the same
//! with any actor, the request's body being the payload.

use wattle_actor::{
    Raw, Result, call,
    http::{self, Request, Response},
};

wattle_actor::actor! {
    "Relay" => relay,
    http::HANDLE_REQUEST => page,
}

fn relay(payload: Raw) -> Result<Raw> {
    call("echo", "Echo", payload)
}

fn page(request: Request) -> Result<Response> {
    let Some((alias, operation)) = request.path.trim_start_matches('/').split_once('/') else {
        return Ok(Response::new(404, "try /ALIAS/OPERATION\n"));
    };
    let Raw(answer) = call(alias, operation, Raw(request.body))?;
    Ok(Response::new(200, answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattle_actor::testing::{guest_call, with_host};

    #[test]
    fn relays_to_the_alias_and_back() {
        let answer = with_host(
            |call| {
                assert_eq!((call.binding, call.namespace, call.operation), ("", "echo", "Echo"));
                Ok([call.payload, b"!"].concat())
            },
            || guest_call(__guest_call, "Relay", b"hi"),
        );
        assert_eq!(answer.unwrap(), b"hi!");
    }
}
