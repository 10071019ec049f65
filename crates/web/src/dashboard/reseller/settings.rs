//! What holds for all organizations. What the service was started with is only shown.

use actix_web::{HttpResponse, HttpResponseBuilder, web};
use askama::Template;
use mai_organization::global_settings::{
    BillableRoles, Change, GlobalSettingsForm, GlobalSettingsModel, SeatRole, SubscriptionTier,
    SubscriptionTiers,
};
use mai_primitives::{MarkupRate, Pln};
use secrecy::SecretString;

use super::{frame, open, refusal_page, sent};
use crate::{
    api::{ApiError, caller::Caller, settings::last_four},
    dashboard::{
        address::Address,
        figures::Notice,
        format,
        forms::{Confirm, amount, done, onward, refused},
        frame::{Frame, ResellerTab},
        language::Language,
        percent,
        visit::{Visit, page_as},
    },
};

/// Empty lines for further tiers.
const SPARE_TIERS: usize = 2;

const DONE: [&str; 5] = [
    "global-done-rate",
    "global-done-key",
    "global-done-key-cleared",
    "global-done-tiers",
    "global-done-roles",
];

/// What was wrong with a form, by the field.
const REFUSALS: [(&str, &str); 4] = [
    ("default_markup_rate", "global-unfit-rate"),
    ("openrouter_provisioning_key", "global-unfit-key"),
    ("subscription_tiers", "global-unfit-tiers"),
    ("billable_roles", "global-unfit-roles"),
];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/settings")
            .route(web::get().to(async |visit: Visit| visit.answer(show).await))
            .route(web::post().to(change)),
    );
}

#[derive(Template)]
#[template(path = "setup.html")]
struct Page {
    frame: Frame,
    notices: Vec<Notice>,
    confirm: Option<Confirm>,
    rate: String,
    /// What is shown of the key of the management API; none where there is none.
    key: Option<String>,
    /// From how many users on, and the price.
    tiers: Vec<(String, String)>,
    /// The code of a role, what people call it, and whether it needs a seat.
    roles: Vec<(&'static str, String, bool)>,
    facts: Vec<(String, String)>,
}

/// What somebody has sent: names may be there several times.
type Sent = Vec<(String, String)>;

async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let caller = open(visit).await?;
    let notices = done(visit, &DONE).into_iter().collect();
    render(visit, &caller, None, (notices, HttpResponse::Ok())).await
}

async fn render(
    visit: &Visit,
    caller: &Caller,
    sent: Option<&Sent>,
    (notices, mut answer): (Vec<Notice>, HttpResponseBuilder),
) -> Result<HttpResponse, ApiError> {
    let table = &visit.api.services.global_settings_db;
    let stored = table.get_settings().await?;
    let key = match &stored {
        Some(row) => table.provisioning_key(row)?,
        None => None,
    };
    let rate = if let Some(typed) = sent.map(|sent| value(sent, "rate")).filter(|typed| !typed.is_empty()) {
        typed.to_owned()
    } else {
        let rate = stored.as_ref().map_or(MarkupRate::DEFAULT, |row| row.default_markup_rate);
        percent::of_markup(visit.language, rate)
    };
    let frame = frame(visit, caller, ResellerTab::Settings).await?;
    let page = Page {
        confirm: (visit.address.get("confirm") == Some("key")).then(|| confirm(&frame)),
        key: key.as_ref().map(last_four),
        rate,
        tiers: tiers(visit.language, stored.as_ref(), sent),
        roles: roles(&frame, stored.as_ref(), sent),
        facts: facts(visit, &frame, stored.as_ref()),
        notices,
        frame,
    };
    page_as(&page, answer.finish())
}

/// The tiers as they were typed, or else as they are.
fn tiers(
    language: Language,
    stored: Option<&GlobalSettingsModel>,
    sent: Option<&Sent>,
) -> Vec<(String, String)> {
    let typed: Vec<_> = sent.map(typed_tiers).unwrap_or_default();
    let mut lines = if typed.is_empty() {
        let tiers = stored.and_then(|row| row.subscription_tiers.clone()).unwrap_or_default();
        tiers.all().iter().map(|tier| (tier.from.to_string(), amount(language, tier.price))).collect()
    } else {
        typed
    };
    lines.extend((0..SPARE_TIERS).map(|_| (String::new(), String::new())));
    lines
}

/// The lines with something in them.
fn typed_tiers(sent: &Sent) -> Vec<(String, String)> {
    let all = |name: &str| -> Vec<String> {
        sent.iter().filter(|(known, _)| known == name).map(|(_, value)| value.trim().to_owned()).collect()
    };
    let lines = all("from").into_iter().zip(all("price"));
    lines.filter(|(from, price)| !from.is_empty() || !price.is_empty()).collect()
}

fn roles(
    frame: &Frame,
    stored: Option<&GlobalSettingsModel>,
    sent: Option<&Sent>,
) -> Vec<(&'static str, String, bool)> {
    let present = stored.and_then(|row| row.billable_roles.clone()).unwrap_or_default();
    let typed = sent.filter(|sent| value(sent, "part") == "roles");
    let needs = |role: &SeatRole| match typed {
        Some(sent) => sent.iter().any(|(name, value)| name == "role" && value == role.as_str()),
        None => present.contains(role.as_str()),
    };
    let role = |role: &SeatRole| {
        let key = match role {
            SeatRole::Admin => "global-role-admin",
            SeatRole::Member => "global-role-member",
            SeatRole::Pending => "global-role-pending",
        };
        (role.as_str(), frame.t(key), needs(role))
    };
    SeatRole::ALL.iter().map(role).collect()
}

/// What the service was started with, without anything secret.
fn facts(visit: &Visit, frame: &Frame, stored: Option<&GlobalSettingsModel>) -> Vec<(String, String)> {
    let api = &visit.api;
    let is_set = |is_set: bool| frame.t(if is_set { "ops-yes" } else { "ops-no" });
    let changed = stored.map(|row| format::instant(frame.language, api.time_zone, row.updated_at));
    let backups = api.batch.backups_kept().and_then(|kept| i64::try_from(kept).ok());
    let none = || "–".to_owned();
    let prices = api.model_prices.prices().current();
    let read = prices.fetched_at().map(|at| format::ago(frame.language, visit.now(), at));
    let facts = [
        ("global-currency", stored.map_or_else(|| "USD".to_owned(), |row| row.billing_currency.clone())),
        ("global-changed", changed.unwrap_or_else(none)),
        ("global-zone", api.time_zone.zone().to_owned()),
        ("global-schedule", api.batch.schedule().to_string()),
        ("global-retention", frame.language.count("global-days", api.batch.retention_days().into())),
        ("global-backups", backups.map_or_else(none, |kept| frame.number(kept))),
        ("global-rate-policy", frame.t("global-rate-policy-text")),
        ("global-prices", read.unwrap_or_else(|| frame.t("health-built-in"))),
        ("global-public-url", api.public_url.clone().unwrap_or_else(none)),
        ("global-token", is_set(api.admin_token.is_some())),
        ("global-broadcast", is_set(api.broadcast_token.is_some())),
        ("global-open-webui", is_set(api.open_webui.is_some())),
        ("health-version", frame.version.to_owned()),
    ];
    facts.map(|(key, value)| (frame.t(key), value)).into()
}

fn confirm(frame: &Frame) -> Confirm {
    Confirm {
        title: frame.t("global-key-clear-title"),
        text: frame.t("global-key-clear-text"),
        action: ResellerTab::Settings.path().to_owned(),
        fields: vec![("part", "clear-key".to_owned())],
        submit: frame.t("global-key-clear"),
        cancel: ResellerTab::Settings.path().to_owned(),
    }
}

/// The first value of a name, or nothing.
fn value<'a>(sent: &'a Sent, name: &str) -> &'a str {
    sent.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
}

async fn change(visit: Visit, form: web::Form<Sent>) -> HttpResponse {
    let work = async |visit: &Visit| {
        let caller = sent(visit, value(&form, "csrf_token")).await?;
        let changed = match asked(&form) {
            Ok((form, key)) => {
                let table = caller.services(&visit.api).global_settings_db;
                table.update_settings(form).await.map(|_| key).map_err(ApiError::from)
            }
            Err(refusal) => Err(refusal),
        };
        match changed {
            Ok(key) => Ok(onward(&Address::to(ResellerTab::Settings.path()), key)),
            Err(refusal) => {
                let (status, code) = (refusal.status, refusal.code);
                let notice = refused(&visit.frame(""), refusal, &REFUSALS)?;
                let answer = (vec![notice], HttpResponse::build(status));
                Ok(refusal_page(render(visit, &caller, Some(&form), answer).await?, code))
            }
        }
    };
    visit.answer(work).await
}

/// What a form asks to change, and what is said when it was.
fn asked(sent: &Sent) -> Result<(GlobalSettingsForm, &'static str), ApiError> {
    let nothing = GlobalSettingsForm::default();
    Ok(match value(sent, "part") {
        "rate" => {
            let rate = percent::markup("default_markup_rate", value(sent, "rate"))?;
            let missing = || ApiError::field("default_markup_rate", "must be percent, such as 30");
            let rate = Some(rate.ok_or_else(missing)?);
            (GlobalSettingsForm { default_markup_rate: rate, ..nothing }, "global-done-rate")
        }
        "key" => {
            let key = Change::Set(SecretString::from(value(sent, "key")));
            (GlobalSettingsForm { openrouter_provisioning_key: key, ..nothing }, "global-done-key")
        }
        "clear-key" => (
            GlobalSettingsForm { openrouter_provisioning_key: Change::Clear, ..nothing },
            "global-done-key-cleared",
        ),
        "tiers" => {
            let tiers =
                if value(sent, "reset").is_empty() { Change::Set(asked_tiers(sent)?) } else { Change::Clear };
            (GlobalSettingsForm { subscription_tiers: tiers, ..nothing }, "global-done-tiers")
        }
        "roles" => {
            let roles =
                sent.iter().filter(|(name, _)| name == "role").map(|(_, role)| role.parse::<SeatRole>());
            let wrong = |error: &dyn std::fmt::Display| ApiError::field("billable_roles", error);
            let roles = roles.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(&error))?;
            let roles = BillableRoles::new(roles).map_err(|error| wrong(&error))?;
            (GlobalSettingsForm { billable_roles: Change::Set(roles), ..nothing }, "global-done-roles")
        }
        _ => return Err(ApiError::field("part", "is no part of the settings")),
    })
}

/// The tiers of a form: each ends where the next one begins.
fn asked_tiers(sent: &Sent) -> Result<SubscriptionTiers, ApiError> {
    let wrong = |error: &dyn std::fmt::Display| ApiError::field("subscription_tiers", error);
    let lines = typed_tiers(sent).into_iter().map(|(from, price)| {
        let from = from.parse::<u32>().map_err(|error| wrong(&error))?;
        let price = Pln::parse(&price.replace(',', ".")).map_err(|error| wrong(&error))?;
        Ok::<_, ApiError>((from, price))
    });
    let lines: Vec<(u32, Pln)> = lines.collect::<Result<_, _>>()?;
    let ends = lines.iter().skip(1).map(|(from, _)| Some(from.saturating_sub(1))).chain([None]);
    let tiers =
        lines.iter().zip(ends).map(|((from, price), to)| SubscriptionTier { from: *from, to, price: *price });
    SubscriptionTiers::new(tiers.collect()).map_err(|error| wrong(&error))
}
