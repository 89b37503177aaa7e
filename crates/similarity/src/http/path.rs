//! The path of a request in an event, without what the platform put before it.

use std::fmt::Write as _;

use semblance_api::routes;

/// What an event says about the path of its request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PathParts<'a> {
    /// The path, with the stage or the base path of a domain before it.
    pub(super) path: &'a str,
    /// The stage of the API.
    pub(super) stage: Option<&'a str>,
    /// Whether the platform puts the stage before the path.
    pub(super) has_stage: bool,
    /// The path of the API's resource or route, such as `/{proxy+}` or `/nlp/{proxy+}`.
    pub(super) resource: Option<&'a str>,
    /// The part of the path that `{proxy+}` matched.
    pub(super) proxy: Option<&'a str>,
    /// The configured base path.
    pub(super) base: Option<&'a str>,
}

impl PathParts<'_> {
    /// Returns the path of a route, or the path of the event if it has none.
    ///
    /// The platform puts a stage, a base path of a custom domain or the prefix of a resource before the
    /// path. Candidates are tried in order, the most certain first.
    pub(super) fn route(&self) -> String {
        let path = normalize(self.path);
        let proxy = self.proxy.map(normalize).filter(|proxy| ends_with(&path, proxy));
        let resource =
            self.resource.filter(|resource| resource.starts_with('/')).unwrap_or_default();
        let plain = (!resource.is_empty() && !resource.contains('{')).then(|| normalize(resource));
        let plain = plain.filter(|resource| ends_with(&path, resource));
        let stage = self.stage.filter(|stage| *stage != "$default");
        let shorter = stage.and_then(|stage| without(&path, stage));
        let mut candidates = Vec::new();
        // `/{proxy+}`: what is before the parameter is not part of the API.
        if resource.ends_with("+}") && resource.matches('/').count() == 1 {
            candidates.extend(proxy.clone());
        }
        candidates.extend(plain);
        if self.has_stage {
            candidates.extend(shorter.clone());
        }
        candidates.push(path.clone());
        candidates.extend(proxy.into_iter().chain(shorter));
        // The root of the API below a base path.
        if resource == "/" {
            candidates.push("/".to_owned());
        }
        let base = self.base.unwrap_or_default();
        let shorter: Vec<String> =
            candidates.iter().filter_map(|path| without(path, base)).collect();
        shorter.into_iter().chain(candidates).find(|path| is_route(path)).unwrap_or(path)
    }
}

/// Whether a path has a route.
pub(super) fn is_route(path: &str) -> bool {
    routes().any(|route| match route.path.split_once('{') {
        Some((prefix, _)) => path.len() > prefix.len() && path.starts_with(prefix),
        None => path == route.path,
    })
}

/// Returns a path with one slash before each segment. Repeated slashes and a slash at the end do not
/// count. Characters that a URI cannot contain are percent-encoded; `.` and `..` are plain segments.
fn normalize(path: &str) -> String {
    let mut normal = String::with_capacity(path.len() + 1);
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        normal.push('/');
        for byte in segment.bytes() {
            let is_plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(&byte);
            // Writing to a string does not fail.
            let _ = match is_plain {
                true => write!(normal, "{}", char::from(byte)),
                false => write!(normal, "%{byte:02X}"),
            };
        }
    }
    if normal.is_empty() { "/".to_owned() } else { normal }
}

/// Whether a path ends with these segments, at least one.
fn ends_with(path: &str, segments: &str) -> bool {
    segments != "/" && path.ends_with(segments)
}

/// Returns a path without its leading segments; `None` if it does not begin with them.
fn without(path: &str, prefix: &str) -> Option<String> {
    let prefix = normalize(prefix);
    match path.strip_prefix(&prefix)? {
        _ if prefix == "/" => None,
        "" => Some("/".to_owned()),
        rest => rest.starts_with('/').then(|| rest.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str) -> String {
        PathParts { path, ..PathParts::default() }.route()
    }

    #[test]
    fn slashes_do_not_count_and_dots_are_segments() {
        for path in ["/embed", "//embed", "/embed/", "embed", "///embed//"] {
            assert_eq!(route(path), "/embed");
        }
        assert_eq!(route(""), "/");
        assert_eq!(route("//"), "/");
        assert_eq!(route("/v1//models///m/"), "/v1/models/m");
        for path in ["/health/../embed", "/./embed", "/health/%2e%2e/embed", "/%65mbed"] {
            assert_eq!(route(path), path);
        }
        assert_eq!(route("/a b\"ñ?x#y"), "/a%20b%22%C3%B1%3Fx%23y");
    }

    #[test]
    fn what_the_platform_puts_before_the_path_is_removed() {
        let api = |resource, proxy, stage, path| {
            let (resource, stage) = (Some(resource), Some(stage));
            let parts = PathParts { path, stage, resource, ..PathParts::default() };
            PathParts { proxy: Some(proxy), ..parts }.route()
        };
        // A base path of a custom domain, the prefix of a resource, a stage.
        assert_eq!(api("/{proxy+}", "embed", "prod", "/nlp/embed"), "/embed");
        assert_eq!(api("/nlp/{proxy+}", "embed", "prod", "/nlp/embed"), "/embed");
        assert_eq!(api("/{proxy+}", "v1/embeddings", "v1", "/v1/v1/embeddings"), "/v1/embeddings");
        assert_eq!(api("/{proxy+}", "v1/embeddings", "v1", "/v1/embeddings"), "/v1/embeddings");
        assert_eq!(
            api("/{any+}", "v1/models/a%20b", "p", "/n/v1/models/a%20b/"),
            "/v1/models/a%20b"
        );
        assert_eq!(api("/embed", "", "prod", "/a/b/embed"), "/embed");
        assert_eq!(api("/rerank", "", "prod", "/v1/rerank"), "/rerank");
        assert_eq!(api("/", "", "prod", "/nlp"), "/");
        assert_eq!(api("/", "", "prod", "/embed"), "/embed");
        assert_eq!(api("/{proxy+}", "", "prod", "/embed"), "/embed");
        // The prefix of a resource can be part of a route.
        assert_eq!(api("/v2/{proxy+}", "rerank", "prod", "/v2/rerank"), "/v2/rerank");
        // Another parameter of the example events of AWS.
        assert_eq!(api("/{proxy+}", "path/to/resource", "prod", "/embed"), "/embed");
    }

    #[test]
    fn a_stage_is_removed_if_it_is_there() {
        let api = |has_stage, stage, path| {
            PathParts { path, stage: Some(stage), has_stage, ..PathParts::default() }.route()
        };
        for has_stage in [true, false] {
            assert_eq!(api(has_stage, "prod", "/prod/embed"), "/embed");
            assert_eq!(api(has_stage, "prod", "/prod"), "/");
            assert_eq!(api(has_stage, "prod", "/embed"), "/embed");
            assert_eq!(api(has_stage, "v1", "/v1/v1/embeddings"), "/v1/embeddings");
            assert_eq!(api(has_stage, "$default", "/embed"), "/embed");
            assert_eq!(api(has_stage, "", "/embed"), "/embed");
            assert_eq!(api(has_stage, "prod", "/production/embed"), "/production/embed");
        }
        assert_eq!(api(true, "v1", "/v1/rerank"), "/rerank");
        assert_eq!(api(false, "v1", "/v1/rerank"), "/v1/rerank");
    }

    #[test]
    fn a_configured_base_path_is_removed() {
        let event = |path| PathParts { path, base: Some("/a/nlp"), ..PathParts::default() }.route();
        assert_eq!(event("/a/nlp/embed"), "/embed");
        assert_eq!(event("/a/nlp/"), "/");
        assert_eq!(event("/embed"), "/embed");
        let stage = Some("prod");
        let parts =
            PathParts { path: "/prod/nlp/embed", stage, base: Some("nlp/"), ..Default::default() };
        assert_eq!(parts.route(), "/embed");
    }
}
