//! The compile cache: found again, never trusted blindly, never too large.

use std::{fs, path::Path, time::SystemTime};

use wattle_runtime::{Engine, EngineConfig, PrepareStep};

use crate::harness::{call, config, fixture, prepare_steps};

fn engine(dir: &Path, max: u64) -> Engine {
    Engine::new(EngineConfig { cache_dir: Some(dir.join("code")), cache_max_bytes: max, ..config() }).unwrap()
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(dir.join("code")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Prepares a guest, checks that it answers, and tells whether it came from the cache.
async fn cached(engine: &Engine, text: &str, answer: &str) -> bool {
    let (guest, steps) = prepare_steps(engine, text).await.unwrap();
    assert_eq!(call(&guest, b"").await.unwrap(), answer);
    matches!(steps[0], PrepareStep::Compiled { cached: true, .. })
}

#[tokio::test]
async fn a_module_is_compiled_once_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["minimal", "exits-with-zero-in-start"] {
        assert!(!cached(&engine(dir.path(), 1 << 30), &fixture(name), "ok").await);
        assert!(cached(&engine(dir.path(), 1 << 30), &fixture(name), "ok").await);
    }
    assert_eq!(files(dir.path()).len(), 2);
}

#[tokio::test]
async fn what_does_not_come_up_is_not_kept() {
    // As it changes its table it cannot be a snapshot, and so is kept before its start section has ever run.
    let spins = r#"(module
        (memory (export "memory") 1)
        (table $table 1 funcref)
        (elem declare func $spin)
        (func $spin
            (table.set $table (i32.const 0) (ref.func $spin))
            (loop $next (br $next)))
        (start $spin)
        (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))"#;
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path(), 1 << 30);
    for _ in 0..2 {
        assert_eq!(prepare_steps(&engine, spins).await.unwrap_err().code(), "probe_failed");
        assert_eq!(files(dir.path()), Vec::<std::path::PathBuf>::new());
    }
}

#[tokio::test]
async fn damage_is_noticed_and_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path(), 1 << 30);
    assert!(!cached(&engine, &fixture("minimal"), "ok").await);
    let whole = fs::read(&files(dir.path())[0]).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [flipped, whole[..whole.len() / 2].to_vec(), Vec::new(), b"something else".to_vec()] {
        let path = files(dir.path()).remove(0);
        // Replaced, not written in place: the old file is still mapped by the guest prepared above.
        fs::remove_file(&path).unwrap();
        fs::write(&path, damaged).unwrap();
        assert!(!cached(&engine, &fixture("minimal"), "ok").await, "damaged code was trusted");
        assert!(cached(&engine, &fixture("minimal"), "ok").await, "the damage was not repaired");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn damage_that_keeps_the_time_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path(), 1 << 30);
    assert!(!cached(&engine, &fixture("minimal"), "ok").await);
    let path = files(dir.path()).remove(0);
    let facts = fs::metadata(&path).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    // As `touch -r` does. Used an hour ago: nothing else here waits.
    let before = facts.accessed().unwrap() - std::time::Duration::from_secs(3600);
    let times = fs::FileTimes::new().set_accessed(before).set_modified(facts.modified().unwrap());
    fs::File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
    assert!(!cached(&engine, &fixture("minimal"), "ok").await, "damaged code was trusted");
    assert!(cached(&engine, &fixture("minimal"), "ok").await, "the damage was not repaired");
}

#[tokio::test]
async fn a_file_with_a_right_checksum_but_foreign_content_is_not_loaded() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!cached(&engine(dir.path(), 1 << 30), &fixture("minimal"), "ok").await);
    let path = files(dir.path()).remove(0);
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let (key, _) = name.split_once('.').unwrap();
    let checksum = xxhash_rust::xxh3::xxh3_128(b"no code");
    fs::remove_file(&path).unwrap();
    let foreign = path.with_file_name(format!("{key}.raw.{checksum:032x}.cwasm"));
    fs::write(&foreign, b"no code").unwrap();
    assert!(!cached(&engine(dir.path(), 1 << 30), &fixture("minimal"), "ok").await);
    assert!(!foreign.exists());
    assert_eq!(files(dir.path()).len(), 1);
}

#[tokio::test]
async fn a_copy_of_a_file_is_read_once_and_used() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!cached(&engine(dir.path(), 1 << 30), &fixture("minimal"), "ok").await);
    let path = files(dir.path()).remove(0);
    let mark = modified(&path);
    let code = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, code).unwrap();
    assert_ne!(modified(&path), mark);
    assert!(cached(&engine(dir.path(), 1 << 30), &fixture("minimal"), "ok").await);
    assert_eq!(modified(&path), mark, "it would be read again at each start");
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

#[tokio::test]
async fn the_longest_unused_code_goes_first_and_foreign_files_stay() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!cached(&engine(dir.path(), 1 << 30), &fixture("minimal"), "ok").await);
    let size = fs::metadata(files(dir.path()).remove(0)).unwrap().len();
    let foreign = dir.path().join("code/notes.txt");
    fs::write(&foreign, "mine").unwrap();
    let small = engine(dir.path(), size + size / 2);
    assert!(!cached(&small, &fixture("exits-with-zero-in-start"), "ok").await);
    assert!(cached(&small, &fixture("exits-with-zero-in-start"), "ok").await);
    assert!(!cached(&small, &fixture("minimal"), "ok").await, "it should have gone");
    assert!(foreign.exists());
    assert_eq!(files(dir.path()).len(), 2);
}

#[tokio::test]
async fn what_another_process_has_compiled_meanwhile_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (engine(dir.path(), 1 << 30), engine(dir.path(), 1 << 30));
    assert!(!cached(&one, &fixture("minimal"), "ok").await);
    assert!(cached(&other, &fixture("minimal"), "ok").await);
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_write_what_we_execute() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    assert!(!cached(&engine(dir.path(), 1 << 30), &fixture("minimal"), "ok").await);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join("code")), 0o700);
    assert_eq!(mode(&files(dir.path())[0]), 0o600);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("code"), "a file").unwrap();
    let config = EngineConfig { cache_dir: Some(dir.path().join("code")), ..config() };
    assert_eq!(Engine::new(config).unwrap_err().code(), "compile_cache_unusable");
}
