//! Guests of others, straight in the engine.

use std::collections::BTreeMap;

use bytes::Bytes;
use wattle_lattice_tests::Guest;
use wattle_runtime::{EngineError, GuestError};

use crate::rig::{Asked, Outside, call, call_with, prepare};

/// Sizes around the allocation steps of guests.
const ECHO_SIZES: [usize; 5] = [0, 16, 1 << 10, 64 << 10, 1 << 20];

async fn echoes(guest: Guest) {
    let prepared = prepare(guest).await.unwrap();
    for size in ECHO_SIZES {
        let payload: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        assert!(call(&prepared, "echo", &payload).await.unwrap() == payload, "{} changed {size} bytes", guest.name());
    }
}

/// Checks that a guest's host call arrives as written, and that its answer and its error come back through the guest.
async fn relays(guest: Guest) {
    let prepared = prepare(guest).await.unwrap();
    let outside = Outside::answering(|payload| Ok([b"got ".as_slice(), &payload].concat().into()));
    assert_eq!(call_with(&prepared, "relay", b"this", outside.clone()).await.unwrap(), "got this");
    let asked = Asked {
        binding: "default".into(),
        namespace: "sample:relay".into(),
        operation: "Relay".into(),
        payload: Bytes::from_static(b"this"),
    };
    assert_eq!(outside.asked(), [asked]);

    let refused = call(&prepared, "relay", b"this").await.unwrap_err();
    assert!(matches!(&refused, GuestError::Failed { message } if message.contains("nobody serves this")), "{refused}");
}

async fn fails_in_its_own_words(guest: Guest) {
    let prepared = prepare(guest).await.unwrap();
    let failed = call(&prepared, "fail", "zu spät".as_bytes()).await.unwrap_err();
    assert!(matches!(&failed, GuestError::Failed { message } if message.contains("zu spät")), "{failed}");
    let unknown = call(&prepared, "no-such-operation", b"").await.unwrap_err();
    assert!(matches!(&unknown, GuestError::Failed { message } if message.contains("no-such-operation")), "{unknown}");
}

async fn logs(guest: Guest) {
    let prepared = prepare(guest).await.unwrap();
    let outside = Outside::answering(Ok);
    assert_eq!(call_with(&prepared, "log", b"a line", outside.clone()).await.unwrap(), "");
    assert_eq!(outside.logged(), ["a line"]);
}

macro_rules! guests_pass {
    ($($name:ident: $check:ident($guest:ident);)*) => {
        $(#[tokio::test] async fn $name() { $check(Guest::$guest).await; })*
    };
}

guests_pass! {
    wapc_guest_1_echoes: echoes(WapcGuest1);
    wapc_guest_1_relays: relays(WapcGuest1);
    wapc_guest_1_fails_in_its_own_words: fails_in_its_own_words(WapcGuest1);
    wapc_guest_1_logs: logs(WapcGuest1);
    wapc_guest_0_echoes: echoes(WapcGuest0);
    wapc_guest_0_relays: relays(WapcGuest0);
    wapc_guest_0_fails_in_its_own_words: fails_in_its_own_words(WapcGuest0);
    assemblyscript_echoes: echoes(AssemblyScript);
    assemblyscript_relays: relays(AssemblyScript);
    assemblyscript_fails_in_its_own_words: fails_in_its_own_words(AssemblyScript);
    assemblyscript_logs: logs(AssemblyScript);
}

#[tokio::test]
async fn an_assemblyscript_abort_tells_where_it_happened_and_hurts_no_later_call() {
    let prepared = prepare(Guest::AssemblyScript).await.unwrap();
    let aborted = call(&prepared, "abort", b"out of luck").await.unwrap_err();
    assert!(
        matches!(&aborted, GuestError::Trapped { reason } if reason.contains("out of luck") && reason.contains("index.ts")),
        "{aborted}"
    );
    assert_eq!(call(&prepared, "echo", b"still here").await.unwrap(), "still here");
}

#[tokio::test]
async fn the_echo_guest_inside_the_wapc_host_package_answers() {
    let prepared = prepare(Guest::WapcHostEcho).await.unwrap();
    let request = rmp_serde::to_vec_named(&BTreeMap::from([("msg", "hello world")])).unwrap();
    let response = call(&prepared, "echo", &request).await.unwrap();
    assert_eq!(rmp_serde::from_slice::<String>(&response).unwrap(), "hello world");
}

#[tokio::test]
async fn the_host_call_guest_inside_the_wapc_host_package_asks_what_it_is_told_to() {
    let prepared = prepare(Guest::WapcHostCall).await.unwrap();
    let request = rmp_serde::to_vec_named(&BTreeMap::from([
        ("namespace", "myNamespace"),
        ("binding", "myBinding"),
        ("operation", "myOperation"),
        ("msg", "this is the payload"),
    ]))
    .unwrap();
    let outside = Outside::answering(|payload| {
        let text: String = rmp_serde::from_slice(&payload).map_err(|error| error.to_string())?;
        rmp_serde::to_vec(&text.to_uppercase()).map(Bytes::from).map_err(|error| error.to_string())
    });
    let response = call_with(&prepared, "callback", &request, outside.clone()).await.unwrap();
    assert_eq!(rmp_serde::from_slice::<String>(&response).unwrap(), "THIS IS THE PAYLOAD");
    let asked = outside.asked();
    assert_eq!(
        (asked[0].binding.as_str(), asked[0].namespace.as_str(), asked[0].operation.as_str()),
        ("myBinding", "myNamespace", "myOperation")
    );

    let refused = call(&prepared, "callback", &request).await.unwrap_err();
    assert!(refused.to_string().contains("nobody serves this"), "{refused}");
}

#[tokio::test]
async fn the_signed_logger_inside_wascap_starts_answers_health_and_logs_requests() {
    #[derive(serde::Serialize)]
    struct HealthCheckRequest {
        placeholder: bool,
    }
    #[derive(serde::Deserialize)]
    struct HealthCheckResponse {
        healthy: bool,
    }
    let prepared = prepare(Guest::Logger).await.unwrap();
    let request = rmp_serde::to_vec_named(&HealthCheckRequest { placeholder: true }).unwrap();
    let response = call(&prepared, "HealthRequest", &request).await.unwrap();
    assert!(rmp_serde::from_slice::<HealthCheckResponse>(&response).unwrap().healthy);

    let outside = Outside::answering(|_| Ok(Bytes::new()));
    let response = call_with(&prepared, "HandleRequest", &http_get(), outside.clone()).await.unwrap();
    assert_eq!(rmp_serde::from_slice::<HttpResponse>(&response).unwrap().status_code, 200);
    let asked = outside.asked();
    let first = asked.first().expect("the logger must log");
    assert_eq!((first.namespace.as_str(), first.operation.as_str()), ("wasmcloud:logging", "WriteLog"));
}

#[derive(serde::Deserialize)]
struct HttpResponse {
    #[serde(rename = "statusCode")]
    status_code: u32,
}

/// Returns a request in the dialect between waSCC's and the later one: operations bare, names in camel case.
pub(crate) fn http_get() -> Vec<u8> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request {
        method: &'static str,
        path: &'static str,
        query_string: &'static str,
        header: BTreeMap<String, String>,
        #[serde(with = "serde_bytes")]
        body: Vec<u8>,
    }
    let request = Request { method: "GET", path: "/", query_string: "", header: BTreeMap::new(), body: Vec::new() };
    rmp_serde::to_vec_named(&request).unwrap()
}

#[tokio::test]
async fn signed_files_that_are_no_wapc_guests_are_refused_by_name() {
    let error = prepare(Guest::SignedLoop).await.unwrap_err();
    assert!(matches!(error, EngineError::ExportMissing { .. } | EngineError::ImportUnknown { .. }), "{error}");
    let error = prepare(Guest::SignedComponent).await.unwrap_err();
    assert!(matches!(error, EngineError::Component), "{error}");
}
