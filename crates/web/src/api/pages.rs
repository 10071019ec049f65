//! The page beside the API: `/api/docs` shows its description and sends requests.

use actix_web::{HttpResponse, http::header, web};

/// Nothing but what this server sends, nothing inline, and nobody may frame it.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The page and its files; they are no operations of the API, so its description has none of them.
pub fn routes(config: &mut web::ServiceConfig) {
    let file = |kind: &'static str, text: &'static str| {
        move || async move {
            HttpResponse::Ok()
                .content_type(kind)
                .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
                .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .insert_header((header::REFERRER_POLICY, "no-referrer"))
                .insert_header((header::CACHE_CONTROL, "no-cache"))
                .body(text)
        }
    };
    config
        .route(
            "/api/docs",
            web::get().to(file("text/html; charset=utf-8", include_str!("../../assets/api.html"))),
        )
        .route("/api/docs/api.css", web::get().to(file("text/css", include_str!("../../assets/api.css"))))
        .route(
            "/api/docs/api.js",
            web::get().to(file("text/javascript", include_str!("../../assets/api.js"))),
        );
}
