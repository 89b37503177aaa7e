//! What one cold start measured.

pub(crate) struct Measure {
    /// What it is part of, outermost first, and its own name last.
    pub(crate) path: Vec<String>,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
}

#[derive(Default)]
pub(crate) struct Run(pub(crate) Vec<Measure>);

impl Run {
    pub(crate) fn add(&mut self, path: &[&str], unit: &'static str, value: f64) {
        let path = path.iter().map(ToString::to_string).collect();
        self.0.push(Measure { path, unit, value });
    }

    pub(crate) fn ms(&mut self, path: &[&str], value: f64) {
        self.add(path, "ms", value);
    }

    pub(crate) fn mb(&mut self, path: &[&str], bytes: f64) {
        self.add(path, "MB", bytes / 1e6);
    }

    pub(crate) fn count(&mut self, path: &[&str], value: f64) {
        self.add(path, "", value);
    }

    /// A total and its parts.
    pub(crate) fn parts(&mut self, name: &str, unit: &'static str, parts: &[(String, f64)]) {
        self.add(&[name], unit, parts.iter().map(|(_, value)| value).sum());
        for (part, value) in parts {
            self.add(&[name, part], unit, *value);
        }
    }
}
