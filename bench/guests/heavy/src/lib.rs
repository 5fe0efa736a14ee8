//! Large: regular expressions, templates, Markdown and JSON; with the feature `sql`, larger.
//!
//! Every operation takes its pattern, template or text from the caller, so nothing can be computed beforehand.

use wattle_actor::{Error, Raw, Result};

wattle_actor::actor! {
    "ping" => ping,
    "regex" => matches,
    "template" => render,
    "markdown" => html,
    "json" => pretty,
    "sql" => parse,
    "unsql" => unparse,
}

fn ping(payload: Raw) -> Raw {
    payload
}

/// First line: the pattern. The rest: where it is looked for.
fn matches(payload: Raw) -> Result<Raw> {
    let (pattern, text) = split(&payload)?;
    let regex = regex::Regex::new(pattern).map_err(said)?;
    Ok(Raw(regex.find_iter(text).count().to_string().into_bytes()))
}

/// First line: the values, as JSON. The rest: the template.
fn render(payload: Raw) -> Result<Raw> {
    let (values, template) = split(&payload)?;
    let values: serde_json::Value = serde_json::from_str(values).map_err(said)?;
    let text = minijinja::Environment::new().render_str(template, minijinja::value::Serde(values));
    Ok(Raw(text.map_err(said)?.into_bytes()))
}

fn html(payload: Raw) -> Result<Raw> {
    let html = markdown::to_html_with_options(text(&payload)?, &markdown::Options::gfm()).map_err(said)?;
    Ok(Raw(html.into_bytes()))
}

fn pretty(payload: Raw) -> Result<Raw> {
    let document: serde_json::Value = serde_json::from_slice(&payload.0).map_err(said)?;
    Ok(Raw(serde_json::to_vec_pretty(&document).map_err(said)?))
}

/// First line: the dialect. The rest: statements, which come back as JSON.
#[cfg(feature = "sql")]
fn parse(payload: Raw) -> Result<Raw> {
    let (dialect, query) = split(&payload)?;
    let dialect = sqlparser::dialect::dialect_from_str(dialect).ok_or_else(|| Error::new("no such dialect"))?;
    let statements = sqlparser::parser::Parser::parse_sql(dialect.as_ref(), query).map_err(said)?;
    Ok(Raw(serde_json::to_vec(&statements).map_err(said)?))
}

/// Statements as JSON, which come back as SQL.
#[cfg(feature = "sql")]
fn unparse(payload: Raw) -> Result<Raw> {
    let statements: Vec<sqlparser::ast::Statement> = serde_json::from_slice(&payload.0).map_err(said)?;
    Ok(Raw(statements.iter().map(|statement| format!("{statement};\n")).collect::<String>().into_bytes()))
}

#[cfg(not(feature = "sql"))]
fn parse(_: Raw) -> Result<Raw> {
    Err(Error::new("this guest knows no SQL"))
}

#[cfg(not(feature = "sql"))]
fn unparse(_: Raw) -> Result<Raw> {
    Err(Error::new("this guest knows no SQL"))
}

fn text(payload: &Raw) -> Result<&str> {
    std::str::from_utf8(&payload.0).map_err(said)
}

fn split(payload: &Raw) -> Result<(&str, &str)> {
    text(payload)?.split_once('\n').ok_or_else(|| Error::new("two parts are needed, a line feed between them"))
}

fn said(error: impl std::fmt::Display) -> Error {
    Error::new(error.to_string())
}
