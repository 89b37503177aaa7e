//! The parts of a request that every dialect shares: fields, texts, and what can be wrong with them.

mod error;
mod field;
mod text;
mod texts;

pub use error::{Kind, RequestError};
pub use field::Field;
pub use text::{TextFault, check_text};
pub use texts::Texts;
