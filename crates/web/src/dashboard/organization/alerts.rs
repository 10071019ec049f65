//! What an organization is told without asking, and what stands out. See [`crate::dashboard::alerts`].

use actix_web::web;

use super::Here;
use crate::{
    api::ApiError,
    dashboard::{
        alerts::{self, Opens, Place},
        frame::Tab,
        visit::Visit,
    },
};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    alerts::routes::<Organization>(config);
}

/// The pages of an organization.
struct Organization;

impl Opens for Organization {
    async fn place(visit: &Visit, proof: Option<&str>) -> Result<Place, ApiError> {
        let here = match proof {
            None => Here::open(visit, Tab::Alerts).await?,
            Some(proof) => Here::sent(visit, Tab::Alerts, proof).await?,
        };
        Ok(Place {
            frame: here.frame(visit).await?,
            path: Tab::Alerts.path(&here.id),
            calendar: here.organization.calendar,
            today: here.today,
            organization: Some(here.id),
            caller: here.caller,
        })
    }
}
