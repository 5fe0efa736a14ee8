//! What is the lattice's, and not one host's: declarations, named configurations, links by name; and labels.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use wattle_types::{
    HostId,
    control::{Command, Declaration, DeleteLabel, Link, PutLabel, Reply},
    subject,
};

use super::{Client, accepted, json, read};
use crate::error::{CliError, Kind};

impl Client {
    /// Returns what is declared; nothing where a host is on no lattice.
    pub(crate) async fn declared(&self, host: &HostId) -> Result<Vec<Declaration>, CliError> {
        match self.command(host, &Command::GetDeclared, |_, _, _| {}).await {
            Ok(declared) => serde_json::from_value(declared)
                .map_err(|error| CliError::internal(format!("what is declared cannot be read: {error}"))),
            Err(error) if error.code == "no_lattice" => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Has a host say something of itself.
    pub(crate) async fn put_label(&self, host: &HostId, key: &str, value: &str) -> Result<(), CliError> {
        let label = PutLabel { key: key.to_owned(), value: value.to_owned() };
        let done = self.acknowledged(&subject::control_host(&self.lattice, "label.put", host), json(&label)?).await;
        done.map_err(|error| error.hint("see the labels that hosts have: wattle get hosts"))
    }

    /// Has a host say something no more.
    pub(crate) async fn delete_label(&self, host: &HostId, key: &str) -> Result<(), CliError> {
        let label = DeleteLabel { key: key.to_owned() };
        let done = self.acknowledged(&subject::control_host(&self.lattice, "label.del", host), json(&label)?).await;
        done.map_err(|error| error.hint("see the labels that hosts have: wattle get hosts"))
    }

    /// Keeps a named configuration, instead of what was kept under that name.
    pub(crate) async fn put_config(&self, name: &str, values: &BTreeMap<String, String>) -> Result<(), CliError> {
        let done = self.done_by_any(&format!("config.put.{name}"), &values).await;
        done.map_err(|error| error.hint("what a configuration may be: docs/lattice.md"))
    }

    /// Returns a named configuration.
    pub(crate) async fn config(&self, name: &str) -> Result<BTreeMap<String, String>, CliError> {
        let reply: Reply<BTreeMap<String, String>> = self.ask_any(&format!("config.get.{name}"), Value::Null).await?;
        accepted(&reply)?;
        reply.response.ok_or_else(|| {
            CliError::new(Kind::Usage, "config_not_found", format!("there is no configuration {name:?}"))
                .hint(format!("make it: wattle config put {name} KEY=VALUE"))
        })
    }

    /// Sets a link whose values are those of named configurations.
    pub(crate) async fn put_named_link(&self, link: &Link) -> Result<(), CliError> {
        let done = self.done_by_any("link.put", link).await;
        done.map_err(|error| {
            error
                .hint("see whether the lattice has the configuration: wattle config get NAME")
                .hint("see the links there are: wattle link query")
        })
    }

    /// Has any host do what is answered with words alone.
    async fn done_by_any(&self, verb: &str, body: &impl serde::Serialize) -> Result<(), CliError> {
        let body = serde_json::to_value(body).map_err(|error| CliError::internal(error.to_string()))?;
        accepted(&self.ask_any::<Value>(verb, body).await?)
    }

    /// Sends a request that is answered with words alone. Those who wrote the standard gave refusals no codes.
    async fn acknowledged(&self, subject: &str, body: Bytes) -> Result<(), CliError> {
        accepted(&read::<Reply<Value>>(&self.request(subject, body).await?)?)
    }
}
