//! Accounts that sign in with a password, of an organization or of the reseller: the list, and the forms on it.

use mai_organization::client_organization::{AccountModel, AccountPatch, NewAccount, Role, Standing};
use mai_primitives::{OrganizationCalendar, OrganizationId, UserId};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{
    format,
    forms::{Confirm, yes_or_no},
    frame::Frame,
    table::{Pager, Search, paged},
    told::{Line, Once},
    visit::Visit,
};
use crate::api::{
    ApiError,
    accounts::{link as link_of, origin},
    caller::Caller,
};

/// What an address may say was done on a page with accounts.
pub(crate) const DONE: [&str; 3] = ["account-deactivated", "account-activated", "account-without-link"];

/// The texts of refusals.
pub(crate) const TEXTS: [(&str, &str); 4] = [
    ("email", "account-email-unfit"),
    ("name", "account-name-unfit"),
    ("user_id", "account-user-unfit"),
    ("already_exists", "account-taken"),
];

/// A new account, as it was typed.
#[derive(Default, Deserialize)]
pub(crate) struct NewForm {
    /// The proof of the session.
    #[serde(default)]
    pub(crate) csrf_token: String,
    /// The address.
    #[serde(default)]
    pub(crate) email: String,
    /// What people call the owner.
    #[serde(default)]
    pub(crate) name: String,
    /// `admin` or `member`; an account of the reseller's has no choice.
    #[serde(default)]
    pub(crate) role: String,
    /// Who the owner is among the members.
    #[serde(default)]
    pub(crate) user_id: String,
}

/// A form that is about an account.
#[derive(Deserialize)]
pub(crate) struct OneForm {
    /// The proof of the session.
    #[serde(default)]
    pub(crate) csrf_token: String,
    /// Which account.
    #[serde(default)]
    pub(crate) id: String,
    /// Whether its owner is to be let in.
    #[serde(default)]
    pub(crate) active: String,
}

/// An account in the list.
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) role: String,
    pub(crate) user: String,
    pub(crate) is_active: bool,
    pub(crate) is_locked: bool,
    pub(crate) has_password: bool,
    pub(crate) last: Option<(String, String)>,
    /// Where it is asked whether to deactivate it.
    pub(crate) deactivate: String,
}

/// The list and its forms.
pub(crate) struct Accounts {
    pub(crate) search: Search,
    pub(crate) rows: Vec<Row>,
    pub(crate) pager: Pager,
    pub(crate) count: String,
    /// Whether accounts are of members or administrators.
    pub(crate) is_of_organization: bool,
    /// Where the forms go, which add what they do.
    pub(crate) action: String,
    /// What was typed into the form of a new one.
    pub(crate) typed: NewForm,
    /// A question before one is deactivated.
    pub(crate) confirm: Option<Confirm>,
}

impl Accounts {
    /// Those of an organization, or of the reseller, by address.
    pub(crate) async fn of(
        visit: &Visit,
        frame: &Frame,
        owner: Option<&OrganizationId>,
        calendar: OrganizationCalendar,
        typed: NewForm,
    ) -> Result<Self, ApiError> {
        let all = visit.api.services.account_db.list(owner).await?;
        let asked = visit.address.get("confirm");
        let asked = all.iter().find(|row| row.is_active && asked == Some(row.id.as_str()));
        let confirm = asked.map(|row| confirm(visit, frame, row));
        let wanted = visit.address.get("search").map(str::to_lowercase).unwrap_or_default();
        let fits = |row: &AccountModel| {
            row.email.to_lowercase().contains(&wanted) || row.name.to_lowercase().contains(&wanted)
        };
        let mut found: Vec<AccountModel> = all.into_iter().filter(fits).collect();
        found.sort_by(|a, b| b.is_active.cmp(&a.is_active).then_with(|| a.email.cmp(&b.email)));
        let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
        let (shown, pager) = paged(found, &visit.address, frame)?;
        Ok(Self {
            search: Search::of(visit, &frame.t("accounts-search")),
            rows: shown.into_iter().map(|row| shown_row(visit, frame, calendar, row)).collect(),
            pager,
            count: frame.language.count("accounts-count", count),
            is_of_organization: owner.is_some(),
            action: visit.address.path().to_owned(),
            typed,
            confirm,
        })
    }
}

fn shown_row(visit: &Visit, frame: &Frame, calendar: OrganizationCalendar, row: AccountModel) -> Row {
    let at =
        |at| (format::ago(frame.language, visit.now(), at), format::instant(frame.language, calendar, at));
    Row {
        role: frame.language.text(match row.role {
            Role::Reseller => "role-reseller",
            Role::Admin => "role-admin",
            Role::Member => "role-member",
        }),
        is_locked: row.is_locked(visit.now()),
        has_password: row.password_hash.is_some(),
        last: row.last_sign_in_at.map(at),
        deactivate: visit.address.with(&[("confirm", &row.id)]).link(),
        user: row.user_id.map(|id| id.to_string()).unwrap_or_default(),
        is_active: row.is_active,
        id: row.id,
        name: row.name,
        email: row.email,
    }
}

fn confirm(visit: &Visit, frame: &Frame, row: &AccountModel) -> Confirm {
    Confirm {
        title: frame.with("account-deactivate-title", &row.email),
        text: frame.with("account-deactivate-text", &row.name),
        action: format!("{}/activity", visit.address.path()),
        fields: vec![("id", row.id.clone()), ("active", "false".to_owned())],
        submit: frame.t("people-deactivate"),
        cancel: visit.address.with(&[("confirm", "")]).link(),
    }
}

/// Makes an account and its first link. Where only the link fails, there is none to show.
pub(crate) async fn create(
    visit: &Visit,
    caller: &Caller,
    owner: Option<&OrganizationId>,
    form: &NewForm,
    calendar: OrganizationCalendar,
) -> Result<Option<Once>, ApiError> {
    let role = match (owner, form.role.as_str()) {
        (None, _) => Role::Reseller,
        (Some(_), "admin") => Role::Admin,
        (Some(_), "member") => Role::Member,
        (Some(_), _) => return Err(ApiError::field("role", "must be admin or member")),
    };
    let user = form.user_id.trim();
    let user_id = (!user.is_empty()).then(|| UserId::new(user)).transpose();
    let standing = Standing {
        role,
        client_org_id: owner.cloned(),
        user_id: user_id.map_err(|error| ApiError::field("user_id", error))?,
    };
    if role == Role::Member && standing.user_id.is_none() {
        return Err(ApiError::field("user_id", "is needed for an account of a member"));
    }
    let new = NewAccount { email: form.email.clone(), name: form.name.clone(), standing };
    let row = caller.services(&visit.api).account_db.create(new).await?;
    match link(visit, caller, owner, &row.id, calendar).await {
        Ok(once) => Ok(Some(once)),
        Err(failure) => {
            tracing::warn!(account = row.id, %failure, "a new account has no link yet");
            Ok(None)
        }
    }
}

/// Makes a link that signs the owner of an account in once.
pub(crate) async fn link(
    visit: &Visit,
    caller: &Caller,
    owner: Option<&OrganizationId>,
    id: &str,
    calendar: OrganizationCalendar,
) -> Result<Once, ApiError> {
    let services = caller.services(&visit.api);
    let created = services.sign_in_link_db.create(owner, id).await?;
    let account = services.account_db.get(id).await?;
    let email = account.map(|account| account.email).unwrap_or_default();
    let until = format::instant(visit.language, calendar, created.expires_at);
    let address = link_of(&origin(&visit.request, &visit.api), created.token.expose_secret());
    Ok(Once {
        title: visit.language.with("account-link-title", &email),
        text: visit.language.with("account-link-text", &until),
        lines: vec![Line::new("account-link", visit.language.text("account-link"), address)],
    })
}

/// Lets the owner of an account in again, or no longer. Says what was done.
pub(crate) async fn switch(
    visit: &Visit,
    caller: &Caller,
    owner: Option<&OrganizationId>,
    form: &OneForm,
) -> Result<&'static str, ApiError> {
    let is_active = yes_or_no("active", &form.active)?;
    let patch = AccountPatch { is_active: Some(is_active), ..AccountPatch::default() };
    caller.services(&visit.api).account_db.update(owner, &form.id, patch).await?;
    Ok(if is_active { "account-activated" } else { "account-deactivated" })
}
