//! `semblance score`.

use std::io::Write;

use super::Failure;
use super::args::{ScoreArguments, Settings};
use crate::api::{Cut, SimilarityRequest, SimilarityResponse};
use crate::init;
use crate::service::ServiceError;
use crate::text::Side;

pub(super) fn run(arguments: &ScoreArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let settings = Settings::of(&arguments.model)?;
    let top_k = arguments.top_k.map(|top_k| top_k as usize);
    let (query, texts) = (arguments.query.clone(), arguments.texts.clone());
    let request = SimilarityRequest::new(query, texts, settings.limits())
        .map_err(ServiceError::from)?
        .with_top_k(top_k)
        .with_cut(if arguments.no_truncate { Cut::Refuse } else { Cut::At(Side::Right) });
    let (service, _) = init::start(&settings.init_options())?;
    let (scores, usage) = service.similarity(&request)?;
    let response = SimilarityResponse::new(&request, &scores, &usage.cut);
    if arguments.json {
        serde_json::to_writer(&mut *out, &response).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        table(&response, out)?;
    }
    out.flush()?;
    Ok(())
}

fn table(response: &SimilarityResponse, out: &mut dyn Write) -> std::io::Result<()> {
    for (text, score) in &response.scores {
        writeln!(out, "{score:8.5}  {text}")?;
    }
    if let Some(truncated) = &response.truncated {
        let query = if truncated.query { "the query, " } else { "" };
        let texts = &truncated.actual_queries;
        writeln!(out, "cut to the model's limit: {query}texts {texts:?}")?;
    }
    Ok(())
}
