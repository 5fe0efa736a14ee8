//! Why a call to another host got no answer, and whether it may be tried elsewhere.

use std::{borrow::Cow, fmt, time::Duration};

use wattle_types::{ErrorKind, HostId, InvokeError, MAX_CALL_DEPTH};

/// An error as it travels from the host that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its stable name.
    pub code: Cow<'static, str>,
    /// Who must act.
    pub kind: ErrorKind,
    /// For people.
    pub message: String,
    /// Whether it may have begun to run. When it did not, another host may be asked.
    pub executed: bool,
}

impl Refusal {
    /// Makes the refusal of a call that certainly did not begin to run.
    #[must_use]
    pub fn not_run(code: &'static str, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), kind, message: message.into(), executed: false }
    }

    /// Makes what the caller is told of an error. `executed` says whether the call may have begun to run.
    #[must_use]
    pub fn of(error: &InvokeError, executed: bool) -> Self {
        Self { code: Cow::Borrowed(error.code()), kind: error.kind(), message: error.to_string(), executed }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Why a call certainly did not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotRun {
    /// Nobody listens there: the host is gone.
    #[error("it does not listen")]
    NobodyListens,
    /// This host has no connection.
    #[error("{0}")]
    Disconnected(String),
    /// The two hosts do not trust each other, or the host did not answer to the first contact.
    #[error("no session: {0}")]
    NoSession(String),
    /// Too many calls are waiting for that host.
    #[error("{limit} calls are waiting for it already")]
    Overloaded {
        /// Calls that may wait.
        limit: usize,
    },
    /// The deadline passed before the call was sent.
    #[error("the deadline passed before the call was sent")]
    DeadlineExceeded,
    /// The call cannot be written down: its payload or operation is too long.
    #[error("a payload of {size} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// Bytes found.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The chain of calls is too long.
    #[error("actors called each other more than {MAX_CALL_DEPTH} times in one chain")]
    TooDeep,
    /// The host refused it before it ran.
    #[error("{0}")]
    Refused(Refusal),
    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
}

impl NotRun {
    /// Returns the stable name of this reason.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::NobodyListens => "no_responders",
            Self::Disconnected(_) => "bus_disconnected",
            Self::NoSession(_) => "session_refused",
            Self::Overloaded { .. } => "overloaded",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::TooLarge { .. } => "payload_too_large",
            Self::TooDeep => "call_depth_exceeded",
            Self::Refused(refusal) => &refusal.code,
            Self::Internal(_) => "internal",
        }
    }

    /// Returns who must act.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NobodyListens
            | Self::Disconnected(_)
            | Self::NoSession(_)
            | Self::Overloaded { .. }
            | Self::DeadlineExceeded => ErrorKind::Unavailable,
            Self::TooLarge { .. } => ErrorKind::Caller,
            Self::TooDeep => ErrorKind::Guest,
            Self::Refused(refusal) => refusal.kind,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }
}

/// Why a call to another host got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// It certainly did not run.
    #[error("host {host} did not take the call: {why}")]
    NotRun {
        /// Who was asked.
        host: HostId,
        /// Why.
        why: NotRun,
    },
    /// It was sent, and nothing provable came back: it may have run.
    #[error("host {host} did not answer within {waited:?}: {why}")]
    Unknown {
        /// Who was asked.
        host: HostId,
        /// Since when.
        waited: Duration,
        /// What happened instead.
        why: String,
    },
    /// It began to run and failed.
    #[error("{0}")]
    Answered(Refusal),
}

impl CallFailure {
    /// Returns the stable name of this error.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::NotRun { why, .. } => why.code(),
            Self::Unknown { .. } => "outcome_unknown",
            Self::Answered(refusal) => &refusal.code,
        }
    }

    /// Returns who must act.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotRun { why, .. } => why.kind(),
            Self::Unknown { .. } => ErrorKind::Unavailable,
            Self::Answered(refusal) => refusal.kind,
        }
    }

    /// Returns whether another host may be asked, and might do better: the call did not run, and the reason lies with
    /// that one host.
    #[must_use]
    pub fn may_try_another(&self) -> bool {
        matches!(self, Self::NotRun { .. }) && self.may_repeat()
    }

    /// Returns whether another host might do better at a call that may run twice: the reason lies with that one host,
    /// or it was too slow.
    #[must_use]
    pub fn may_repeat(&self) -> bool {
        !matches!(self, Self::NotRun { why: NotRun::DeadlineExceeded, .. }) && self.kind() == ErrorKind::Unavailable
    }
}
