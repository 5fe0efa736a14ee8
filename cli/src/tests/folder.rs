//! The folder a command is run in.
//!
//! The test starts itself a second time as the process whose folder is deleted, told by an environment variable.

use std::{path::Path, process::Command};

use super::rig::ScriptedHost;

const FOLDER: &str = "WATTLE_TEST_DELETED_FOLDER";
const NAME: &str = "tests::folder::commands_work_in_a_folder_that_was_deleted";

#[test]
fn commands_work_in_a_folder_that_was_deleted() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return work_in_deleted(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let again = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(FOLDER, folder.path().join("gone"))
        .env("HOME", folder.path())
        .output()
        .unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert!(folder.path().join(".wattle/keys/mine_account.nk").exists());
}

fn work_in_deleted(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    std::env::set_current_dir(folder).unwrap();
    std::fs::remove_dir(folder).unwrap();
    assert!(std::env::current_dir().is_err());
    let run = |line: &str| format!("{:?}", crate::run(line.split(' '), ScriptedHost));
    let [done, usage] = [0, 2].map(|code| format!("{:?}", std::process::ExitCode::from(code)));
    assert_eq!(run("wattle keys gen account --name mine"), done);
    assert_eq!(run("wattle keys list"), done);
    assert_eq!(run("wattle claims inspect here.wasm"), usage, "only what is in the folder is not found");
}
