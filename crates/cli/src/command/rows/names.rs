//! Names of metadata columns that differ from those of ids and texts.

/// Returns a name that is not taken: the name with underscores.
pub(in crate::command) fn free_name(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let mut free = format!("{name}_");
    while is_taken(&free) {
        free.push('_');
    }
    free
}
