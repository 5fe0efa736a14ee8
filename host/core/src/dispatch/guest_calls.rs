//! What a guest may do outside its sandbox, for one call.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use wattle_runtime::{GuestError, HostCall, HostCalls};
use wattle_types::{BoxFuture, CallContext, InvokeError};

use super::Dispatcher;
use crate::{actor::ActorModule, slot::Inside};

/// What one call of a guest may do outside its sandbox.
pub(super) struct GuestCalls {
    pub(super) dispatcher: Dispatcher,
    pub(super) inside: Inside<ActorModule>,
    pub(super) context: CallContext,
    pub(super) last_failure: Mutex<Option<Arc<InvokeError>>>,
}

impl GuestCalls {
    /// Says why the guest failed, in the host's terms.
    pub(super) fn explain(&self, error: GuestError) -> InvokeError {
        let actor = self.inside.facts.id;
        match error {
            GuestError::Failed { message } => {
                let cause = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).take();
                InvokeError::GuestFailed { actor, message, cause }
            }
            GuestError::DeadlineExceeded => InvokeError::DeadlineExceeded { target: format!("actor {actor}") },
            GuestError::Interrupted => InvokeError::Interrupted { target: format!("actor {actor}") },
            GuestError::Overloaded { limit } => InvokeError::Overloaded { target: "the engine".into(), limit },
            GuestError::PayloadTooLarge { size, limit } => InvokeError::PayloadTooLarge { size, limit },
            error => InvokeError::GuestTrapped { actor, code: error.code(), message: error.to_string() },
        }
    }
}

impl HostCalls for GuestCalls {
    fn call<'a>(&'a self, call: HostCall<'a>) -> BoxFuture<'a, Result<Bytes, String>> {
        Box::pin(async move {
            let result = self.dispatcher.call_from_actor(&self.inside.facts, call, &self.context).await;
            result.map_err(|error| {
                let text = error.to_string();
                *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(error));
                text
            })
        })
    }

    fn log(&self, text: &str) {
        tracing::info!(target: "wattle::guest", actor = %self.inside.facts.id, "{text}");
    }
}
