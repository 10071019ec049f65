//! Where one arrives: a member and an administrator at their organization, the reseller at the list of all.

use actix_web::HttpResponse;

use super::{
    frame::Tab,
    visit::{Visit, redirect},
};
use crate::api::caller::Role;

/// `GET /`
pub(super) async fn home(visit: Visit) -> HttpResponse {
    let work = async |visit: &Visit| {
        Ok(match visit.caller().await?.role {
            Role::Reseller => redirect("/organizations"),
            Role::Admin(organization) | Role::Member(organization, _) => {
                redirect(&Tab::Overview.path(&organization))
            }
        })
    };
    visit.answer(work).await
}
