//! The files that the pages need. Each has the hash of its content in its name, so that browsers may keep it
//! for good and never show a page with a file of another version.

use std::sync::LazyLock;

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use bytes::Bytes;
use flate2::Compression;
use ring::digest::{SHA256, digest};

use super::compression;

/// A file, the name under which it is served, and the same compressed as well as it can be.
struct Asset {
    name: String,
    kind: &'static str,
    content: &'static str,
    compressed: Option<Bytes>,
}

/// How many hexadecimal digits of the hash are in a name.
const HASH_DIGITS: usize = 12;

impl Asset {
    fn new(stem: &str, extension: &str, kind: &'static str, content: &'static str) -> Self {
        let hash = digest(&SHA256, content.as_bytes());
        let nibbles = hash.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digits = nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16));
        let hash: String = digits.take(HASH_DIGITS).collect();
        let compressed = compression::gzip(content.as_bytes(), Compression::best()).map(Bytes::from);
        Self { name: format!("{stem}.{hash}.{extension}"), kind, content, compressed }
    }

    fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("dashboard", "css", "text/css; charset=utf-8", include_str!("../../assets/dashboard.css"))
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("dashboard", "js", "text/javascript; charset=utf-8", include_str!("../../assets/dashboard.js"))
});
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("../../assets/icon.svg")));

/// Where the style is.
pub(crate) fn style() -> String {
    STYLE.path()
}

/// Where the script is.
pub(crate) fn script() -> String {
    SCRIPT.path()
}

/// Where the icon is.
pub(crate) fn icon() -> String {
    ICON.path()
}

/// `GET /assets/{name}`
pub(crate) async fn asset(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let found = [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == *name);
    let Some(asset) = found else { return HttpResponse::NotFound().finish() };
    let mut answer = HttpResponse::Ok();
    answer
        .content_type(asset.kind)
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::VARY, "Accept-Encoding"));
    match &asset.compressed {
        Some(compressed) if compression::is_wanted(&request) => {
            answer.insert_header(header::ContentEncoding::Gzip).body(compressed.clone())
        }
        _ => answer.body(asset.content),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    async fn served(name: &str) -> HttpResponse {
        let request = TestRequest::default().to_http_request();
        super::asset(request, web::Path::from(name.to_owned())).await
    }

    #[actix_web::test]
    async fn a_file_is_served_under_the_name_of_its_content_only() {
        for asset in [&*STYLE, &*SCRIPT, &*ICON] {
            let answer = served(&asset.name).await;
            assert_eq!(answer.status(), 200);
            let kept = answer.headers().get(header::CACHE_CONTROL).unwrap().to_str().unwrap();
            assert!(kept.contains("immutable"), "{kept}");
        }
        assert_eq!(served("dashboard.000000000000.css").await.status(), 404);
        assert!(
            style().starts_with("/assets/dashboard.")
                && style().len() == "/assets/dashboard..css".len() + HASH_DIGITS
        );
    }

    #[test]
    fn dark_is_the_same_whoever_has_chosen_it() {
        let named = |block: &str| -> Vec<String> {
            let rule = block.split('{').nth(1).unwrap().split('}').next().unwrap();
            rule.split(';').map(|one| one.trim().to_owned()).filter(|one| one.starts_with("--")).collect()
        };
        let of = |selector: &str| named(STYLE.content.split(selector).last().unwrap());
        let (by_system, chosen) =
            (of(":root:not([data-theme=\"light\"])"), of("  :root[data-theme=\"dark\"]"));
        assert!(by_system == chosen && chosen.len() > 15, "{by_system:?} {chosen:?}");
        let names = |all: &[String]| -> Vec<String> {
            all.iter().map(|one| one.split(':').next().unwrap().to_owned()).collect()
        };
        let light = named(STYLE.content.split(":root").nth(1).unwrap());
        assert_eq!(names(&light), names(&chosen), "each colour has both");
    }

    #[test]
    fn what_a_page_needs_is_small() {
        assert!(SCRIPT.content.len() < 9_000, "{} bytes of script", SCRIPT.content.len());
        assert!(STYLE.content.len() < 32_000, "{} bytes of style", STYLE.content.len());
    }
}
