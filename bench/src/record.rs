//! A run of the benchmark as it is kept: `bench/results/DATE-COMMIT.json`. `bench/README.md` describes the format.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    machine::{Machine, said_by},
    report::Report,
    settings::Settings,
};

/// Counts up when a field changes its meaning.
const SCHEMA: u32 = 1;

/// Everything about one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) schema: u32,
    /// When it began, in UTC.
    pub(crate) date: String,
    /// What was measured, abbreviated; with `-changed` if the checkout had changes that are not committed.
    pub(crate) commit: String,
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    pub(crate) scenarios: Vec<Report>,
}

impl Record {
    /// Begins a record.
    pub(crate) fn begin(settings: Settings) -> Result<Self> {
        let commit = said_by("git", &["rev-parse", "--short=10", "HEAD"]);
        let changed = !said_by("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
        Ok(Self {
            schema: SCHEMA,
            date: OffsetDateTime::now_utc().replace_nanosecond(0)?.format(&Rfc3339)?,
            commit: format!("{commit}{}", if changed { "-changed" } else { "" }),
            machine: Machine::here(),
            settings,
            scenarios: Vec::new(),
        })
    }

    /// Reads a record.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let record: Self = serde_json::from_str(&text).with_context(|| format!("{} is no record", file.display()))?;
        ensure!(record.schema == SCHEMA, "{} has schema {}, this is {SCHEMA}", file.display(), record.schema);
        Ok(record)
    }

    /// Writes the record to its place and returns that.
    pub(crate) fn write(&self) -> Result<PathBuf> {
        let file = self.file("", "json");
        fs::create_dir_all(folder())?;
        fs::write(&file, serde_json::to_string_pretty(self)? + "\n").with_context(|| file.display().to_string())?;
        Ok(file)
    }

    /// Returns where something of this run is kept.
    pub(crate) fn file(&self, part: &str, extension: &str) -> PathBuf {
        let minute: String = self.date.chars().take(16).filter(|sign| *sign != ':').collect();
        folder().join(format!("{minute}-{}{part}.{extension}", self.commit))
    }

    /// Returns what a scenario measured.
    pub(crate) fn scenario(&self, name: &str) -> Option<&Report> {
        self.scenarios.iter().find(|report| report.scenario == name)
    }

    /// Says in a few lines on what and how all of it was measured.
    pub(crate) fn heading(&self) -> String {
        let Machine { processor, cores, memory_mib, kernel, load_before, versions } = &self.machine;
        let versions: Vec<_> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let Settings { rounds, turn_ms, quick, peers } = self.settings;
        format!(
            "wattle {} on {}\n{processor}, {cores} cores, {memory_mib} MiB, Linux {kernel}, load before {load_before}\n\
             {}\n{rounds} rounds, turns of {turn_ms} ms{}{}; figures are the median over rounds [least .. most]\n",
            self.commit,
            self.date,
            versions.join(", "),
            if quick { ", QUICK: do not quote" } else { "" },
            if peers { ", with peers" } else { "" },
        )
    }
}

/// Returns where records are kept.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("results")
}
