//! The guest's half of a call: fetch the request, run the handler, hand back the answer.

use crate::{Error, FromPayload, Result, health, host, payload::Answer};

/// Lists an actor's operations and the functions that handle them.
///
/// ```
/// use wattle_actor::{Raw, Result, http};
///
/// fn echo(payload: Raw) -> Raw {
///     payload
/// }
///
/// fn page(request: http::Request) -> Result<http::Response> {
///     Ok(http::Response::text(request.path))
/// }
///
/// wattle_actor::actor! {
///     "Echo" => echo,
///     http::HANDLE_REQUEST => page,
/// }
/// ```
#[macro_export]
macro_rules! actor {
    ($($operation:expr => $handler:path),+ $(,)?) => {
        // waPC's entry points. A second list or a second `#[handler]` in one crate is refused for its name.
        #[doc(hidden)]
        #[allow(unsafe_code, reason = "the name is waPC's, and belongs to the actor alone")]
        #[cfg(target_arch = "wasm32")]
        #[unsafe(no_mangle)]
        pub extern "C" fn wapc_init() {
            $crate::prepare();
        }

        #[doc(hidden)]
        #[allow(unsafe_code, reason = "the name is waPC's, and belongs to the actor alone")]
        #[unsafe(no_mangle)]
        pub extern "C" fn __guest_call(operation_len: usize, payload_len: usize) -> i32 {
            $crate::serve(operation_len, payload_len, |operation, payload| {
                $(if operation == $operation {
                    return Some($crate::run($handler, payload));
                })+
                None
            })
        }
    };
}

/// Room every call finds in its memory already: growing memory costs system calls, and most calls need less than this.
const WARM_HEAP: usize = 64 << 10;

/// Does once, when the module is loaded, what every call would have to do otherwise. Hosts that keep the image of a
/// started module, as Wattle's do, then pay for it once; others at each instance.
pub fn prepare() {
    host::report_panics();
    // Freed at once: what the allocator has asked for stays in its hands.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(WARM_HEAP)));
}

/// Serves one `__guest_call`: returns 1 when an answer was handed over, 0 when an error was.
pub fn serve(
    operation_len: usize,
    payload_len: usize,
    handle: impl FnOnce(&str, Vec<u8>) -> Option<Result<Vec<u8>>>,
) -> i32 {
    let (operation, payload) = host::request(operation_len, payload_len);
    match answer(&operation, payload, handle) {
        Ok(response) => {
            host::respond(&response);
            1
        }
        Err(error) => {
            host::fail(error.message());
            0
        }
    }
}

/// Reads the argument, calls the handler and writes its result.
///
/// # Errors
/// When the payload is not what the handler takes, and the handler's own.
pub fn run<I: FromPayload, O: Answer>(handler: impl FnOnce(I) -> O, payload: Vec<u8>) -> Result<Vec<u8>> {
    handler(I::from_payload(payload)?).into_answer()
}

fn answer(
    operation: &[u8],
    payload: Vec<u8>,
    handle: impl FnOnce(&str, Vec<u8>) -> Option<Result<Vec<u8>>>,
) -> Result<Vec<u8>> {
    let operation = str::from_utf8(operation)?;
    match handle(operation, payload) {
        Some(result) => result,
        None if operation == health::HEALTH_REQUEST => health::Health::good().into_answer(),
        None => Err(Error::new(["no handler for operation ", operation].concat())),
    }
}
