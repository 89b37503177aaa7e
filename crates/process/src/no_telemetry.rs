//! The telemetry of ONNX Runtime, which is off in every binary.

use std::env;
use std::fs;

/// The variable that ONNX Runtime reads when its library starts.
pub const ORT_DISABLE_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// Keeps ONNX Runtime from collecting data about the process and its models. The official builds do that since version
/// 1.29: they write a device id and a database of events to the cache folder of the user, and send the events. The
/// function of its API that turns telemetry off comes too late, because it needs the environment that starts it. This
/// sets `ORT_DISABLE_TELEMETRY=1`, unless the variable has a value.
///
/// Call it first in `main`. It does nothing if the process has other threads, because they may read the environment.
/// Source: docs/Privacy.md of ONNX Runtime.
pub fn disable_onnx_telemetry() {
    let is_set = env::var_os(ORT_DISABLE_TELEMETRY).is_some_and(|value| !value.is_empty());
    let threads = fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    if is_set || threads != 1 {
        return;
    }
    // SAFETY: this thread is the only one of the process, so no other one reads or writes the environment.
    #[expect(unsafe_code, reason = "no other way to set a variable that a C library reads")]
    unsafe {
        env::set_var(ORT_DISABLE_TELEMETRY, "1");
    }
}
