//! The wire: requests checked against limits, responses, and the codes of what can go wrong.

mod decode;
mod error;
mod limits;
mod similarity;

pub use decode::{check_text, parse_json, text_of};
pub use error::{Field, Kind, RequestError};
pub use limits::Limits;
pub use similarity::{SimilarityRequest, SimilarityResponse, Truncated};
