//! The command `tokenize`.

use std::io::Write;

use semblance::options::TokenizeOptions;
use semblance::outcome::Token;
use semblance_api::check_text;
use serde::Serialize;

use crate::arguments::TokenizeArguments;
use crate::error::{CommandError, Location};
use crate::settings::Settings;

/// A token. Positions count characters of the text.
#[derive(Serialize)]
struct Item<'a> {
    id: u32,
    text: &'a str,
    special: bool,
    start: Option<usize>,
    stop: Option<usize>,
}

impl<'a> From<&'a Token> for Item<'a> {
    fn from(token: &'a Token) -> Self {
        let characters = token.characters.as_ref();
        Self {
            id: token.id,
            text: &token.text,
            special: characters.is_none(),
            start: characters.map(|range| range.start),
            stop: characters.map(|range| range.end),
        }
    }
}

pub(super) fn run(arguments: &TokenizeArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let settings = Settings::new(&arguments.model)?;
    for (index, text) in arguments.texts.iter().enumerate() {
        let location = Location::Text(index + 1);
        check_text(text, settings.limits())
            .map_err(|fault| CommandError::Text { location, fault })?;
    }
    let options = TokenizeOptions {
        special_tokens: !arguments.no_special_tokens,
        ..TokenizeOptions::default()
    };
    let tokenized = settings.load()?.tokenize_with(&arguments.texts, &options);
    let tokenized = tokenized
        .map_err(|error| CommandError::from_texts(error, |index| Location::Text(index + 1)))?;
    if arguments.json {
        let all: Vec<Vec<Item<'_>>> =
            tokenized.tokens.iter().map(|tokens| tokens.iter().map(Item::from).collect()).collect();
        serde_json::to_writer(&mut *out, &all).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        for (index, tokens) in tokenized.tokens.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            tokens.iter().try_for_each(|token| line(&token.into(), out))?;
        }
    }
    Ok(out.flush()?)
}

fn line(item: &Item<'_>, out: &mut dyn Write) -> std::io::Result<()> {
    let Item { id, text, .. } = item;
    match (item.start, item.stop) {
        (Some(start), Some(stop)) => writeln!(out, "{id:6}  {start:5}-{stop:<5}  {text}"),
        _ => writeln!(out, "{id:6}  {:11}  {text}", "special"),
    }
}
