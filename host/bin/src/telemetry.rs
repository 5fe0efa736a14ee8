//! Logs, to standard error: one line each, and none that could hold up or fail what it tells of.

mod escape;
mod writer;

use std::{
    io::{self, IsTerminal as _, Write, stderr},
    panic,
    sync::OnceLock,
    time::Duration,
};

use escape::Format;
use tracing::Dispatch;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter, util::SubscriberInitExt as _};
use wattle_cli::{LogFormat, LogOptions};
use writer::LogWriter;

/// How long the end of the process waits for lines to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The process has one standard error, and so one writer of it.
static WRITER: OnceLock<LogWriter> = OnceLock::new();

/// Says what is wrong with a filter.
pub(crate) fn check(filter: &str) -> Result<(), String> {
    EnvFilter::builder().parse(filter).map(drop).map_err(|error| error.to_string())
}

/// Sets logging up for the whole process, and returns the way to standard error from then on, if there is one: it never
/// waits either. A second call changes nothing.
pub(crate) fn init(options: &LogOptions) -> Option<Box<dyn Write + Send>> {
    let log = match LogWriter::start(standard_error(), tell_left_out) {
        Ok(log) => WRITER.get_or_init(|| log).clone(),
        // Without threads the host will not start, and says so.
        Err(_) => return None,
    };
    let filter = EnvFilter::builder().parse_lossy(&options.filter);
    let format = match options.format {
        LogFormat::Text => Format::Text { colors: stderr().is_terminal() },
        LogFormat::Json => Format::Json,
    };
    match formatter(filter, Lines { log: log.clone(), format }).try_init() {
        // The usual hook waits for standard error.
        Ok(()) => panic::set_hook(Box::new(|panicked| tracing::error!(%panicked, "a thread panicked"))),
        Err(error) => tracing::debug!(%error, "logging was set up before"),
    }
    Some(Box::new(log))
}

fn formatter(filter: EnvFilter, lines: Lines) -> Dispatch {
    let format = lines.format;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    match format {
        Format::Text { colors } => Dispatch::new(builder.with_ansi(colors).finish()),
        Format::Json => Dispatch::new(builder.json().finish()),
    }
}

/// Gives the last lines a moment to be written.
pub(crate) fn flush() {
    if let Some(log) = WRITER.get() {
        log.flush(FLUSH_TIMEOUT);
    }
}

fn tell_left_out(lines: u64) {
    tracing::warn!(lines, "log lines were left out: standard error did not take them");
}

/// Returns standard error without the standard library's lock around it, which a write that hangs would keep.
#[cfg(unix)]
fn standard_error() -> Box<dyn Write + Send> {
    use std::os::fd::AsFd as _;
    match stderr().as_fd().try_clone_to_owned() {
        Ok(own) => Box::new(std::fs::File::from(own)),
        Err(_) => Box::new(stderr()),
    }
}

#[cfg(not(unix))]
fn standard_error() -> Box<dyn Write + Send> {
    Box::new(stderr())
}

/// Takes events as they are formatted, each with one write.
struct Lines {
    log: LogWriter,
    format: Format,
}

/// One event on its way.
struct Line<'a>(&'a Lines);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.0.log.push(escape::escape(&text, self.0.format).as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    struct Sent(Sender<String>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8(bytes.to_vec()).unwrap()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns what is written of one event that holds what it should not.
    fn written(format: Format) -> String {
        let (send, sent) = channel();
        let log = LogWriter::start(Sent(send), |_| ()).unwrap();
        let hostile = "a\nERROR forged\0\u{1b}]0;title\u{7}\u{9b}2J";
        tracing::dispatcher::with_default(&formatter(EnvFilter::new("info"), Lines { log, format }), || {
            tracing::info!(shown = %hostile, debugged = ?hostile, text = hostile, "refused: {hostile}");
        });
        sent.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    #[test]
    fn whatever_an_event_holds_it_is_one_line_that_does_nothing() {
        for format in [Format::Text { colors: false }, Format::Json] {
            let line = written(format);
            let (text, end) = line.split_at(line.len() - 1);
            assert_eq!((end, text.chars().any(char::is_control)), ("\n", false), "{line:?}");
            assert!(text.contains("forged") && text.contains("title"), "{line:?}");
        }
        // The formatter's own colors only.
        let line = written(Format::Text { colors: true });
        assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        assert!(line.contains("\u{1b}[32m") && !line.contains("\u{1b}]") && !line.contains('\u{9b}'), "{line:?}");
    }

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
