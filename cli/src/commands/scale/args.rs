//! On how many hosts, and on which: what actors and providers have in common.

use clap::Args;
use wattle_types::control::{Scale, SpreadGroup};

use crate::{
    commands::pairs::{self, Pair},
    error::CliError,
};

/// On how many hosts, and on which.
#[derive(Debug, Args)]
pub(super) struct ScaleArgs {
    /// On how many hosts it runs, one of it on each; 0 ends it.
    #[arg(long, value_name = "HOSTS")]
    pub(super) replicas: u32,
    /// Hosts with these labels get their share, by weight; repeat for more groups. Hosts in none of them get nothing
    /// [default: all hosts alike].
    #[arg(long, value_name = "KEY=VALUE[,...][:WEIGHT]", value_parser = group)]
    spread: Vec<SpreadGroup>,
    /// A label that every host must have; repeat for more.
    #[arg(long = "constraint", value_name = "KEY=VALUE", value_parser = pairs::pair)]
    constraints: Vec<Pair>,
    /// Kept in the inventories; repeat for more.
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = pairs::pair)]
    annotations: Vec<Pair>,
    /// Although links need what it does not claim or serve, or running actors a provider that ends.
    #[arg(long)]
    pub(super) force: bool,
}

impl ScaleArgs {
    pub(super) fn scale(self) -> Result<Scale, CliError> {
        Ok(Scale {
            replicas: self.replicas,
            spread: self.spread,
            constraints: pairs::each_once(self.constraints)?,
            annotations: pairs::each_once(self.annotations)?,
        })
    }
}

/// Reads `zone=a:2`, or `zone=a,disk=ssd:2`; the weight is 1 when it is not given.
fn group(text: &str) -> Result<SpreadGroup, String> {
    let wrong = || "write it as KEY=VALUE:WEIGHT, the weight a number from 1, as in zone=a:2".to_owned();
    let (labels, weight) = match text.rsplit_once(':') {
        Some((labels, weight)) => (labels, weight.parse().ok().filter(|weight| *weight > 0).ok_or_else(wrong)?),
        None => (text, 1),
    };
    let labels = labels.split(',').map(pairs::pair).collect::<Result<Vec<_>, _>>().map_err(|_| wrong())?;
    let labels = pairs::each_once(labels).map_err(|error| error.to_string())?;
    Ok(SpreadGroup { labels, weight })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_labels_and_a_weight() {
        let read = |text| group(text).map(|group| (group.labels.into_iter().collect::<Vec<_>>(), group.weight));
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(read("zone=a:2"), Ok((vec![pair("zone", "a")], 2)));
        assert_eq!(read("zone=a"), Ok((vec![pair("zone", "a")], 1)));
        assert_eq!(read("zone=a,disk=ssd:3"), Ok((vec![pair("disk", "ssd"), pair("zone", "a")], 3)));
        for bad in [
            "",
            "zone",
            "zone:2",
            "zone=a:",
            "zone=a:0",
            "zone=a:-1",
            "zone=a:many",
            "=a:1",
            "zone=a,:1",
            "zone=a,zone=b",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
