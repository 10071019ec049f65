//! Where the reseller is told of what happens, and what stands out anywhere. See [`crate::dashboard::alerts`].

use actix_web::web;

use super::{frame, open, sent};
use crate::{
    api::ApiError,
    dashboard::{
        alerts::{self, Opens, Place},
        frame::ResellerTab,
        visit::Visit,
    },
};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    alerts::routes::<Reseller>(config);
}

/// The pages of the reseller.
struct Reseller;

impl Opens for Reseller {
    async fn place(visit: &Visit, proof: Option<&str>) -> Result<Place, ApiError> {
        let caller = match proof {
            None => open(visit).await?,
            Some(proof) => sent(visit, proof).await?,
        };
        Ok(Place {
            frame: frame(visit, &caller, ResellerTab::Alerts).await?,
            path: ResellerTab::Alerts.path().to_owned(),
            calendar: visit.api.time_zone,
            today: visit.api.time_zone.usage_date(visit.api.clock.now()),
            organization: None,
            caller,
        })
    }
}
