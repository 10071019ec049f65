//! [`Address`]: the path and the query of a page, and the addresses of the same page with something else.
//!
//! Everything that a page shows follows from its address: range, metric, grouping, sorting, search and page.

use actix_web::HttpRequest;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What a page is told once: that something was done. No link of the page repeats it.
pub(crate) const DONE: &str = "done";

/// What stands in a query as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The address of a page. What a form sends empty is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Address {
    path: String,
    query: Vec<(String, String)>,
}

impl Address {
    /// The address that a browser asked for.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        Self::new(request.path(), request.query_string())
    }

    fn new(path: &str, query: &str) -> Self {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let decoded = pairs.map(|(name, value)| (decoded(name), decoded(value)));
        // No name or text of ours has a control character, and PostgreSQL refuses NUL.
        let readable =
            decoded.filter(|(_, value)| !value.trim().is_empty() && !value.chars().any(char::is_control));
        Self { path: encoded_path(path), query: readable.collect() }
    }

    /// Another page without a query.
    pub(crate) fn to(path: impl Into<String>) -> Self {
        Self { path: path.into(), query: Vec::new() }
    }

    /// A value of the query.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// The same with other values; an empty one takes the name away.
    pub(crate) fn with(&self, changes: &[(&str, &str)]) -> Self {
        let mut query = self.query.clone();
        query.retain(|(name, _)| name != DONE && changes.iter().all(|(changed, _)| changed != name));
        let added = changes.iter().filter(|(_, value)| !value.is_empty());
        query.extend(added.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self { path: self.path.clone(), query }
    }

    /// Another page with those of the values that it shares with this one.
    pub(crate) fn sharing(&self, path: impl Into<String>, names: &[&str]) -> Self {
        let shared = self.query.iter().filter(|(name, _)| names.contains(&name.as_str()));
        Self { path: path.into(), query: shared.cloned().collect() }
    }

    /// As it stands in a link.
    pub(crate) fn link(&self) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, KEPT).to_string();
        let pairs: Vec<String> =
            self.query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        if pairs.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, pairs.join("&")) }
    }

    /// The values as hidden fields of a form, without those that the form asks for itself.
    pub(crate) fn fields(&self, without: &[&str]) -> Vec<(String, String)> {
        let kept = self.query.iter().filter(|(name, _)| name != DONE && !without.contains(&name.as_str()));
        kept.cloned().collect()
    }

    /// The path.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// A part of a path with every mark that is more than a letter or digit written as `%..`.
pub(crate) fn encoded_part(part: &str) -> String {
    utf8_percent_encode(part, KEPT).to_string()
}

/// Each part on its own, as a request's path comes partly decoded.
fn encoded_path(path: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| encoded_part(&percent_encoding::percent_decode_str(part).decode_utf8_lossy()));
    parts.collect::<Vec<_>>().join("/")
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// Whether an address leads to a page of ours: a path and nothing that a browser takes for another server.
pub(crate) fn is_local(address: &str) -> bool {
    address.starts_with('/')
        && !address.starts_with("//")
        && !address.contains(['\\', '#'])
        && !address.chars().any(|mark| mark.is_control() || mark.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_changes_one_thing_and_keeps_the_rest() {
        let address =
            Address::new("/organizations/a%20b", "sort=cost&search=%C5%82%26+x&page=2&empty=&nul=%00");
        assert_eq!(
            (address.get("search"), address.get("empty"), address.get("nul")),
            (Some("ł& x"), None, None)
        );
        assert_eq!(
            address.with(&[("page", ""), ("sort", "name")]).link(),
            "/organizations/a%20b?search=%C5%82%26%20x&sort=name"
        );
        let told = address.with(&[(DONE, "key-saved")]);
        assert_eq!(told.get(DONE), Some("key-saved"));
        assert_eq!((told.with(&[]).get(DONE), told.fields(&[]).len()), (None, 3), "it is told once");
        assert_eq!(address.sharing("/other", &["page"]).link(), "/other?page=2");
        assert_eq!(address.fields(&["page", "search"]), [("sort".to_owned(), "cost".to_owned())]);
        assert_eq!(Address::to("/x").link(), "/x");
    }

    #[test]
    fn only_pages_of_ours_are_local() {
        assert!(is_local("/organizations/abc?range=7d"));
        for foreign in [
            "",
            "x",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\nb",
            "/a b",
            "/\t/evil.example",
        ] {
            assert!(!is_local(foreign), "{foreign:?}");
        }
    }
}
