//! Crashes at named points, for tests of debug builds.

use semblance::corpus::Points;

/// Returns points that end the process at the one that `SEMBLANCE_TEST_CRASH_AT` names.
#[cfg(debug_assertions)]
pub(super) fn points() -> Points {
    match semblance_process::Environment::from_process().get("SEMBLANCE_TEST_CRASH_AT") {
        Some(name) => Points::new(move |point| {
            if point == name {
                std::process::abort();
            }
        }),
        None => Points::default(),
    }
}

/// Returns points at which nothing happens.
#[cfg(not(debug_assertions))]
pub(super) fn points() -> Points {
    Points::default()
}
