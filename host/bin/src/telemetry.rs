//! Logs, to standard error.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;
use wattle_cli::{LogFormat, LogOptions};

/// Says what is wrong with a filter.
pub(crate) fn check(filter: &str) -> Result<(), String> {
    EnvFilter::builder().parse(filter).map(drop).map_err(|error| error.to_string())
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_refused() {
        for good in ["info", "warn,wattle_host=debug", "off"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["garbage=foo=bar", "wattle_host=loud"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
