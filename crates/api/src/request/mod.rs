//! The parts of a request that every dialect shares: fields, texts and errors.

mod error;
mod field;
mod filter;
mod text;
mod texts;

pub use error::{Kind, RequestError};
pub use field::Field;
pub use filter::{filter_from_json, metadata_from_json, metadata_to_json};
pub use text::{TextFault, check_text};
pub(crate) use texts::OneText;
pub use texts::Texts;
