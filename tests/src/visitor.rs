//! Somebody who uses the dashboard by its pages and forms, without a browser.

use reqwest::{Client, Method, StatusCode, header, redirect::Policy};

use crate::gateway::{Gateway, Installation};

/// Somebody who looks at pages and follows no redirection by itself.
pub struct Visitor {
    /// What sends its requests.
    pub http: Client,
    /// Where the server is.
    pub base: String,
    /// What the server gave it: names and values.
    pub cookies: Vec<(String, String)>,
}

/// A page.
pub struct Page {
    /// Of the answer.
    pub status: StatusCode,
    /// Where a redirection leads; else empty.
    pub location: String,
    /// The content security policy.
    pub policy: String,
    /// The HTML.
    pub text: String,
}

impl Visitor {
    /// Somebody who is not signed in.
    pub fn new(gateway: &Gateway) -> Self {
        crate::install_tls();
        let http = Client::builder().redirect(Policy::none()).build().expect("it is there");
        Self { http, base: gateway.base.clone(), cookies: Vec::new() }
    }

    /// Sends a form as a browser does.
    pub async fn send(&mut self, method: Method, path: &str, form: &[(&str, &str)]) -> Page {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let encoded: Vec<_> = form
            .iter()
            .map(|(name, value)| {
                let bytes = value.bytes().map(|byte| format!("%{byte:02X}"));
                format!("{name}={}", bytes.collect::<String>())
            })
            .collect();
        let request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .header(header::COOKIE, cookies.join("; "))
            .header(header::ACCEPT, "text/html")
            .header(header::ORIGIN, &self.base)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encoded.join("&"));
        let answer = request.send().await.expect("it is there");
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let (name, rest) = cookie.to_str().expect("it is there").split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), rest.split(';').next().expect("it is there").to_owned()));
        }
        let text = |name| {
            answer.headers().get(name).map_or("", |value| value.to_str().expect("it is there")).to_owned()
        };
        Page {
            status: answer.status(),
            location: text(header::LOCATION),
            policy: text(header::CONTENT_SECURITY_POLICY),
            text: answer.text().await.expect("it is there"),
        }
    }

    /// Opens a page.
    pub async fn get(&mut self, path: &str) -> Page {
        self.send(Method::GET, path, &[]).await
    }

    /// Sends a form.
    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Page {
        self.send(Method::POST, path, form).await
    }

    /// The proof that the forms of a page carry.
    pub async fn proof(&mut self, path: &str) -> String {
        let page = self.get(path).await;
        let (_, rest) = page.text.split_once("name=\"csrf_token\" value=\"").expect("a form with a proof");
        rest.split('"').next().expect("it is there").to_owned()
    }
}

/// The first link of an account of an organization.
pub fn link(installation: &Installation, organization: &str, email: &str, more: &[&str]) -> String {
    let arguments = [&["users", "create", "--email", email, "--org", organization, "--json"], more].concat();
    installation.json(&arguments)["token"].as_str().expect("it is there").to_owned()
}

/// Somebody who has come in by a link.
pub async fn by_link(gateway: &Gateway, link: &str) -> Visitor {
    let mut visitor = Visitor::new(gateway);
    let answer = visitor.post("/sign-in/link", &[("token", link), ("next", "/")]).await;
    assert_eq!((answer.status.as_u16(), answer.location.as_str()), (303, "/"));
    visitor
}
