//! What modules there are, and what their claims say.
//!
//! In Rust, a crate lists its modules in `[[package.metadata.wattle.modules]]`: `name` (of the file), and as needed
//! `title` (what the claims call it; the file's name unless given), `key` (whose modules share a subject key; the name
//! unless given), `features`, `capabilities`, `alias`, `revision`, `version`. In WAT, comment lines
//! `;; @capabilities A B` and `;; @alias NAME` before the module say the same; the module is called `fixtures/FILE`.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    process::{cargo, read},
    workspace::Workspace,
};

/// One module to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipe {
    /// Path of the result below the folder of modules, without its extension.
    pub(super) name: String,
    /// What its claims call it: versions of one actor have one title.
    pub(super) title: String,
    /// Which development key is its subject.
    pub(super) key: String,
    /// What it is made of.
    pub(super) source: Source,
    /// Contracts it may use.
    pub(super) capabilities: Vec<String>,
    /// What other actors may call it by.
    pub(super) alias: Option<String>,
    /// Counts up with each version; 1 unless given.
    pub(super) revision: i32,
    /// The version people read; 0.1.0 unless given.
    pub(super) version: String,
}

/// What a module is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A crate of the guests' workspace.
    Crate {
        /// Its package's name.
        package: String,
        /// The features it is built with.
        features: Vec<String>,
    },
    /// A text file.
    Wat(PathBuf),
}

/// Returns every module, crates first.
pub(super) fn all(workspace: &Workspace) -> Result<Vec<Recipe>> {
    let metadata = read(cargo(&workspace.guests()).args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    let mut recipes = of_crates(&metadata)?;
    recipes.extend(of_texts(workspace)?);
    Ok(recipes)
}

fn of_crates(metadata: &Value) -> Result<Vec<Recipe>> {
    let mut recipes = Vec::new();
    for package in list(&metadata["packages"]) {
        let name = package["name"].as_str().context("a package has no name")?;
        for module in package.pointer("/metadata/wattle/modules").map_or(&[][..], list) {
            recipes.push(of_crate(name, module).with_context(|| format!("metadata.wattle.modules of {name}"))?);
        }
    }
    Ok(recipes)
}

fn of_crate(package: &str, module: &Value) -> Result<Recipe> {
    const KNOWN: [&str; 8] = ["name", "title", "key", "features", "capabilities", "alias", "revision", "version"];
    if let Some(unknown) = module.as_object().into_iter().flatten().find(|(key, _)| !KNOWN.contains(&key.as_str())) {
        bail!("the key {:?} means nothing; known are {}", unknown.0, KNOWN.join(", "));
    }
    let text = |key: &str| module[key].as_str().map(str::to_owned);
    let texts = |key: &str| list(&module[key]).iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let name = text("name").context("a module needs a name")?;
    Ok(Recipe {
        title: text("title").unwrap_or_else(|| last_part(&name)),
        key: text("key").unwrap_or_else(|| name.clone()),
        name,
        source: Source::Crate { package: package.to_owned(), features: texts("features") },
        capabilities: texts("capabilities"),
        alias: text("alias"),
        revision: i32::try_from(module["revision"].as_i64().unwrap_or(1)).context("revision is too large")?,
        version: text("version").unwrap_or_else(|| "0.1.0".into()),
    })
}

fn of_texts(workspace: &Workspace) -> Result<Vec<Recipe>> {
    let dir = workspace.guests().join("fixtures");
    let mut files: Vec<PathBuf> = fs::read_dir(&dir)
        .with_context(|| format!("{} cannot be read", dir.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wat"))
        .collect();
    files.sort();
    files.into_iter().map(of_text).collect()
}

fn of_text(file: PathBuf) -> Result<Recipe> {
    let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let said = |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!(";; @{key} ")).map(str::to_owned));
    let stem = file.file_stem().and_then(|stem| stem.to_str()).context("a file's name is not UTF-8")?;
    let name = format!("fixtures/{stem}");
    Ok(Recipe {
        title: stem.to_owned(),
        key: name.clone(),
        name,
        capabilities: said("capabilities").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        alias: said("alias"),
        revision: 1,
        version: "0.1.0".into(),
        source: Source::Wat(file),
    })
}

fn last_part(name: &str) -> String {
    name.rsplit('/').next().unwrap_or(name).to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_crate_may_make_several_modules_of_one_subject() {
        let metadata = json!({"packages": [{"name": "counter", "metadata": {"wattle": {"modules": [
            {"name": "a", "title": "A", "key": "k"},
            {"name": "fixtures/b", "key": "k", "revision": 2, "features": ["v2"], "capabilities": ["x:y"]},
        ]}}}, {"name": "sdk", "metadata": null}]});
        let [first, second] = of_crates(&metadata).unwrap().try_into().unwrap();
        assert_eq!((first.key.as_str(), first.title.as_str(), first.revision), ("k", "A", 1));
        assert_eq!((second.key.as_str(), second.title.as_str(), second.revision), ("k", "b", 2));
        assert_eq!(second.source, Source::Crate { package: "counter".into(), features: vec!["v2".into()] });
        assert_eq!(second.capabilities, ["x:y"]);
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let error = of_crate("p", &json!({"name": "a", "capabilites": []})).unwrap_err();
        assert!(error.to_string().contains("capabilites"), "{error}");
    }
}
