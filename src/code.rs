//! Stable error codes. Each is declared once, with its fault class and its description.

use std::fmt;

/// The stable code of an error, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The code, such as `bundle.file_missing`. It does not change between versions.
    pub name: &'static str,
    /// The class of the fault.
    pub fault: Fault,
    /// The cause and the remedy, in one or two sentences.
    pub description: &'static str,
}

/// The class of a fault. A service derives status and log level from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes of a request cannot be read.
    Syntax,
    /// A value of a request is wrong.
    Field,
    /// A text, or a list of texts, exceeds a limit.
    TooLarge,
    /// The whole request, or the whole response, has too many bytes.
    PayloadTooLarge,
    /// The request has no valid API key.
    Unauthorized,
    /// The request refers to a resource that does not exist.
    NotFound,
    /// The client may not make the request.
    Forbidden,
    /// The resource does not support the method.
    Method,
    /// The media type or encoding of the request is not supported.
    MediaType,
    /// The service is overloaded. The same request can succeed later.
    Overload,
    /// The response took longer than the time limit.
    Timeout,
    /// The service stops, or has no connection left.
    Unavailable,
    /// The client did not send the whole request in time.
    RequestTimeout,
    /// The client left before the response was complete.
    Abandoned,
    /// The model or the code failed.
    Internal,
    /// The process cannot start.
    Start,
    /// A command cannot read its input or write its output.
    Command,
}

impl Code {
    /// Returns a code.
    #[must_use]
    pub const fn new(name: &'static str, fault: Fault, description: &'static str) -> Self {
        Self { name, fault, description }
    }
}

/// The codes that several types of errors share.
impl Code {
    /// A text or pair has more tokens than the model reads.
    pub const TOO_MANY_TOKENS: Self = Self::new(
        "request.too_many_tokens",
        Fault::TooLarge,
        "A text or pair has more tokens than the model's limit, and truncation is disabled. Shorten \
         the text or allow truncation.",
    );
    /// A text has no tokens.
    pub const EMPTY_TEXT: Self = Self::new(
        "request.empty_text",
        Fault::Field,
        "A text has no tokens: it is empty, or the tokenizer removes all of its characters, such as \
         white space, control characters and zero-width characters.",
    );
    /// A value is not among the allowed ones.
    pub const UNKNOWN_VALUE: Self = Self::new(
        "request.unknown_value",
        Fault::Field,
        "A value is not among the allowed ones. The message lists them.",
    );
    /// A number is outside its range.
    pub const OUT_OF_RANGE: Self = Self::new(
        "request.out_of_range",
        Fault::Field,
        "A number is outside its range. The message has the range.",
    );
    /// There is no index of a name.
    pub const INDEX_NOT_FOUND: Self =
        Self::new("index.not_found", Fault::NotFound, "There is no index of this name.");
    /// Nobody waits for the response.
    pub const CANCELED: Self = Self::new(
        "request.canceled",
        Fault::Abandoned,
        "The client closed the connection before the response was complete. The request is logged and \
         counted with status 499.",
    );
    /// A forward pass failed.
    pub const INFERENCE_FAILED: Self = Self::new(
        "model.inference_failed",
        Fault::Internal,
        "ONNX Runtime failed, or the model returned an unexpected shape.",
    );
    /// A file of a bundle cannot be read.
    pub const BUNDLE_UNREADABLE: Self = Self::new(
        "bundle.unreadable",
        Fault::Start,
        "A file of the bundle cannot be read or mapped.",
    );
    /// The code panicked.
    pub const PANIC: Self = Self::new(
        "internal.panic",
        Fault::Internal,
        "A bug. The log has the location. The service keeps running.",
    );
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Declares the codes of an error type: `codes!(Type { pattern => code, … } else { pattern =>
/// expression })`.
///
/// Generates `Type::CODES`, the codes of the first block, and `Type::code`. The second block handles
/// variants that wrap another error, whose type declares its own codes.
#[doc(hidden)]
#[macro_export]
macro_rules! codes {
    ($type:ty { $($pattern:pat => $code:expr,)+ } $(else { $($wrapper:pat => $inner:expr,)+ })?) => {
        impl $type {
            /// The codes that this type declares.
            pub const CODES: &'static [$crate::Code] = &[$($code),+];

            /// Returns the stable code.
            #[must_use]
            pub fn code(&self) -> $crate::Code {
                match self {
                    $($pattern => $code,)+
                    $($($wrapper => $inner,)+)?
                }
            }
        }
    };
}
