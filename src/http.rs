//! The operations over plain HTTP: one router, for the server and for HTTP events.

mod gate;

pub use gate::{Gate, GateError, GateLimits};
