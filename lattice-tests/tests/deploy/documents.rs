//! What `deploy/` says against what the code does.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use wattle_wascap::{KeyKind, KeyPair};

use super::site::shipped;

/// Permissions no test's host uses: most orders of a leader (see their own test), what provider processes are told
/// (see their own test), and what only happens when JetStream has to hold back.
fn is_used_elsewhere(pattern: &str) -> bool {
    is_order(pattern)
        || pattern.starts_with("wasmbus.rpc.default.*.")
        || pattern.starts_with("$JS.FC.")
        || pattern.starts_with("_INBOX.*")
}

fn is_order(pattern: &str) -> bool {
    pattern.starts_with("wasmbus.ctl.v1.default.wattle.")
}

/// Returns the lists of a role in `lattice.conf`, for the lattice `default`: what it may publish and subscribe to,
/// and what it may not hear all the same.
fn permissions(role: &str) -> [Vec<String>; 3] {
    let text = fs::read_to_string(shipped().join("lattice.conf")).unwrap().replace("@LATTICE@", "default");
    let start = text.find(&format!("\n{role}: {{")).unwrap();
    let block = text[start..].split("\n}\n").next().unwrap();
    ["publish: { allow: [", "subscribe: { allow: [", "], deny: ["].map(|head| {
        let list = block.split(head).nth(1).unwrap_or_default().split(']').next().unwrap();
        let lines = list.lines().map(|line| line.split('#').next().unwrap());
        lines.flat_map(|line| line.split('"').skip(1).step_by(2)).map(str::to_owned).collect()
    })
}

/// Returns whether a subject, or another pattern, lies within a pattern.
fn within(subject: &str, pattern: &str) -> bool {
    let (mut subject, mut pattern) = (subject.split('.'), pattern.split('.'));
    loop {
        match (subject.next(), pattern.next()) {
            (Some(_), Some(">")) | (None, None) => return true,
            (Some(">"), _) | (Some(_), None) | (None, Some(_)) => return false,
            (Some(ours), Some(theirs)) if theirs == "*" || ours == theirs => {}
            _ => return false,
        }
    }
}

/// Checks in a server's log that what a host may do is what hosts do.
pub(super) fn every_permission_of_a_host_is_used(log: &str) {
    let sent = |verbs: [&str; 2]| -> BTreeSet<String> {
        let after = |line: &str| verbs.iter().find_map(|verb| line.split_once(verb)).map(|(_, rest)| rest.to_owned());
        let subjects =
            log.lines().filter_map(after).filter_map(|rest| rest.split([' ', ']']).next().map(str::to_owned));
        subjects.collect()
    };
    let used = [sent(["<<- [PUB ", "<<- [HPUB "]), sent(["<<- [SUB ", "<<- [SUB "])];
    for (allowed, used) in permissions("HOST").iter().zip(&used) {
        assert!(!allowed.is_empty());
        for pattern in allowed.iter().filter(|pattern| !is_used_elsewhere(pattern)) {
            assert!(used.iter().any(|subject| within(subject, pattern)), "no host uses {pattern}: {used:?}");
        }
    }
}

fn files() -> Vec<(String, String)> {
    let root = shipped().join("../..");
    let in_deploy = fs::read_dir(shipped()).unwrap().map(|entry| entry.unwrap().path());
    let files = in_deploy.chain([root.join("docs/security.md")]);
    files.map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())).collect()
}

/// Returns the words of a text that begin like this, up to what cannot be part of one.
fn words<'a>(text: &'a str, beginning: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(beginning).filter_map(move |(at, _)| {
        let is_start = text[..at].chars().next_back().is_none_or(|before| before != '-' && !before.is_alphanumeric());
        let rest = &text[at..];
        let end = rest[beginning.len()..].find(|c: char| !c.is_ascii_lowercase() && c != '-');
        is_start.then(|| &rest[..end.map_or(rest.len(), |end| end + beginning.len())])
    })
}

#[test]
fn every_flag_of_wattle_that_is_named_exists() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/src/tests/golden");
    let help: String = fs::read_dir(golden)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("help-"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let flags: BTreeSet<_> = words(&help, "--").collect();
    let mut checked = 0;
    for (file, text) in files() {
        for flag in words(&text, "--").filter(|flag| flag.len() > 2) {
            // Of nats-server and nsc, which these files name, too.
            if [
                "--config",
                "--signal",
                "--allow-pub",
                "--allow-sub",
                "--deny-sub",
                "--allow-pub-response",
                "--response-ttl",
            ]
            .contains(&flag)
                || text.lines().any(|line| line.contains("nsc ") && line.contains(flag))
            {
                continue;
            }
            checked += 1;
            assert!(flags.contains(flag), "{file} names {flag}, which wattle does not know");
        }
    }
    assert!(checked > 5);
}

#[test]
fn hosts_may_give_the_orders_that_leaders_give_and_ask_the_leader() {
    let node = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/lattice/src/node");
    let text = ["leading/command.rs", "standings.rs"].map(|file| fs::read_to_string(node.join(file)).unwrap()).concat();
    let named = text.split("Command::").skip(1).map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap());
    let snake = |name: &str| -> String {
        let parts =
            name.char_indices().map(|(at, c)| if c.is_uppercase() && at > 0 { format!("_{c}") } else { c.into() });
        parts.collect::<String>().to_lowercase()
    };
    let given: BTreeSet<_> = named.map(|name| format!("wasmbus.ctl.v1.default.wattle.{}.*", snake(name))).collect();
    let [publish, ..] = permissions("HOST");
    assert_eq!(publish.into_iter().filter(|pattern| is_order(pattern)).collect::<BTreeSet<_>>(), given);
}

#[test]
fn tokens_allow_what_the_configuration_allows() {
    let script = fs::read_to_string(shipped().join("jwt.sh")).unwrap().replace("'\"$lattice\"'", "default");
    for role in ["HOST", "PROVIDER", "OPERATOR", "OBSERVER", "LEAF"] {
        let start = script.find(&format!("\nadd {} \\\n", role.to_lowercase())).unwrap();
        let command = script[start..].split("\n\n").next().unwrap();
        let [publish, subscribe, deny] = ["--allow-pub '", "--allow-sub '", "--deny-sub '"].map(|head| -> Vec<_> {
            command.split(head).skip(1).map(|rest| rest.split('\'').next().unwrap().to_owned()).collect()
        });
        assert_eq!([publish, subscribe, deny], permissions(role), "{role}");
    }
}

#[test]
fn new_certificates_are_of_the_authority_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let run = |command: &mut Command| {
        let output = command.current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let make = |names: &[&str]| run(Command::new("sh").arg(shipped().join("certificates.sh")).args(names));
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    make(&["hub.example"]);
    let before = ["ca.pem", "server.pem", "client.pem"].map(read);
    make(&["hub.example", "leaf.example"]);
    fs::rename(folder.path().join("ca.key"), folder.path().join("put-away")).unwrap();
    let refused = Command::new("sh")
        .arg(shipped().join("certificates.sh"))
        .args(["hub.example", "third.example"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(!refused.status.success() && !folder.path().join("third.example.key").exists());
    assert!(before == ["ca.pem", "server.pem", "client.pem"].map(read));
    for (file, name) in [("server.pem", "hub.example"), ("leaf.example.pem", "leaf.example")] {
        for purpose in ["sslserver", "sslclient"] {
            let mut openssl = Command::new("openssl");
            run(openssl.args(["verify", "-CAfile", "ca.pem", "-purpose", purpose, "-verify_hostname", name, file]));
        }
    }
}

#[test]
fn what_new_lattice_is_not_given_right_is_refused() {
    let user = KeyPair::generate(KeyKind::User).unwrap().public_key().to_string();
    let run = |arguments: [&str; 6], password: Option<&str>| {
        let mut script = Command::new("sh");
        script.arg(shipped().join("new-lattice.sh")).args(arguments).env_remove("LEAF_PASSWORD");
        let output = script.envs(password.map(|password| ("LEAF_PASSWORD", password))).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    };
    let with = |lattice, domain| [lattice, user.as_str(), &user, &user, &user, domain];
    let (given, none) = ("0123456789abcdef0123456789abcdef", None);
    assert!(run(with("default", "hub"), Some(given)).unwrap().contains(&format!("password: \"{given}\"")));
    let made = run(with("default", "hub"), none).unwrap();
    assert_eq!(made.split("password: \"").nth(1).unwrap().split('"').next().unwrap().len(), 64);
    for (arguments, password) in [
        (with("default", ""), none),
        (with("default", "a.b"), none),
        (with("a b", "hub"), none),
        (with("default", "hub"), Some("")),
        (with("default", "hub"), Some("short")),
        (with("default", "hub"), Some("0123456789abcdef0123456789abc/e&")),
        (["default", &user, &user, &user, "not-a-key", "hub"], none),
    ] {
        assert_eq!(run(arguments, password), None, "{arguments:?} {password:?}");
    }
}

#[test]
fn a_leaf_node_may_do_for_its_users_what_they_may() {
    let [publish, subscribe, denied] = permissions("LEAF");
    assert_eq!(denied, [""; 0]);
    let holds = |allowed: &[String], pattern: &str| allowed.iter().any(|ours| within(pattern, ours));
    for role in ["HOST", "PROVIDER", "OPERATOR", "OBSERVER"] {
        let [sent, heard, _] = permissions(role);
        for pattern in &sent {
            assert!(holds(&publish, pattern), "{role} at a leaf sends {pattern}");
        }
        for pattern in &heard {
            assert!(holds(&subscribe, pattern), "{role} at a leaf hears {pattern}");
            assert!(holds(&publish, pattern), "{role} at the hub is heard of at a leaf only with all of {pattern}");
        }
    }
}

#[test]
fn patterns_hold_what_they_should() {
    for (subject, pattern, holds) in [
        ("a.b", "a.b", true),
        ("a.b", "a.*", true),
        ("a.b.c", "a.*", false),
        ("a.b.c", "a.>", true),
        ("a", "a.>", false),
        ("a.*", "a.*", true),
        ("a.>", "a.*", false),
        ("a.*", "a.b", false),
    ] {
        assert_eq!(within(subject, pattern), holds, "{subject} in {pattern}");
    }
}
