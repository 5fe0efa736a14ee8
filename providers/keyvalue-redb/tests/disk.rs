//! A disk that is full: a small file system of the test's own.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use wattle_keyvalue_redb::Redb;
use wattle_provider_sdk::{KeyValue, KeyValueKind, Settings};

/// A file system in memory, which only the system's owner may make.
struct Disk(PathBuf);

impl Disk {
    /// Returns `None`, and says so, where that is not allowed.
    #[expect(clippy::print_stderr, reason = "a test that is left out must be seen")]
    fn mount(folder: &Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "wattle-test"]).arg(folder).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        eprintln!("SKIPPED: a full disk was not tested, for no file system can be mounted here");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_overcome() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path(), "8m") else { return };
    let path = disk.0.join("kv.redb");
    let values = [("path".to_owned(), path.to_str().unwrap().to_owned())].into();
    let store = Redb.open(&Settings::parse(&values, Redb::LINK_SETTINGS).unwrap()).await.unwrap();
    store.set("before", "kept".into(), None).await.unwrap();
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![1; 4 << 20]).unwrap();

    let mut written = 0;
    let error = loop {
        match store.set(&format!("k{written}"), "x".repeat(100_000), None).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), "store_full", "{error}");
    assert_eq!(store.ping().await.unwrap_err().code(), "store_full");
    let reads = async { while store.get("before").await != Ok(Some("kept".into())) {} };
    tokio::time::timeout(Duration::from_secs(10), reads).await.unwrap();

    std::fs::remove_file(ballast).unwrap();
    let heals = async { while store.set("after", "too".into(), None).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(10), heals).await.unwrap();
    store.ping().await.unwrap();
    for n in 0..written {
        assert!(store.contains(&format!("k{n}")).await.unwrap(), "k{n} was acknowledged");
    }
}
