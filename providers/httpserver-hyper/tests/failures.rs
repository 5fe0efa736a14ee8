//! What a client gets when there is no answer: status and body for each kind of failure.

use std::{collections::BTreeMap, sync::Arc};

use wattle_types::{ActorId, InvokeError, ProviderError};

use crate::harness::{ACTOR, Actor, Response, get, key, raw, serve};

fn actor() -> ActorId {
    ACTOR.parse().unwrap()
}

fn kv() -> wattle_types::LinkKey {
    wattle_types::LinkKey { contract: "wasmcloud:keyvalue".parse().unwrap(), ..key("cache") }
}

fn guest_failed(cause: Option<InvokeError>) -> InvokeError {
    InvokeError::GuestFailed { actor: actor(), message: "oh".into(), cause: cause.map(Arc::new) }
}

fn provider_failed(error: ProviderError) -> InvokeError {
    InvokeError::ProviderFailed { link: kv(), provider: "kv".parse().unwrap(), operation: "KeyValue.Get".into(), error }
}

/// A body about the HTTP link itself.
fn own(code: &str, message: &str, remedy: Option<String>) -> String {
    let remedy = remedy.map(|remedy| format!(r#","remedy":"{remedy}""#)).unwrap_or_default();
    format!(
        r#"{{"error":"{code}","message":"{message}","contract":"wasmcloud:httpserver","link":"default","provider":"http","actor":"{ACTOR}"{remedy}}}"#
    ) + "\n"
}

async fn check(error: InvokeError, values: &[(&str, &str)], status: u16, body: &str) {
    let (_server, address) = serve(Actor::failing(error), values).await;
    assert_eq!(get(address, "x", "/").await, (status, body.into()));
}

#[tokio::test]
async fn a_missing_provider_is_503_with_contract_link_and_remedy() {
    let missing = InvokeError::ProviderUnavailable { link: kv(), provider: "kv".parse().unwrap() };
    let remedy = missing.remedy().unwrap();
    let body = format!(
        r#"{{"error":"provider_unavailable","message":"provider kv is not running; it serves link \"cache\" for wasmcloud:keyvalue","contract":"wasmcloud:keyvalue","link":"cache","provider":"kv","actor":"{ACTOR}","remedy":"{remedy}"}}"#
    ) + "\n";
    check(missing.clone(), &[], 503, &body).await;
    check(guest_failed(Some(missing.clone())), &[], 503, &body).await;
    check(guest_failed(Some(guest_failed(Some(missing)))), &[], 503, &body).await;
}

#[tokio::test]
async fn a_missing_link_is_503_with_a_remedy() {
    let missing = InvokeError::LinkNotFound { link: kv() };
    let remedy = missing.remedy().unwrap();
    let body = format!(
        r#"{{"error":"link_not_found","message":"actor {ACTOR} has no link \"cache\" for wasmcloud:keyvalue","contract":"wasmcloud:keyvalue","link":"cache","actor":"{ACTOR}","remedy":"{remedy}"}}"#
    ) + "\n";
    check(guest_failed(Some(missing)), &[], 503, &body).await;
}

#[tokio::test]
async fn the_actors_own_failures_are_500() {
    let message = format!("actor {ACTOR} answered with an error: oh");
    let mend = guest_failed(None).remedy();
    check(guest_failed(None), &[], 500, &own("guest_failed", &message, mend.clone())).await;
    // What the actor asked wrongly is the actor's failure too.
    let wrong = provider_failed(ProviderError::BadRequest("no key".into()));
    check(guest_failed(Some(wrong)), &[], 500, &own("guest_failed", &message, mend)).await;
    let trap = InvokeError::GuestTrapped { actor: actor(), code: "guest_memory_exceeded", message: "64 MiB".into() };
    let stopped = own("guest_memory_exceeded", &format!("actor {ACTOR} was stopped: 64 MiB"), trap.remedy());
    check(trap, &[], 500, &stopped).await;
    let (contract, claimed) = (kv().contract, "none".into());
    let denied = InvokeError::CapabilityNotClaimed { actor: actor(), contract, claimed };
    let body = own("guest_failed", &message, denied.remedy());
    check(guest_failed(Some(denied)), &[], 500, &body).await;
}

#[tokio::test]
async fn without_details_nothing_a_guest_or_back_end_said_leaves() {
    let quiet = [("error_details", "off")];
    let body = own("guest_failed", "the actor answered with an error", guest_failed(None).remedy());
    check(guest_failed(None), &quiet, 500, &body).await;
    let down = provider_failed(ProviderError::BackendUnavailable("redis://10.0.0.7 refused".into()));
    let body = format!(
        r#"{{"error":"backend_unavailable","message":"provider kv failed at KeyValue.Get","contract":"wasmcloud:keyvalue","link":"cache","provider":"kv","actor":"{ACTOR}","remedy":"check that the back end which link \"cache\" for wasmcloud:keyvalue names runs and can be reached from the host; provider kv connects again by itself"}}"#
    ) + "\n";
    check(guest_failed(Some(down)), &quiet, 503, &body).await;
}

#[tokio::test]
async fn late_busy_and_oversized_have_their_statuses() {
    let late = InvokeError::DeadlineExceeded { target: "a".into() };
    let body = own("deadline_exceeded", "a did not answer before the deadline", late.remedy());
    check(late, &[], 504, &body).await;
    let (_server, address) =
        serve(Actor::failing(guest_failed(Some(provider_failed(ProviderError::DeadlineExceeded)))), &[]).await;
    assert_eq!(get(address, "x", "/").await.0, 504);
    let large = InvokeError::PayloadTooLarge { size: 9, limit: 8 };
    check(large, &[], 413, &own("payload_too_large", "a payload of 9 bytes exceeds the limit of 8", None)).await;
    // The request was within this limit, so it was the answer that was not.
    let answered = InvokeError::PayloadTooLarge { size: 20_000, limit: 10_000 };
    let remedy = "ask the actor for less at once; what it answers must fit the limit, headers included";
    let message = "the actor's answer of 20000 bytes exceeds the limit of 10000";
    check(answered, &[], 502, &own("response_too_large", message, Some(remedy.into()))).await;
    let (_server, address) = serve(Actor::failing(InvokeError::Overloaded { target: "a".into(), limit: 1 }), &[]).await;
    let answer = raw(address, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 503 ") && answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    assert!(answer.contains("\r\ncontent-type: application/json\r\n"), "{answer}");
}

#[tokio::test]
async fn a_fault_of_ours_says_nothing_of_itself() {
    let secret = InvokeError::Internal { message: "secret".into() };
    check(secret, &[], 500, &own("internal", "the host failed; its log says why", None)).await;
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_502() {
    let header = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), vec![value.to_owned()])]);
    for (status_code, header, message) in [
        (
            99,
            BTreeMap::new(),
            "the actor's answer cannot be used: the request cannot be read: status 99 is not between 100 and 999",
        ),
        (100, BTreeMap::new(), "the actor answered with status 100, which is none"),
        (200, header("a b", "c"), r#"the actor answered with a header called \"a b\""#),
        (200, header("x", "a\r\nb: c"), "the actor answered with a value of x that no header can have"),
    ] {
        let (_server, address) = serve(Actor::answering(Response { status_code, header, body: Vec::new() }), &[]).await;
        assert_eq!(get(address, "x", "/").await, (502, own("response_invalid", message, None)));
    }
    let garbage = Actor::playing(|_, _, _, _| std::future::ready(Ok(bytes::Bytes::from_static(b"\xff\x00"))));
    let (_server, address) = serve(garbage, &[]).await;
    assert_eq!(get(address, "x", "/").await.0, 502);
}
