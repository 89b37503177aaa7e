//! The parts of a request that every dialect shares: fields, texts and errors.

mod error;
mod field;
mod text;
mod texts;

pub use error::{Kind, RequestError};
pub use field::Field;
pub use text::{TextFault, check_text};
pub(crate) use texts::OneText;
pub use texts::Texts;
