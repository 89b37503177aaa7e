//! The command `search`. It runs the operation of the function and the server.

use std::io::Write;

use semblance::corpus::{CorpusError, Filter};
use semblance_api::{ApiError, RequestError, Service, decode_event, filter_from_json, parse_json};
use serde_json::{Value, json};

use crate::arguments::SearchArguments;
use crate::error::CommandError;
use crate::settings::Settings;

pub(super) fn run(arguments: &SearchArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let settings = Settings::for_search(arguments)?;
    let filter = match arguments.filter.as_deref() {
        Some(text) => {
            filter(text)?;
            Some(argument_json(text)?)
        }
        None => None,
    };
    let (folder, name) = catalog_entry(arguments);
    let event = json!({
        "operation": "search",
        "index": name,
        "query": arguments.queries,
        "top_k": arguments.top_k,
        "filter": filter,
        "exact": arguments.exact,
        "rerank": arguments.rerank,
        "prompt_name": arguments.prompt_name,
    });
    let call = decode_event(event, settings.limits()).map_err(ApiError::from)?;
    let service = Service::new(settings.load()?, settings.service_options());
    let service = service.with_indexes(Some(folder));
    let answer = call.run(&service).map_err(|error| with_folder(error, arguments))?;
    let reply = answer.reply.body.get();
    if arguments.json {
        writeln!(out, "{reply}")?;
    } else {
        let reply = serde_json::from_str(reply).map_err(std::io::Error::from)?;
        table(&arguments.queries, &reply, out)?;
    }
    out.flush()?;
    Ok(())
}

/// Replaces the error of the routes, which has no path, by one with the folder.
fn with_folder(error: ApiError, arguments: &SearchArguments) -> CommandError {
    match error {
        ApiError::UnknownIndex => {
            let folder = arguments.index.index.display().to_string();
            CorpusError::NotFound { folder }.into()
        }
        other => other.into(),
    }
}

/// Returns the filter of an argument.
pub(super) fn filter(text: &str) -> Result<Filter, CommandError> {
    filter_from_json(&argument_json(text)?).map_err(invalid_filter)
}

fn invalid_filter(source: RequestError) -> CommandError {
    CommandError::Argument { argument: "--filter", source: Box::new(source) }
}

fn argument_json(text: &str) -> Result<Value, CommandError> {
    parse_json(text.as_bytes()).map_err(invalid_filter)
}

/// Returns the folder of indexes and the name of the index in it.
fn catalog_entry(arguments: &SearchArguments) -> (std::path::PathBuf, String) {
    let index = &arguments.index.index;
    let path = std::path::absolute(index).unwrap_or_else(|_| index.clone());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let folder = path.parent().map(std::path::Path::to_path_buf);
    (folder.unwrap_or_default(), name.unwrap_or_default())
}

fn table(queries: &[String], reply: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    for (query, rows) in queries.iter().zip(reply["results"].as_array().into_iter().flatten()) {
        if queries.len() > 1 {
            writeln!(out, "{query}")?;
        }
        for row in rows.as_array().into_iter().flatten() {
            let score = row["score"].as_f64().unwrap_or(0.0);
            let reranked = row["rerank_score"].as_f64();
            let reranked = reranked.map_or(String::new(), |score| format!("  {score:8.5}"));
            writeln!(out, "{score:8.5}{reranked}  {}  {}", text(row, "id"), text(row, "text"))?;
        }
    }
    let kind = if reply["exact"] == true { "exact" } else { "approximate" };
    writeln!(out, "{} rows searched, {kind}", reply["searched"])
}
