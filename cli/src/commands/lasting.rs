//! What the lattice goes on with when nobody waits for it.

use crate::{
    context::Context,
    error::{CliError, Kind},
};

/// Waits for `work`. When somebody presses Ctrl-C, tells that `what` goes on, and with `hints` how to see and end it.
pub(super) async fn wait<T>(
    context: &Context,
    what: &str,
    hints: &[String],
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    tokio::select! {
        biased;
        interrupted = (context.interrupt)() => {
            interrupted.map_err(|error| CliError::internal(format!("signals cannot be received: {error}")))?;
            let left = CliError::new(Kind::Unavailable, "still_going", format!("{what} goes on, unwatched"));
            Err(hints.iter().fold(left, |left, hint| left.hint(hint)))
        }
        done = work => done,
    }
}
