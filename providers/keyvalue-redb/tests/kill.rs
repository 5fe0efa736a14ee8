//! A process is killed while it counts. What it said it had counted must be in the file.
//!
//! The test starts itself a second time as the process to be killed, told by an environment variable.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use wattle_provider_sdk::KeyValue;

use crate::open;

const FILE: &str = "WATTLE_TEST_KILL_FILE";
const NAME: &str = "kill::acknowledged_changes_survive_a_kill";

/// Kills at different moments of the writer's work.
const KILLS: i64 = 6;

#[tokio::test]
async fn acknowledged_changes_survive_a_kill() {
    if let Some(path) = std::env::var_os(FILE) {
        return count_until_killed(Path::new(&path)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kv.redb");
    let mut found = 0;
    for kill in 1..=KILLS {
        let counts = kill_after(&path, 5 + kill);
        assert_eq!(counts.first(), Some(&(found + 1)), "a process goes on where the last one was killed");
        let said = *counts.last().unwrap();
        let store = open(&path);
        found = store.increment("n", 0).await.unwrap();
        assert!((said..=said + 1).contains(&found), "said {said}, found {found}: one may have been on its way");
        let list = store.list_range("list", 0, -1).await.unwrap();
        let list: Vec<i64> = list.iter().map(|item| item.parse().unwrap()).collect();
        assert!(list.is_sorted_by(|a, b| a < b), "in order and once: {list:?}");
        assert!(counts.iter().all(|count| list.contains(count)), "said {counts:?}, listed {list:?}");
        store.close().await;
    }
}

/// Lets a process count until it has said `count` numbers or more, kills it, and returns what it said.
fn kill_after(path: &Path, count: i64) -> Vec<i64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    let mut lines = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("counted ")?.parse().ok());
    while (said.len() as i64) < count {
        said.push(lines.next().unwrap());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    said.extend(lines);
    said
}

async fn count_until_killed(path: &Path) {
    let store = open(path);
    let mut out = std::io::stdout();
    loop {
        let count = store.increment("n", 1).await.unwrap();
        store.list_push("list", count.to_string()).await.unwrap();
        // The harness's own text may stand on the line before.
        writeln!(out, "\ncounted {count}").unwrap();
        out.flush().unwrap();
    }
}
