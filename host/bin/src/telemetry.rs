//! Logs, to standard error.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;
use wattle_cli::{LogFormat, LogOptions};

/// Sets logging up for the whole process. A second call changes nothing.
pub(crate) fn init(options: &LogOptions) {
    let filter = EnvFilter::builder().parse_lossy(&options.filter);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    let result = match options.format {
        LogFormat::Text => builder.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if let Err(error) = result {
        tracing::debug!(%error, "logging was set up before");
    }
}
