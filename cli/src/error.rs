//! What goes wrong in a command: who must act, what happened, what to do next.

use wattle_bus::{BusError, nats_server::NatsServerError};
use wattle_wascap::{ClaimsError, KeyError};

/// Who must act. Decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Wattle's makers: a fault of ours.
    Internal,
    /// Whoever typed it: the command line or its input is wrong.
    Usage,
    /// An operator: it is not there, already there, or not allowed.
    Refused,
    /// Nobody, or whoever runs NATS and hosts: try again later.
    Unavailable,
    /// The actor's or provider's author.
    Guest,
}

impl Kind {
    /// Returns the program's exit code.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unavailable => 4,
            Self::Guest => 5,
        }
    }

    /// Returns who must act on an error, by its stable name: what `docs/errors/README.md` says.
    fn of_code(code: &str) -> Self {
        match code {
            "internal" => Self::Internal,
            "actor_ambiguous" | "config_invalid" | "config_not_found" | "digest_missing" | "entry_invalid"
            | "file_too_large" | "header_invalid" | "id_invalid" | "key_invalid" | "kv_key_invalid"
            | "label_invalid" | "no_canary" | "payload_too_large" | "provider_unknown" | "reference_invalid"
            | "registry_invalid" | "request_invalid" | "subject_invalid" | "value_too_large" => Self::Usage,
            "backend_unavailable"
            | "bus_disconnected"
            | "bus_timed_out"
            | "deadline_exceeded"
            | "draining"
            | "host_cut_off"
            | "fetch_failed"
            | "interrupted"
            | "kv_conflict"
            | "kv_full"
            | "kv_timed_out"
            | "kv_unavailable"
            | "nats_server_not_found"
            | "nats_server_not_ready"
            | "nats_too_old"
            | "no_responders"
            | "not_scaled"
            | "outcome_unknown"
            | "overloaded"
            | "port_taken"
            | "process_exited"
            | "process_not_ready"
            | "request_late"
            | "provider_unavailable"
            | "remote_failed"
            | "session_refused" => Self::Unavailable,
            "call_depth_exceeded"
            | "operation_unknown"
            | "provider_failed"
            | "value_kind_wrong"
            | "value_not_a_number"
            | "value_overflow" => Self::Guest,
            code if code.starts_with("guest_") => Self::Guest,
            _ => Self::Refused,
        }
    }
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct CliError {
    pub(crate) kind: Kind,
    /// Stable name.
    pub(crate) code: String,
    pub(crate) message: String,
    /// What to do about it, most likely first.
    pub(crate) hints: Vec<String>,
    /// Whether the result already says so: then only the exit code is left to tell it.
    pub(crate) is_told: bool,
}

impl CliError {
    pub(crate) fn new(kind: Kind, code: &str, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), hints: Vec::new(), is_told: false }
    }

    /// Makes an error whose code says who must act.
    fn coded(code: &str, message: String) -> Self {
        Self::new(Kind::of_code(code), code, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, "usage", message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, "internal", message)
    }

    /// Makes the error of an operation on a file.
    pub(crate) fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let message = format!("cannot {what} {}: {error}", path.display());
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::new(Kind::Usage, "file_not_found", message)
                .hint("check the path; it is relative to the directory you are in"),
            std::io::ErrorKind::PermissionDenied => {
                Self::new(Kind::Refused, "file_denied", message).hint("check the file's owner and permissions")
            }
            _ if is_full(error) => Self::disk_full(message),
            std::io::ErrorKind::IsADirectory | std::io::ErrorKind::NotADirectory => {
                Self::usage(message).hint("give the path of a file")
            }
            _ => Self::new(Kind::Internal, "file_failed", message),
        }
    }

    fn disk_full(message: String) -> Self {
        Self::new(Kind::Refused, "disk_full", message).hint("free some space (df -h shows where), then try again")
    }

    /// Makes the error a host reported.
    pub(crate) fn from_host(code: String, message: String, remedy: Option<String>) -> Self {
        let hint = remedy.unwrap_or_else(|| format!("what to do about it: wattle explain {code}"));
        Self { kind: Kind::of_code(&code), code, message, hints: vec![hint], is_told: false }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds all of these.
    pub(crate) fn hints(mut self, hints: Vec<String>) -> Self {
        self.hints.extend(hints);
        self
    }

    /// The result, already written, says all there is to say.
    pub(crate) fn already_told(mut self) -> Self {
        self.is_told = true;
        self
    }

    /// The reader of our output has gone: the command ends quietly.
    pub(crate) fn broken_pipe() -> Self {
        Self::new(Kind::Internal, "broken_pipe", "the reader of the output has gone")
    }

    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.code == "broken_pipe"
    }
}

impl From<BusError> for CliError {
    fn from(error: BusError) -> Self {
        let made = Self::coded(error.code(), error.to_string());
        match error {
            BusError::Disconnected(why) if why.contains("authorization violation") => made
                .hint("say who you are: --nats-creds FILE or --nats-nkey FILE")
                .hint("or, for NATS of a `wattle up` on this machine: --run-dir DIR (or WATTLE_RUN_DIR), as its user"),
            BusError::Disconnected(why) if why.contains("invalid peer certificate: UnknownIssuer") => {
                made.hint("name the authority that made NATS's certificate: --nats-tls-ca FILE (or WATTLE_NATS_TLS_CA)")
            }
            BusError::Disconnected(_) => made
                .hint("start a host with NATS on this machine: wattle up")
                .hint("or say where NATS is: --nats-url nats://HOST:PORT (or WATTLE_NATS_URL)"),
            BusError::TooLarge { .. } => made.hint(
                "send less: payloads of calls grow by a third on their way over NATS; HTTP requests may be larger",
            ),
            BusError::NotAllowed { subject } if subject.starts_with("_INBOX") => {
                made.hint("say what the inboxes of your role begin with: --nats-inbox PREFIX (or WATTLE_NATS_INBOX)")
            }
            BusError::NotAllowed { .. } => made
                .hint("say who you are: --nats-creds FILE or --nats-nkey FILE")
                .hint("a user may be for one lattice only: --lattice NAME")
                .hint("where each role has inboxes of its own: --nats-inbox PREFIX (or WATTLE_NATS_INBOX)"),
            BusError::TimedOut { .. } => made.hint("try again, or wait longer with --timeout SECONDS"),
            _ => made,
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

impl From<NatsServerError> for CliError {
    fn from(error: NatsServerError) -> Self {
        if let NatsServerError::Io { source, .. } = &error
            && is_full(source)
        {
            return Self::disk_full(error.to_string());
        }
        Self::coded(error.code(), error.to_string()).hint(error.remedy())
    }
}

impl From<ClaimsError> for CliError {
    fn from(error: ClaimsError) -> Self {
        let made = Self::coded(error.code(), error.to_string());
        match &error {
            ClaimsError::Missing => made.hint("sign it: wattle claims sign MODULE.wasm --cap CONTRACT"),
            ClaimsError::WasmMalformed { .. } => {
                made.hint("give a module built for wasm32, for example: cargo build --target wasm32-unknown-unknown")
            }
            ClaimsError::ArchiveMalformed(_) => {
                made.hint("give the whole archive, .par or .par.gz, as wattle par insert or wash wrote it")
            }
            ClaimsError::TokenMalformed(_) => made.hint("give a .wasm module, a .par or .par.gz archive, or a token"),
            ClaimsError::IssuerWrongKind { .. } => made.hint("see the keys you have: wattle keys list"),
            _ => made,
        }
    }
}

impl From<KeyError> for CliError {
    fn from(error: KeyError) -> Self {
        Self::coded(error.code(), error.to_string()).hint("see the keys you have: wattle keys list")
    }
}

impl From<wattle_types::IdError> for CliError {
    fn from(error: wattle_types::IdError) -> Self {
        Self::coded(error.code(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns every code of the README's tables with the exit code its heading says.
    fn documented(readme: &str) -> Vec<(&str, u8)> {
        let mut exit = None;
        let mut codes = Vec::new();
        for line in readme.lines() {
            if line.starts_with('#') {
                exit = line.split_once("(exit code ").map(|(_, rest)| rest.trim_end_matches(')').parse().unwrap());
            }
            let code = line.strip_prefix("| [`").and_then(|row| row.split_once('`')).map(|(code, _)| code);
            codes.extend(code.map(|code| (code, exit.expect(code))));
        }
        codes
    }

    #[test]
    fn exit_codes_are_those_of_the_documentation() {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
        let readme = std::fs::read_to_string(docs.join("README.md")).unwrap();
        let codes = documented(&readme);
        assert!(codes.len() > 80, "{codes:?}");
        for (code, exit) in codes {
            assert_eq!(Kind::of_code(code).exit_code(), exit, "{code} in the README");
            let page = std::fs::read_to_string(docs.join(code).with_extension("md")).expect(code);
            let is_said = page.contains(&format!("exit code {exit}")) || !page.contains("exit code ");
            assert!(is_said, "{code}.md does not say exit code {exit}");
        }
    }

    #[test]
    fn a_full_disk_has_a_code_a_hint_and_an_exit_code() {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        let server = NatsServerError::Io { what: "cannot write nats.creds".into(), source: full() };
        for error in [CliError::file("write", std::path::Path::new("keys/a.nk"), &full()), server.into()] {
            assert_eq!((&*error.code, error.kind.exit_code(), error.hints.len()), ("disk_full", 3, 1), "{error}");
        }
    }
}
