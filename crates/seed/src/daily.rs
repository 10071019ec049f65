//! The daily rows that a day's requests add up to.

use std::cmp::Reverse;

use mai_organization::usage_tracking::{
    ClientDailyUsageModel, ClientModelDailyUsageModel, ClientUserDailyUsageModel, Error as UsageError, Totals,
};
use mai_primitives::UnixTime;

use crate::{
    error::Result,
    people::Organization,
    usage::{Days, Model, Request},
};

/// Rows of the three daily tables, each in the order of its key.
#[derive(Debug, Default)]
pub(crate) struct DailyRows {
    pub(crate) days: Vec<ClientDailyUsageModel>,
    pub(crate) users: Vec<ClientUserDailyUsageModel>,
    pub(crate) models: Vec<ClientModelDailyUsageModel>,
}

impl DailyRows {
    /// The number of rows.
    pub(crate) fn count(&self) -> usize {
        self.days.len() + self.users.len() + self.models.len()
    }

    /// Adds the rows of the day `age` days before the end; none where nobody asked for anything.
    /// Each request is priced on its own, as the ledger does, so that the sums are those of a ledger.
    pub(crate) fn add(
        &mut self,
        days: &Days,
        organization: &Organization,
        models: &[Model],
        requests: &[Request],
        age: u64,
    ) -> Result<()> {
        let mut by_member = vec![Totals::default(); organization.members.len()];
        let mut by_model = vec![Totals::default(); models.len()];
        for request in requests {
            let part = priced(organization, request)?;
            for total in
                [by_member.get_mut(request.member), by_model.get_mut(request.model)].into_iter().flatten()
            {
                *total = total.checked_add(part)?;
            }
        }
        let Some(booked_at) = booked_at(requests) else { return Ok(()) };
        let usage_date = days.end.minus_days(age);
        let total = Totals::sum(by_member.iter().copied())?;
        let best = models
            .iter()
            .zip(&by_model)
            .min_by_key(|(model, total)| (Reverse((total.tokens, total.markup_cost)), &model.name));
        let used = |total: &Totals| total.requests > 0;
        self.days.push(ClientDailyUsageModel {
            client_org_id: organization.id.clone(),
            usage_date,
            total_tokens: total.tokens,
            total_requests: total.requests,
            raw_cost: total.raw_cost,
            markup_cost: total.markup_cost,
            primary_model: best.map(|(model, _)| model.name.clone()),
            unique_users: by_member.iter().map(|total| i64::from(used(total))).sum(),
            created_at: booked_at,
            updated_at: booked_at,
            usd_pln_rate: None,
            rate_table_no: None,
            rate_effective_date: None,
        });
        for (member, total) in organization.members.iter().zip(&by_member).filter(|(_, total)| used(total)) {
            self.users.push(ClientUserDailyUsageModel {
                client_org_id: organization.id.clone(),
                usage_date,
                user_id: member.user_id.clone(),
                openrouter_user_id: member.openrouter_user_id.clone(),
                total_tokens: total.tokens,
                total_requests: total.requests,
                raw_cost: total.raw_cost,
                markup_cost: total.markup_cost,
                created_at: booked_at,
                updated_at: booked_at,
            });
        }
        for (model, total) in models.iter().zip(&by_model).filter(|(_, total)| used(total)) {
            self.models.push(ClientModelDailyUsageModel {
                client_org_id: organization.id.clone(),
                usage_date,
                model_name: model.name.clone(),
                provider: Some(model.provider.to_owned()),
                total_tokens: total.tokens,
                total_requests: total.requests,
                raw_cost: total.raw_cost,
                markup_cost: total.markup_cost,
                created_at: booked_at,
                updated_at: booked_at,
            });
        }
        Ok(())
    }
}

/// One request's part of every sum.
fn priced(organization: &Organization, request: &Request) -> Result<Totals> {
    let markup_cost =
        organization.markup_rate.apply(request.cost).ok_or(UsageError::OutOfRange("client prices"))?;
    let tokens = request.input_tokens + request.output_tokens;
    Ok(Totals { tokens, requests: 1, raw_cost: request.cost, markup_cost })
}

/// When a day's requests were all booked: a minute after the last began. None when there are none.
pub(crate) fn booked_at(requests: &[Request]) -> Option<UnixTime> {
    requests.iter().map(|request| request.started_at.plus_seconds(60)).max()
}
