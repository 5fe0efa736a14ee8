//! What pages tell people to type to build what ships: the profiles there are, and the dependencies that were tested.

use super::SourceFile;

/// What the program is called where it is built or installed.
const PROGRAM: [&str; 2] = ["-p wattle", "--path host/bin"];

/// Checks the commands in all pages against the workspace's manifest.
pub(super) fn check(files: &[SourceFile]) -> Vec<String> {
    let manifest = files.iter().find(|file| file.path == "Cargo.toml").map_or("", |file| &file.text);
    let pages = files.iter().filter(|file| file.path.ends_with(".md"));
    let commands: Vec<_> = pages.flat_map(|page| page.text.lines().map(|line| (page.path.as_str(), line))).collect();
    let wrong =
        commands.iter().filter_map(|(page, line)| Some(format!("{page}: {}: {line}", complaint(line, manifest)?)));
    let ships = manifest.lines().filter_map(|line| line.strip_prefix("[profile.")?.strip_suffix(']'));
    let ships = ships.filter(|name| manifest.contains(&format!("[profile.{name}]\ninherits")));
    let untold = ships.filter(|name| !commands.iter().any(|(_, line)| line.contains(&format!("--profile {name}"))));
    wrong.chain(untold.map(|name| format!("Cargo.toml: no page says what `--profile {name}` is for"))).collect()
}

fn complaint(line: &str, manifest: &str) -> Option<&'static str> {
    let command = ["cargo build", "cargo install"].iter().find_map(|command| line.find(command))?;
    let command = line.get(command..)?.split('`').next()?;
    let profile = command.split("--profile ").nth(1).and_then(|rest| rest.split_whitespace().next());
    if profile.is_some_and(|name| !manifest.contains(&format!("[profile.{name}]"))) {
        return Some("there is no such profile");
    }
    let is_ours = PROGRAM.iter().any(|program| command.contains(program));
    (is_ours && !command.contains("--locked"))
        .then_some("without `--locked` other dependencies are built than were tested")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(page: &str) -> usize {
        let manifest = "[profile.dev.package]\n[profile.release]\nx = 1\n[profile.dist]\ninherits = \"release\"\n";
        let file = |path: &str, text: &str| SourceFile { path: path.into(), text: text.into() };
        check(&[file("Cargo.toml", manifest), file("docs/a.md", page)]).len()
    }

    #[test]
    fn commands_that_build_what_ships_are_whole() {
        let whole = "cargo build --locked --profile dist -p wattle\n";
        assert_eq!(complaints(whole), 0);
        assert_eq!(complaints(""), 1, "the profile is told nowhere");
        assert_eq!(complaints(&format!("{whole}or `cargo install --path host/bin` it")), 1);
        assert_eq!(complaints(&format!("{whole}cargo build --locked --profile fast -p wattle")), 1);
        assert_eq!(complaints(&format!("{whole}`cargo build -p other`, then --locked")), 0);
    }
}
