//! The command `tokenize`.

use std::io::Write;

use semblance::options::TokenizeOptions;
use semblance::outcome::Token;
use semblance_api::check_text;
use serde::{Serialize, Serializer as _};

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
    let model = settings.load()?;
    // One text at a time is in memory as tokens.
    let tokenized = |index: usize| {
        let tokenized = model.tokenize_with(&arguments.texts[index..=index], &options);
        tokenized.map_err(|error| CommandError::from_texts(error, |_| Location::Text(index + 1)))
    };
    let indices = 0..arguments.texts.len();
    // Nothing is written if a text is invalid.
    indices.clone().try_for_each(|index| tokenized(index).map(drop))?;
    let mut separator = if arguments.json { "[" } else { "" };
    for index in indices {
        let tokenized = tokenized(index)?;
        let mut items = tokenized.tokens.iter().flatten().map(Item::from);
        write!(out, "{separator}")?;
        if arguments.json {
            let mut json = serde_json::Serializer::new(&mut *out);
            json.collect_seq(items).map_err(std::io::Error::from)?;
            separator = ",";
        } else {
            items.try_for_each(|item| line(&item, out))?;
            separator = "\n";
        }
    }
    if arguments.json {
        writeln!(out, "]")?;
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
