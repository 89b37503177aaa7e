//! The wire: requests checked against limits, answers in the dialect that was spoken, and the codes
//! of what can go wrong.

mod about;
pub mod cohere;
mod decode;
mod embed;
mod error;
mod limits;
pub mod openai;
mod operation;
mod predict;
mod rerank;
mod similarity;
pub mod tei;
mod texts;
mod tokenize;

pub use about::{About, AboutCrossEncoder, ModelType};
pub use decode::{check_text, parse_json, text_of};
pub use embed::{EmbedRequest, Embedded};
pub use error::{Field, Kind, RequestError};
pub use limits::Limits;
pub use operation::{Answer, EmbedForm, Form, Operation, RerankForm, SimilarityForm, Status};
pub use predict::{PredictRequest, Predicted};
pub use rerank::{RerankRequest, Reranked, Scorer};
pub use similarity::{SimilarityRequest, SimilarityResponse, Truncated};
pub use texts::{Cut, Texts};
pub use tokenize::{TokenOfText, TokenizeRequest};
