//! Signing in and out, and the own password: forms that work without script.

use actix_web::{HttpResponse, http::StatusCode, web};
use askama::Template;
use mai_organization::{
    audit_log::ActorKind,
    client_organization::{CreatedSession, NewAccount, Role as StoredRole, SessionKind, Standing},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    address::is_local,
    forms::{Proof, sender},
    frame::Frame,
    visit::{Visit, page, page_as, redirect},
};
use crate::api::{
    ApiError, auth,
    caller::{Caller, actor},
    cookie,
};

/// Which of the forms a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Address and password.
    Password,
    /// A one-time link.
    Link,
    /// Another password for whoever is signed in.
    NewPassword {
        /// Whether the present one is asked for.
        asks_current: bool,
    },
    /// The first account of the reseller.
    NewAccount,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    frame: Frame,
    form: Form,
    title: String,
    /// What was wrong with the last attempt.
    problem: Option<String>,
    email: String,
    name: String,
    /// Where to go afterwards.
    next: String,
    csrf_token: String,
}

impl Page {
    fn new(visit: &Visit, form: Form) -> Self {
        let title = visit.language.text(match form {
            Form::Password => "sign-in-title",
            Form::Link => "link-title",
            Form::NewPassword { asks_current: true } => "password-title",
            Form::NewPassword { asks_current: false } => "password-set-title",
            Form::NewAccount => "account-title",
        });
        Self {
            frame: visit.frame(&title),
            form,
            title,
            problem: None,
            email: String::new(),
            name: String::new(),
            next: visit.address.get("next").filter(|next| is_local(next)).unwrap_or_default().to_owned(),
            csrf_token: String::new(),
        }
    }

    /// The same form again, with what was wrong; anything but the sender's own mistake is an error.
    fn again(mut self, visit: &Visit, refusal: &ApiError) -> Result<HttpResponse, ApiError> {
        let key = match (refusal.status, refusal.code, refusal.field) {
            (_, "sign_in_failed", _) if self.form == Form::Link => "link-used",
            (_, "sign_in_failed", _) => "sign-in-wrong",
            (_, "too_many_attempts", _) => "sign-in-too-many",
            (_, "sign_in_busy", _) => "sign-in-busy",
            (_, "already_exists", _) => "account-taken",
            (_, "organization_inactive", _) => "problem-inactive-organization",
            (_, "member_inactive", _) => "problem-inactive-member",
            (StatusCode::BAD_REQUEST, _, Some("current")) => "password-current-wrong",
            (StatusCode::BAD_REQUEST, _, Some("password" | "new")) => "password-unfit",
            (StatusCode::BAD_REQUEST, _, Some("email")) => "account-email-unfit",
            (StatusCode::BAD_REQUEST, _, Some("name")) => "account-name-unfit",
            _ => return Err(refusal.clone()),
        };
        self.problem = Some(visit.language.text(key));
        // The error stays in the answer, from which the audit log takes its code.
        page_as(&self, HttpResponse::from_error(refusal.clone()))
    }
}

/// Where somebody goes who has signed in.
fn onward(next: &str) -> HttpResponse {
    redirect(if is_local(next) { next } else { "/" })
}

/// Signs a browser in: the cookie, and where it goes.
fn welcome(visit: &Visit, session: &CreatedSession, mut to: HttpResponse) -> Result<HttpResponse, ApiError> {
    let (name, value) = cookie::set(&visit.request, &visit.api, &session.token, session.model.expires_at);
    let value = value.parse().map_err(|_| ApiError::misconfigured())?;
    to.headers_mut().append(name, value);
    Ok(to)
}

/// `GET /sign-in`
pub(super) async fn show_sign_in(visit: Visit) -> HttpResponse {
    let work = async |visit: &Visit| match visit.caller().await {
        Ok(_) => Ok(onward(visit.address.get("next").unwrap_or("/"))),
        Err(refusal) if refusal.status == StatusCode::UNAUTHORIZED => page(&Page::new(visit, Form::Password)),
        Err(refusal) => Page::new(visit, Form::Password).again(visit, &refusal),
    };
    visit.answer(work).await
}

/// Address and password.
#[derive(Deserialize)]
pub(super) struct Credentials {
    #[serde(default)]
    email: String,
    password: SecretString,
    #[serde(default)]
    next: String,
}

/// `POST /sign-in`
pub(super) async fn sign_in(visit: Visit, form: web::Form<Credentials>) -> HttpResponse {
    let form = form.into_inner();
    let work = async |visit: &Visit| {
        cookie::same_origin(&visit.request, &visit.api)?;
        let outcome = async {
            let attempt = auth::attempt(&visit.request, &visit.api)?;
            let services = visit.api.services.acting_as(&actor(ActorKind::Stranger, "", &visit.request));
            let session = services.account_db.sign_in(&form.email, &form.password).await?;
            attempt.succeeded();
            Ok(session)
        };
        match outcome.await {
            Ok(session) => welcome(visit, &session, onward(&form.next)),
            Err(refusal) => {
                let page = Page::new(visit, Form::Password);
                Page { email: form.email, next: form.next, ..page }.again(visit, &refusal)
            }
        }
    };
    visit.answer(work).await
}

/// `GET /sign-in/link`: the script takes the token from behind the `#`, which no server is sent.
pub(super) async fn show_link(visit: Visit) -> HttpResponse {
    visit.answer(async |visit: &Visit| page(&Page::new(visit, Form::Link))).await
}

/// What stands behind the `#` of a link.
#[derive(Deserialize)]
pub(super) struct LinkToken {
    token: SecretString,
    #[serde(default)]
    next: String,
}

/// `POST /sign-in/link`: opens a one-time link. Its owner then chooses a password, unless the link leads
/// elsewhere.
pub(super) async fn open_link(visit: Visit, form: web::Form<LinkToken>) -> HttpResponse {
    let form = form.into_inner();
    let work = async |visit: &Visit| {
        cookie::same_origin(&visit.request, &visit.api)?;
        // Whoever cannot run the script pastes the whole link.
        let pasted = form.token.expose_secret().trim();
        let token = SecretString::from(pasted.rsplit('#').next().unwrap_or_default());
        let outcome = async {
            let attempt = auth::attempt(&visit.request, &visit.api)?;
            let services = visit.api.services.acting_as(&actor(ActorKind::Stranger, "", &visit.request));
            let session = services.sign_in_link_db.redeem(&token).await?;
            attempt.succeeded();
            Ok(session)
        };
        match outcome.await {
            Ok(session) => {
                let to = match &session.model.account_id {
                    _ if is_local(&form.next) => onward(&form.next),
                    Some(_) => redirect("/password"),
                    None => redirect("/account/new"),
                };
                welcome(visit, &session, to)
            }
            Err(refusal) => Page { next: form.next, ..Page::new(visit, Form::Link) }.again(visit, &refusal),
        }
    };
    visit.answer(work).await
}

/// The form for another password. A session that a link has just begun need not know the present one.
async fn password_page(visit: &Visit, caller: &Caller) -> Result<Page, ApiError> {
    let session = caller.session.as_deref();
    let asks_current = session.is_none_or(|session| session.model.kind != SessionKind::Link);
    let page = Page::new(visit, Form::NewPassword { asks_current });
    let email = match session.and_then(|session| session.model.account_id.as_deref()) {
        Some(id) => visit.api.services.account_db.get(id).await?.map(|row| row.email),
        None => None,
    };
    let email = email.ok_or_else(|| ApiError::forbidden("only an account has a password"))?;
    let frame = page.frame.signed_in(visit, caller).await?;
    Ok(Page { email, csrf_token: frame.proof().to_owned(), frame, ..page })
}

/// `GET /password`
pub(super) async fn show_password(visit: Visit) -> HttpResponse {
    let work = async |visit: &Visit| {
        let caller = visit.caller().await?;
        page(&password_page(visit, &caller).await?)
    };
    visit.answer(work).await
}

/// Another password.
#[derive(Deserialize)]
pub(super) struct NewPassword {
    current: Option<SecretString>,
    new: SecretString,
    #[serde(default)]
    csrf_token: String,
}

/// `POST /password`: every session of the account ends, and a new one begins.
pub(super) async fn choose_password(visit: Visit, form: web::Form<NewPassword>) -> HttpResponse {
    let form = form.into_inner();
    let work = async |visit: &Visit| {
        let caller = sender(visit, &form.csrf_token).await?;
        let session = own_session(&caller)?;
        let current = form.current.as_ref().filter(|current| !current.expose_secret().is_empty());
        let accounts = caller.services(&visit.api).account_db;
        match accounts.change_password(session, current, &form.new).await.map_err(ApiError::from) {
            Ok(created) => welcome(visit, &created, redirect("/")),
            Err(refusal) => password_page(visit, &caller).await?.again(visit, &refusal),
        }
    };
    visit.answer(work).await
}

/// The page for the first account of the reseller.
fn account_page(visit: &Visit, caller: &Caller) -> Result<Page, ApiError> {
    caller.reseller()?;
    let session = own_session(caller)?;
    if session.account_id.is_some() {
        return Err(ApiError::forbidden("the session has an account already"));
    }
    let session = caller.session.as_deref();
    let csrf_token = session.map(|session| cookie::masked(&session.csrf_token)).transpose()?;
    Ok(Page { csrf_token: csrf_token.unwrap_or_default(), ..Page::new(visit, Form::NewAccount) })
}

/// `GET /account/new`
pub(super) async fn show_account(visit: Visit) -> HttpResponse {
    let work = async |visit: &Visit| page(&account_page(visit, &visit.caller().await?)?);
    visit.answer(work).await
}

/// The reseller's first account.
#[derive(Deserialize)]
pub(super) struct FirstAccount {
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: String,
    new: SecretString,
    #[serde(default)]
    csrf_token: String,
}

/// `POST /account/new`: the account, and a session of it in place of the link's.
pub(super) async fn create_account(visit: Visit, form: web::Form<FirstAccount>) -> HttpResponse {
    let form = form.into_inner();
    let work = async |visit: &Visit| {
        let caller = sender(visit, &form.csrf_token).await?;
        let page = account_page(visit, &caller)?;
        let outcome = async {
            let services = caller.services(&visit.api);
            let standing = Standing { role: StoredRole::Reseller, client_org_id: None, user_id: None };
            let new = NewAccount { email: form.email.clone(), name: form.name.clone(), standing };
            let account = services.account_db.create(new).await?;
            // A link's session may choose the password, and the account's link is its first way in.
            let link = services.sign_in_link_db.create(None, &account.id).await?;
            let session = services.sign_in_link_db.redeem(&link.token).await?;
            Ok::<_, ApiError>(services.account_db.change_password(&session.model, None, &form.new).await?)
        };
        match outcome.await {
            Ok(created) => welcome(visit, &created, redirect("/")),
            // The account is made, and the session is its own now.
            Err(refusal) if refusal.field == Some("password") => Ok(redirect("/password")),
            Err(refusal) => Page { email: form.email, name: form.name, ..page }.again(visit, &refusal),
        }
    };
    visit.answer(work).await
}

/// `POST /sign-out`
pub(super) async fn sign_out(visit: Visit, form: web::Form<Proof>) -> HttpResponse {
    let work = async |visit: &Visit| {
        let caller = sender(visit, &form.csrf_token).await?;
        let session = own_session(&caller)?;
        caller.services(&visit.api).session_db.revoke(&session.owner(), &session.id).await?;
        Ok(signed_out(visit))
    };
    visit.answer(work).await
}

/// `POST /sign-out-everywhere`
pub(super) async fn sign_out_everywhere(visit: Visit, form: web::Form<Proof>) -> HttpResponse {
    let work = async |visit: &Visit| {
        let caller = sender(visit, &form.csrf_token).await?;
        let session = own_session(&caller)?;
        let sessions = caller.services(&visit.api).session_db;
        sessions.revoke_all(session.client_org_id.as_ref(), &session.owner()).await?;
        Ok(signed_out(visit))
    };
    visit.answer(work).await
}

fn own_session(caller: &Caller) -> Result<&mai_organization::client_organization::SessionModel, ApiError> {
    let session = caller.session.as_deref().map(|session| &session.model);
    session.ok_or_else(|| ApiError::forbidden("only a browser's session can do this"))
}

fn signed_out(visit: &Visit) -> HttpResponse {
    let mut answer = redirect("/sign-in");
    let (name, value) = cookie::clear(&visit.request, &visit.api);
    if let Ok(value) = value.parse() {
        answer.headers_mut().append(name, value);
    }
    answer
}
