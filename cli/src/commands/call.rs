//! `wattle call`.

use std::{io::Read as _, path::PathBuf};

use clap::Args;
use data_encoding::BASE64;
use serde_json::{Value, json};
use wattle_types::{
    ActorId, HostId,
    control::{CallResult, Command},
};

use crate::{call_payload, context::Context, control::Client, error::CliError};

const EXAMPLES: &str = r#"Examples:
  wattle call Counter Counter.Add '{"key": "visits", "by": 2}'
  wattle call echo Echo.Say @request.json
  wattle call Thumbnail Image.Shrink --file photo.jpg --raw > small.jpg

JSON is sent as MessagePack with named fields, and the answer shown as JSON. Bytes are written as
{"$bytes": "BASE64"} or {"$text": "..."}. @FILE reads the payload from a file, @- from standard input."#;

/// Calls an actor and shows its answer.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CallArgs {
    /// The actor: its id, a unique beginning of it, its call alias or its name.
    actor: String,
    /// The operation, as the actor's contract spells it.
    operation: String,
    /// The request: JSON, @FILE, or @- [default: an empty object].
    #[arg(allow_negative_numbers = true)]
    payload: Option<String>,
    /// Send the payload as it is, and write the answer as it is.
    #[arg(long)]
    raw: bool,
    /// Send this file's bytes as they are.
    #[arg(long, value_name = "FILE", conflicts_with = "payload")]
    file: Option<PathBuf>,
    /// How long the actor may take, in milliseconds [default: the host's own limit].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout_ms: Option<u64>,
}

pub(super) async fn run(context: &Context, args: CallArgs) -> Result<(), CliError> {
    let payload = payload(context, &args)?;
    let client = context.client().await?;
    let (host, actor) = callee(context, &client, &args.actor).await?;
    let command = Command::Call {
        actor: actor.to_string(),
        operation: args.operation.clone(),
        payload: BASE64.encode(&payload),
        timeout_ms: args.timeout_ms,
    };
    let result = client.command(&host, &command, |_, _, _| {}).await?;
    let unreadable = |why: String| CliError::internal(format!("the host's answer cannot be read: {why}"));
    let result: CallResult = serde_json::from_value(result).map_err(|error| unreadable(error.to_string()))?;
    let response = BASE64.decode(result.payload.as_bytes()).map_err(|error| unreadable(error.to_string()))?;
    if args.raw && !context.output.is_json() {
        return context.output.bytes(&response);
    }
    let shown = if args.raw { json!({ "$bytes": result.payload }) } else { call_payload::decode(&response) };
    context.output.result(&json!({ "response": shown, "elapsed_us": result.elapsed_us }), |_| pretty(&shown))
}

/// Returns the actor meant, and a host that runs it: the one named, or one of the lattice.
async fn callee(context: &Context, client: &Client, wanted: &str) -> Result<(HostId, ActorId), CliError> {
    if let Some(host) = &context.connection.host {
        let host = client.host(Some(host)).await?;
        let actor = client.actor(Some(&host), wanted).await?;
        return Ok((host, actor));
    }
    let fleet = client.fleet().await?;
    let actor = fleet.actor(wanted)?;
    let host = match fleet.running_actor(&actor).first() {
        Some(host) => host.host_id.parse()?,
        None => fleet.any()?,
    };
    Ok((host, actor))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

fn payload(context: &Context, args: &CallArgs) -> Result<Vec<u8>, CliError> {
    if let Some(file) = &args.file {
        return context.read(file);
    }
    let bytes = match args.payload.as_deref() {
        None if args.raw => Vec::new(),
        None => b"{}".to_vec(),
        Some("@-") => read_input()?,
        Some(text) => match text.strip_prefix('@') {
            Some(file) => context.read(file.as_ref())?,
            None => text.as_bytes().to_vec(),
        },
    };
    if args.raw {
        return Ok(bytes);
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        CliError::usage("the payload is not JSON: it is not even text")
            .hint("to send bytes as they are, use --file FILE")
    })?;
    call_payload::encode(&text)
}

fn read_input() -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().read_to_end(&mut bytes);
    read.map_err(|error| CliError::usage(format!("standard input cannot be read: {error}")))?;
    Ok(bytes)
}
