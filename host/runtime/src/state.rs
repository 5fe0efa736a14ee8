//! What the host keeps for one call while its guest runs.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use wasmtime::{ResourceLimiter, UpdateDeadline};
use wattle_types::Deadline;

use crate::{GuestCall, GuestError, HostCalls, Interrupt, Limits, guest_log::GuestLog, habit::Habit, long_calls};

/// What a guest is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its starters run: there is no request, and no host call is served.
    Starting,
    /// It serves its call.
    Serving,
}

/// The data of one store: what holds for the sandbox, and its call.
pub(crate) struct CallState {
    pub(crate) limits: Arc<Limits>,
    pub(crate) memory: Option<wasmtime::Memory>,
    pub(crate) call: Call,
    /// How long calls of this module mostly compute.
    habit: Arc<Habit>,
    /// Set when the guest saw a clock or random numbers: then its memory is no image for others.
    pub(crate) saw_chance: bool,
    memory_refused: bool,
    table_refused: bool,
}

/// Everything of one call. A sandbox that waits for its next one holds nothing of the last.
pub(crate) struct Call {
    /// The outside. Nobody while the guest's starters run.
    pub(crate) host: Option<Arc<dyn HostCalls>>,
    pub(crate) deadline: Deadline,
    pub(crate) began: Instant,
    interrupt: Option<Interrupt>,
    pub(crate) phase: Phase,
    pub(crate) operation: Box<str>,
    pub(crate) payload: Bytes,
    pub(crate) response: Option<Bytes>,
    pub(crate) guest_error: Option<String>,
    /// Answer to the last host call; `Err` holds the error's text.
    pub(crate) host_answer: Result<Bytes, String>,
    pub(crate) host_calls: u32,
    /// How often it was stopped by a tick of the epoch.
    ticks: u32,
    log: GuestLog,
}

impl Call {
    pub(crate) fn new(call: GuestCall<'_>, host: Arc<dyn HostCalls>) -> Self {
        Self {
            host: Some(host),
            interrupt: Some(call.interrupt.clone()),
            operation: call.operation.into(),
            payload: call.payload,
            ..Self::none(Instant::now(), call.deadline)
        }
    }

    /// No call: nothing to answer and nobody to ask.
    pub(crate) fn none(now: Instant, deadline: Deadline) -> Self {
        Self {
            host: None,
            deadline,
            began: now,
            interrupt: None,
            phase: Phase::Starting,
            operation: Box::default(),
            payload: Bytes::new(),
            response: None,
            guest_error: None,
            host_answer: Ok(Bytes::new()),
            host_calls: 0,
            ticks: 0,
            log: GuestLog::default(),
        }
    }

    /// Returns an error if the call has to end, seen at `now`.
    pub(crate) fn check(&self, now: Instant) -> Result<(), GuestError> {
        if self.interrupt.as_ref().is_some_and(Interrupt::is_triggered) {
            return Err(GuestError::Interrupted);
        }
        if now >= self.deadline.instant() {
            return Err(GuestError::DeadlineExceeded);
        }
        Ok(())
    }

    /// Waits until the call has to end.
    pub(crate) async fn ended(&self) -> GuestError {
        ended(self.interrupt.as_ref(), self.deadline).await
    }
}

/// Waits until a call of such a deadline has to end.
pub(crate) async fn ended(interrupt: Option<&Interrupt>, deadline: Deadline) -> GuestError {
    let interrupted = async {
        match interrupt {
            Some(interrupt) => interrupt.triggered().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = interrupted => GuestError::Interrupted,
        () = tokio::time::sleep_until(deadline.instant().into()) => GuestError::DeadlineExceeded,
    }
}

impl CallState {
    pub(crate) fn new(call: Call, limits: Arc<Limits>, habit: Arc<Habit>) -> Self {
        Self { limits, memory: None, call, habit, saw_chance: false, memory_refused: false, table_refused: false }
    }

    /// Lets go of everything of the call.
    pub(crate) fn forget(&mut self) {
        self.call = Call::none(self.call.began, self.call.deadline);
        (self.memory_refused, self.table_refused) = (false, false);
    }

    /// Logs whole lines of text.
    pub(crate) fn log_text(&mut self, text: &[u8]) {
        self.call.log.text(text, &self.limits, self.call.host.as_deref());
    }

    /// Logs what was written to a stream.
    pub(crate) fn log_stream(&mut self, piece: &[u8]) {
        self.call.log.stream(piece, &self.limits, self.call.host.as_deref());
    }

    /// Logs a line whose end was never written.
    pub(crate) fn finish_log(&mut self) {
        self.call.log.finish(&self.limits, self.call.host.as_deref());
    }

    /// Called by wasmtime at every tick of the epoch: ends the call, or lets others run first.
    pub(crate) fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        self.call.check(Instant::now())?;
        self.call.ticks = self.call.ticks.saturating_add(1);
        self.habit.note(self.call.ticks);
        long_calls::note_tick();
        Ok(UpdateDeadline::Yield(1))
    }

    /// Names the limit a trap is due to: guests trap when they are refused what they need.
    pub(crate) fn explain(&self, error: &wasmtime::Error) -> GuestError {
        match GuestError::from_wasmtime(error) {
            GuestError::Trapped { .. } if self.memory_refused => {
                GuestError::MemoryExceeded { limit: self.limits.memory_bytes }
            }
            GuestError::Trapped { .. } if self.table_refused => {
                GuestError::TableExceeded { limit: self.limits.table_elements }
            }
            error => error,
        }
    }

    /// Takes the outcome of a `__guest_call` that returned `code`.
    pub(crate) fn outcome(&mut self, code: i32) -> Result<Bytes, GuestError> {
        let nothing_said = || format!("the guest returned {code} without saying why");
        match (code, self.call.guest_error.take()) {
            (1, None) => Ok(self.call.response.take().unwrap_or_default()),
            (_, Some(message)) if !message.is_empty() => Err(GuestError::Failed { message }),
            _ => Err(GuestError::Failed { message: nothing_said() }),
        }
    }
}

impl ResourceLimiter for CallState {
    fn memory_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired <= self.limits.memory_bytes;
        self.memory_refused |= !allowed;
        Ok(allowed)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired <= self.limits.table_elements;
        self.table_refused |= !allowed;
        Ok(allowed)
    }
}
