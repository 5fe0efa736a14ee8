//! Calls that compute for long, and the threads they are moved to.
//!
//! A guest that goes on computing lets others run at each tick of the epoch. On the caller's runtime that is not
//! enough: its threads look at their sockets only once in some dozens of turns, each as long as a tick. So a call that
//! was stopped by two ticks is moved to threads of lower priority, as many as there are cores, and stays there to its
//! end. Calls of a module whose calls mostly are so long begin there.
//!
//! Only the thread differs. What the host does for a call there, its timers, sockets and tasks, belongs to the runtime
//! it came from.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio_util::{sync::ReusableBoxFuture, task::AbortOnDropHandle};

use crate::{EngineError, GuestError, priority, sandbox::Served};

/// A call, from its beginning to its end. What is left of it is room for the next.
pub(crate) type Run = ReusableBoxFuture<'static, Result<Served, GuestError>>;

/// So many ticks stop a call before it is moved: the first may have met a short one by chance.
const TICKS_BEFORE: u32 = 2;

/// How far below the usual priority they are. With a thread of the usual one on the same core, they have about a tenth
/// of it: short calls go first, long ones are not starved.
const STEPS_DOWN: i32 = 10;

/// Threads for calls that compute for long, if there are any.
pub(crate) struct LongCalls(Option<Runtime>);

/// How a call was run.
pub(crate) enum Ran {
    /// On the thread of whoever waited for it, at least whenever it was looked at.
    Here(Result<Served, GuestError>, Run),
    /// On other threads.
    Elsewhere(Result<Served, GuestError>),
}

impl LongCalls {
    pub(crate) fn new(threads: usize) -> Result<Self, EngineError> {
        if threads == 0 {
            return Ok(Self(None));
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("wattle-long")
            // Nobody wakes these threads but those who bring a call: it waits for no more than one turn.
            .global_queue_interval(1)
            .on_thread_start(|| {
                priority::lower(STEPS_DOWN);
                DEPTH.set(1);
            })
            .build()
            .map_err(|error| EngineError::Config(format!("no threads for long calls: {error}")))?;
        Ok(Self(Some(runtime)))
    }

    /// Runs a call to its end: here until it turns out to be long, or elsewhere from the beginning.
    ///
    /// `ended` is asked of a call that runs elsewhere only: it would see the end too late, if many are there.
    ///
    /// # Cancel safety
    /// Dropping the future drops the call: at once if it runs here, otherwise when its turn is over.
    pub(crate) async fn run(
        &self,
        mut call: Run,
        is_long: bool,
        ended: impl Future<Output = GuestError>,
    ) -> Result<Ran, GuestError> {
        let elsewhere = if is_long { self.elsewhere() } else { None };
        let (threads, home) = match elsewhere {
            Some(elsewhere) => elsewhere,
            None => match self.run_here(&mut call).await {
                Ok(result) => return Ok(Ran::Here(result, call)),
                Err(elsewhere) => elsewhere,
            },
        };
        let call = AbortOnDropHandle::new(threads.spawn(AtHome { home, call }));
        tokio::select! {
            biased;
            result = call => result.map(Ran::Elsewhere).map_err(|error| lost(&error)),
            end = ended => Err(end),
        }
    }

    /// Polls a call to its end, or until it has to be moved: then returns where to, and its home.
    async fn run_here(&self, call: &mut Run) -> Result<Result<Served, GuestError>, (&Runtime, Handle)> {
        let mut ticks = 0_u32;
        poll_fn(|context| {
            let turn = Turn::begin();
            if let Poll::Ready(result) = call.poll(context) {
                return Poll::Ready(Ok(result));
            }
            if turn.was_ended_by_a_tick() {
                ticks = ticks.saturating_add(1);
                if ticks >= TICKS_BEFORE
                    && let Some(elsewhere) = self.elsewhere()
                {
                    return Poll::Ready(Err(elsewhere));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Returns the threads for long calls and the runtime of this thread, if a call may leave it. One of a single
    /// thread keeps its calls: its clock may be one that goes on when nobody is busy there.
    fn elsewhere(&self) -> Option<(&Runtime, Handle)> {
        let (threads, home) = (self.0.as_ref()?, Handle::try_current().ok()?);
        (home.runtime_flavor() == RuntimeFlavor::MultiThread && DEPTH.get() == 0).then_some((threads, home))
    }
}

impl Drop for LongCalls {
    fn drop(&mut self) {
        if let Some(threads) = self.0.take() {
            // Calls whose callers are gone may still be there, and end with their turn. Nobody waits for them here.
            threads.shutdown_background();
        }
    }
}

thread_local! {
    /// How many calls are polled on this thread, one within the other. More than 0 where calls are never moved.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Whether a tick stopped the guest that was polled last.
    static TICKED: Cell<bool> = const { Cell::new(false) };
}

/// Says that a tick stops the guest that is being polled.
pub(crate) fn note_tick() {
    TICKED.set(true);
}

/// One poll of a call.
struct Turn {
    /// Whether no other call is around this one. An actor that calls others is moved with all it waits for.
    is_outermost: bool,
}

impl Turn {
    fn begin() -> Self {
        let depth = DEPTH.get();
        DEPTH.set(depth.saturating_add(1));
        let is_outermost = depth == 0;
        if is_outermost {
            TICKED.set(false);
        }
        Self { is_outermost }
    }

    /// Ends the turn.
    fn was_ended_by_a_tick(self) -> bool {
        self.is_outermost && TICKED.get()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().saturating_sub(1));
    }
}

/// A call that is polled elsewhere, in the context of the runtime it came from.
struct AtHome {
    home: Handle,
    call: Run,
}

impl Future for AtHome {
    type Output = Result<Served, GuestError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let _home = this.home.enter();
        this.call.poll(context)
    }
}

fn lost(why: &dyn std::fmt::Display) -> GuestError {
    GuestError::Internal { message: format!("a long call was lost: {why}") }
}
