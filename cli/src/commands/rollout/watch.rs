//! Watching a rollout to its end, whatever becomes of the host that was asked.

use serde_json::Value;
use wattle_types::{HostId, control::Command};

use crate::{
    commands::lasting,
    context::Context,
    control::{Client, Fleet},
    error::CliError,
};

/// How often in a row watching may fail before it is given up.
const LOST_MAX: u32 = 5;

/// Sends `command`, which begins or follows the rollout of `target`, and tells each step until the rollout has ended.
///
/// The rollout is the lattice's: when the host that tells of it goes, or NATS, another one is asked.
pub(crate) async fn watch(
    context: &Context,
    client: &Client,
    fleet: &Fleet,
    target: &str,
    command: Command,
) -> Result<Value, CliError> {
    let hints =
        [format!("follow it: wattle rollout follow {target}"), format!("turn it round: wattle rollout back {target}")];
    let host = client.any_host(context.connection.host.as_deref()).await?;
    let work = Watch { context, client, fleet, told: None }.until_end(host, target, command);
    lasting::wait(context, "the rollout", &hints, work).await
}

struct Watch<'a> {
    context: &'a Context,
    client: &'a Client,
    fleet: &'a Fleet,
    /// The last step that was shown: whoever is asked anew tells it again.
    told: Option<(String, String)>,
}

impl Watch<'_> {
    async fn until_end(mut self, mut host: HostId, target: &str, mut command: Command) -> Result<Value, CliError> {
        let goes_back = matches!(command, Command::RollBack { .. });
        let follow = Command::FollowRollout { target: target.to_owned() };
        let mut lost = 0;
        loop {
            let mut heard = false;
            let outcome = self.client.command(&host, &command, |step, detail, elapsed_ms| {
                heard = true;
                let step = (step.to_owned(), detail.to_owned());
                if self.told.as_ref() != Some(&step) {
                    self.context.output.step(&step.0, &self.fleet.with_names(&step.1), elapsed_ms);
                    self.told = Some(step);
                }
            });
            let error = match outcome.await {
                // Nobody who asked to go back is told that it failed because it went back.
                Err(error) if goes_back && error.code == "rolled_back" => {
                    return Ok(serde_json::json!({ "target": target }));
                }
                Err(error) if is_lost(&error) => error,
                outcome => return outcome,
            };
            // Only a rollout that has told a step is sure to have begun: following would tell of an older one.
            let has_begun = self.told.is_some() || command == follow;
            lost = if heard { 0 } else { lost + 1 };
            if !has_begun || lost >= LOST_MAX {
                return Err(error.hint(format!("whether it goes on: wattle rollout follow {target}")));
            }
            command = follow.clone();
            // The rollout goes on without us; where it is, any host tells.
            match self.client.any_host(None).await {
                Ok(other) => host = other,
                Err(error) => self.context.output.warn(&format!("{error}; asking again")),
            }
        }
    }
}

/// Whether nothing is known of the rollout but that its teller has gone or is silent.
fn is_lost(error: &CliError) -> bool {
    ["bus_timed_out", "bus_disconnected", "host_not_found", "draining"].contains(&error.code.as_str())
}
