//! What the documentation says of limits is what the code holds guests to.

use std::time::Duration;

use wattle_runtime::{EngineConfig, EngineError, GuestError, Limits};

/// Returns a page below `docs`.
fn page(name: &str) -> String {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Checks the row of the table of limits that begins so: it holds these words, and names these codes and no others.
#[track_caller]
fn row(limit: &str, words: &[String], codes: &[&str]) {
    let page = page("actors.md");
    let beginning = format!("| {limit}");
    let row = page.lines().find(|line| line.starts_with(&beginning)).unwrap_or_else(|| panic!("no row {limit}"));
    for word in words {
        assert!(row.contains(word), "{word:?} is not in: {row}");
    }
    let named: Vec<&str> = row.split("](errors/").skip(1).filter_map(|link| link.split(".md)").next()).collect();
    assert_eq!(named, codes, "{row}");
}

#[track_caller]
fn says(name: &str, words: &str) {
    assert!(page(name).contains(words), "{words:?} is not in docs/{name}");
}

fn mib(bytes: usize) -> String {
    assert_eq!(bytes % (1 << 20), 0);
    format!("{} MiB", bytes >> 20)
}

fn kib(bytes: usize) -> String {
    assert_eq!(bytes % (1 << 10), 0);
    format!("{} KiB", bytes >> 10)
}

/// Sets thousands apart.
fn number(value: usize) -> String {
    if value < 10_000 { value.to_string() } else { format!("{} {:03}", value / 1000, value % 1000) }
}

fn seconds(time: Duration) -> u64 {
    assert_eq!(time.subsec_nanos(), 0);
    time.as_secs()
}

#[test]
fn the_limits_of_a_call_are_as_documented() {
    let limits = Limits::default();
    let memory = GuestError::MemoryExceeded { limit: 0 }.code();
    let memory_at_load = EngineError::MemoryOverLimit { needed: 0, limit: 0 }.code();
    row("linear memory", &[mib(limits.memory_bytes)], &[memory, memory_at_load]);
    let table = GuestError::TableExceeded { limit: 0 }.code();
    let table_at_load = EngineError::TableOverLimit { needed: 0, limit: 0 }.code();
    let elements = format!("{} elements", number(limits.table_elements));
    row("table", std::slice::from_ref(&elements), &[table, table_at_load]);
    for code in [table, table_at_load] {
        says(&format!("errors/{code}.md"), &elements);
    }
    let payload = GuestError::PayloadTooLarge { size: 0, limit: 0 }.code();
    row("payloads", &[mib(limits.payload_bytes)], &[payload]);
    let host_calls = GuestError::HostCallsExceeded { limit: 0 }.code();
    row("host calls in one call", &[number(limits.host_calls as usize)], &[host_calls]);
    let name = GuestError::NameTooLong { function: "", size: 0, limit: 0 }.code();
    row("each name in a host call", &[], &[name]);
    row("log lines in one call", &[format!("{} of {}", limits.log_lines, kib(limits.log_line_bytes))], &[]);
}

#[test]
fn the_limits_of_an_engine_are_as_documented() {
    let config = EngineConfig::default();
    row("stack", &[kib(config.guest_stack_bytes)], &["guest_trapped"]);
    row("sandboxes of all actors", &[number(config.pool_size as usize)], &["overloaded"]);
    let section = EngineError::ProbeFailed(GuestError::DeadlineExceeded).code();
    let starters = EngineError::StartFailed(GuestError::DeadlineExceeded).code();
    row("starters, when it is loaded", &[format!("{} s", seconds(config.start_timeout))], &[starters, section]);
    for code in [section, starters] {
        says(&format!("errors/{code}.md"), &format!("longer than {} seconds", seconds(config.start_timeout)));
    }
    says("actors.md", &format!("it holds a thread for {} ms at a time", config.epoch_tick.as_millis()));
}
