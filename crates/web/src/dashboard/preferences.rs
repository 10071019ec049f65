//! The language and the colours that a reader has chosen, kept in cookies of the browser.
//!
//! Any page takes `?lang=pl` and `?theme=dark`: it sets the cookie and leads back to the address without
//! them. So the switches are links, and work without script.

use actix_web::{HttpRequest, HttpResponse, http::header};

use super::{
    language::Language,
    visit::{Visit, redirect},
};

/// The cookies; they say nothing about who somebody is.
const LANGUAGE: &str = "mai_lang";
const THEME: &str = "mai_theme";

/// A year in seconds.
const KEPT_SECONDS: u32 = 31_536_000;

/// The colours of the pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the browser's system has it.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// All of them, in the order of the switch.
    pub(crate) const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// Its code in HTML, cookies and addresses.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.code() == code)
    }
}

/// The language of a page: that of the address, else of the cookie, else what the browser asks for.
pub(crate) fn language(request: &HttpRequest) -> Language {
    let chosen = cookie(request, LANGUAGE).and_then(|code| Language::of_code(&code));
    chosen.unwrap_or_else(|| Language::accepted(request))
}

/// The colours of a page.
pub(crate) fn theme(request: &HttpRequest) -> Theme {
    cookie(request, THEME).and_then(|code| Theme::of_code(&code)).unwrap_or_default()
}

fn cookie(request: &HttpRequest, wanted: &str) -> Option<String> {
    let texts = request.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == wanted).map(|(_, value)| value.trim().to_owned())
}

/// The answer to an address that switches something.
pub(crate) fn switched(visit: &Visit) -> Option<HttpResponse> {
    let language =
        visit.address.get("lang").and_then(Language::of_code).map(|chosen| (LANGUAGE, chosen.code()));
    let theme = visit.address.get("theme").and_then(Theme::of_code).map(|chosen| (THEME, chosen.code()));
    if language.is_none() && theme.is_none() || !visit.request.method().is_safe() {
        return None;
    }
    let mut answer = redirect(&visit.address.with(&[("lang", ""), ("theme", "")]).link());
    for (name, code) in [language, theme].into_iter().flatten() {
        let text = format!("{name}={code}; Path=/; Max-Age={KEPT_SECONDS}; SameSite=Lax");
        if let Ok(cookie) = header::HeaderValue::from_str(&text) {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_cookie_goes_before_what_the_browser_asks_for() {
        let request = |cookies: &str| {
            let request = TestRequest::default().insert_header((header::COOKIE, cookies.to_owned()));
            request.insert_header((header::ACCEPT_LANGUAGE, "pl")).to_http_request()
        };
        assert_eq!(language(&request("a=b; mai_lang=en")), Language::English);
        assert_eq!(language(&request("mai_lang=xx")), Language::Polish);
        assert_eq!(theme(&request("mai_theme=dark")), Theme::Dark);
        assert_eq!(theme(&request("mai_theme=<script>")), Theme::System);
    }
}
