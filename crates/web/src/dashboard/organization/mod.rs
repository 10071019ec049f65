//! The pages of an organization. Each tab is an address of its own; what a member may not see is refused here
//! and not only left out of the tabs.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use mai_organization::{client_organization::OrganizationEntry, usage_tracking::Conversion};
use mai_primitives::{OrganizationId, UsageDate};

use super::{
    figures::rate_line,
    format,
    forms::sender,
    frame::{Frame, Tab},
    range::Range,
    visit::Visit,
};
use crate::api::{
    ApiError,
    caller::{Caller, Role},
};

mod alerts;
mod audit;
pub(super) mod chart;
mod daily;
mod exports;
mod limits;
mod list;
mod members;
mod models;
mod overview;
mod own;
mod pricing;
mod providers;
mod settings;
mod statements;
mod subscription;
mod users;

/// What is below `/organizations/{organization}`.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("", web::get().to(overview))
        .route("/users", web::get().to(async |visit: Visit| visit.answer(users::show).await))
        .route("/models", web::get().to(async |visit: Visit| visit.answer(models::show).await))
        .route("/providers", web::get().to(async |visit: Visit| visit.answer(providers::show).await))
        .route("/subscription", web::get().to(async |visit: Visit| visit.answer(subscription::show).await))
        .route("/pricing", web::get().to(async |visit: Visit| visit.answer(pricing::show).await))
        .route("/exports", web::get().to(async |visit: Visit| visit.answer(exports::show).await))
        .configure(limits::routes)
        .configure(members::routes)
        .configure(statements::routes)
        .configure(alerts::routes)
        .configure(audit::routes)
        .configure(settings::routes);
}

/// The first page: the organization's usage, or a member's own.
async fn overview(visit: Visit) -> HttpResponse {
    let work = async |visit: &Visit| {
        let here = Here::open(visit, Tab::Overview).await?;
        match here.caller.role.clone() {
            Role::Member(_, user) => own::show(visit, here, user).await,
            Role::Admin(_) | Role::Reseller => overview::show(visit, here).await,
        }
    };
    visit.answer(work).await
}

/// Where a visitor is: an organization that it may see, at one of its tabs.
struct Here {
    caller: Caller,
    id: OrganizationId,
    organization: Arc<OrganizationEntry>,
    tab: Tab,
    today: UsageDate,
}

impl Here {
    /// 401, 403 and 404 as the API has them.
    async fn open(visit: &Visit, tab: Tab) -> Result<Self, ApiError> {
        Self::of(visit, visit.caller().await?, tab)
    }

    /// The same for whoever sent a form of the page, with the proof that it carries.
    async fn sent(visit: &Visit, tab: Tab, proof: &str) -> Result<Self, ApiError> {
        Self::of(visit, sender(visit, proof).await?, tab)
    }

    fn of(visit: &Visit, caller: Caller, tab: Tab) -> Result<Self, ApiError> {
        let named = visit.part("organization")?;
        let id = if tab.is_for_members() {
            caller.organization(Some(&named))?
        } else {
            caller.administered(Some(&named))?
        };
        let organization = visit.known(&id)?;
        Ok(Self { today: visit.today(&organization), caller, id, organization, tab })
    }

    /// The frame of the page.
    async fn frame(&self, visit: &Visit) -> Result<Frame, ApiError> {
        let is_member = matches!(self.caller.role, Role::Member(..));
        self.frame_titled(visit, self.tab.label(is_member)).await
    }

    /// The frame of a page that is not called as its tab is.
    async fn frame_titled(&self, visit: &Visit, title: &str) -> Result<Frame, ApiError> {
        let title = visit.language.text(title);
        let frame = visit.frame(&title).signed_in(visit, &self.caller).await?;
        Ok(frame.of_organization(&self.caller, &self.organization, Some(self.tab)))
    }

    /// The range of the page.
    fn range(&self, visit: &Visit) -> Result<Range, ApiError> {
        Range::of(&visit.address, visit.language, self.today)
    }

    /// The foot's lines: up to when usage of the organization is there, whatever the page shows of it, and by
    /// which rate the latest days are converted.
    async fn freshness(
        &self,
        visit: &Visit,
        frame: &mut Frame,
        conversion: &Conversion,
    ) -> Result<(), ApiError> {
        if let Some(last) = visit.api.services.client_usage_db.last_activity(&self.id).await? {
            let at = format::instant(frame.language, self.organization.calendar, last);
            let ago = format::ago(frame.language, visit.now(), last);
            frame.freshness.push(frame.language.with_all("foot-recorded", &[("at", &at), ("ago", &ago)]));
        }
        if let Some(rate) = &conversion.current {
            frame.freshness.push(rate_line(frame, rate));
        }
        frame.freshness.push(frame.with("foot-zone", self.organization.calendar.zone()));
        Ok(())
    }
}

/// A chosen one of some links.
fn choices(visit: &Visit, name: &str, chosen: &str, all: &[(&str, &str)]) -> Vec<super::frame::Link> {
    let link = |(code, key): &(&str, &str)| super::frame::Link {
        href: visit.address.with(&[(name, code), ("page", "")]).link(),
        label: visit.language.text(key),
        is_current: *code == chosen,
    };
    all.iter().map(link).collect()
}
