//! Statements on both databases, and the world in which they are made.

mod corrections;
mod golden;
mod holds;
mod numbering;
mod pages;
mod secrecy;
mod verifying;

use std::sync::Arc;

use chrono::Datelike as _;
use diesel::prelude::*;
use mai_client_organization::{
    ClientOrganizationForm, ClientOrganizationTable, MemberForm, MemberRole, MemberSource, MemberTable,
};
use mai_exchange_rates::{
    PublishedRate, StatementRatePolicy,
    schema::{nbp_calendar, nbp_rates},
};
use mai_generation_processing::{NewGeneration, UsageSource};
use mai_global_settings::{Change, MasterKey};
use mai_primitives::{
    GenerationId, ManualClock, MarkupRate, ModelName, OpenRouterUserId, OrganizationCalendar, OrganizationId,
    UnixTime, UsageDate, Usd, UsdPlnRate, UserId,
};
use mai_storage::{Storage, testing::TestDb};
use mai_usage_tracking::record_generations;

use super::{Closing, SettingsForm, Standing, Statement, StatementModel, StatementTable, service::Issuing};
use crate::{BillingMonth, Error};

fn day(text: &str) -> UsageDate {
    UsageDate::parse(text).unwrap()
}

fn month(text: &str) -> BillingMonth {
    text.parse().unwrap()
}

fn org(name: &str) -> OrganizationId {
    OrganizationId::new(name).unwrap()
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

/// A database with the tables of the end of 2026, a seller in Warsaw, and a clock.
struct World {
    storage: Storage,
    clock: ManualClock,
    statements: StatementTable,
    members: MemberTable,
    organizations: ClientOrganizationTable,
}

impl World {
    fn new(storage: &Storage) -> Self {
        let clock = ManualClock::at("2026-09-15T08:00:00Z".parse().unwrap());
        let now = || Arc::new(clock.clone());
        let warsaw = OrganizationCalendar::default();
        let world = Self {
            storage: storage.clone(),
            statements: StatementTable::new(storage.clone(), now(), warsaw),
            members: MemberTable::new(storage.clone(), now()),
            organizations: ClientOrganizationTable::new(
                storage.clone(),
                MasterKey::generate().unwrap(),
                now(),
            ),
            clock: clock.clone(),
        };
        let seller = SettingsForm {
            seller_name: Change::Set("Sprzedawca Sp. z o.o.".to_owned()),
            seller_address: Change::Set("ul. Świętokrzyska 1\n00-360 Warszawa".to_owned()),
            seller_tax_id: Change::Set("525-000-00-00".to_owned()),
            ..SettingsForm::default()
        };
        wait(world.statements.update_settings(seller)).unwrap();
        world.publish("2026-09-01", "2027-12-31");
        world
    }

    fn at(&self, instant: &str) {
        self.clock.set(instant.parse().unwrap());
    }

    /// NBP's tables of the working days in a range, and that no others exist.
    fn publish(&self, from: &str, to: &str) {
        let (from, to) = (day(from), day(to));
        let mut tables = Vec::new();
        let mut date = from;
        while date <= to {
            let is_working = date.date().weekday().number_from_monday() < 6;
            let rate = match date.to_string().as_str() {
                "2026-10-30" => "3.6376",
                "2026-11-27" => "3.7001",
                "2026-12-30" => "4.1000",
                _ => "3.9999",
            };
            if is_working {
                tables.push(PublishedRate {
                    effective_date: date,
                    table_no: format!("{:03}/A/NBP/{}", date.date().ordinal(), date.date().year()),
                    rate: UsdPlnRate::parse(rate).unwrap(),
                    fetched_at: UnixTime::from_seconds(0),
                });
            }
            date = date.plus_days(1);
        }
        let stored = self.storage.write_blocking(|conn| {
            for table in &tables {
                diesel::insert_into(nbp_rates::table).values(table).execute(conn)?;
            }
            diesel::update(nbp_calendar::table)
                .set((nbp_calendar::known_from.eq(from), nbp_calendar::known_through.eq(to)))
                .execute(conn)?;
            Ok::<_, Error>(())
        });
        stored.unwrap();
    }

    /// Until which day the tables are known.
    fn known_through(&self, date: &str) {
        let stored = self.storage.write_blocking(|conn| {
            let known = nbp_calendar::known_through.eq(day(date));
            diesel::update(nbp_calendar::table).set(known).execute(conn).map_err(Error::from)
        });
        stored.unwrap();
    }

    fn organization(&self, name: &str, zone: &str, policy: StatementRatePolicy) -> OrganizationId {
        let form = ClientOrganizationForm {
            id: Some(org(name)),
            name: "Pracownia Żuraw".to_owned(),
            billing_email: Some("faktury@zuraw.example".to_owned()),
            markup_rate: Some(MarkupRate::parse("1.5").unwrap()),
            timezone: Some(zone.to_owned()),
            statement_rate_policy: policy,
            ..ClientOrganizationForm::default()
        };
        wait(self.organizations.create(form)).unwrap().id
    }

    fn warsaw(&self, name: &str) -> OrganizationId {
        self.organization(name, "Europe/Warsaw", StatementRatePolicy::BeforePeriodEnd)
    }

    fn member(&self, id: &OrganizationId, user: &str) {
        let form = MemberForm {
            user_id: UserId::new(user).unwrap(),
            name: None,
            email: None,
            role: MemberRole::Member,
            source: MemberSource::Api,
            is_active: true,
        };
        wait(self.members.create(id, form)).unwrap();
    }

    /// Books a generation of 100 + 23 tokens on a day, for so much at OpenRouter.
    fn use_model(&self, id: &OrganizationId, name: &str, date: &str, model: &str, raw: &str) {
        self.report(id, name, date, model, raw, UsageSource::Gateway);
    }

    fn report(
        &self,
        id: &OrganizationId,
        name: &str,
        date: &str,
        model: &str,
        raw: &str,
        source: UsageSource,
    ) {
        let generation = NewGeneration {
            client_org_id: id.clone(),
            id: GenerationId::new(name).unwrap(),
            generation_date: day(date),
            total_cost: Usd::parse(raw).unwrap(),
            cost_text: raw.to_owned(),
            markup_rate: MarkupRate::parse("1.5").unwrap(),
            user_id: UserId::new("anna").unwrap(),
            openrouter_user_id: OpenRouterUserId::new("a_user_anna").unwrap(),
            model_name: ModelName::new(model).unwrap(),
            requested_model: None,
            serving_provider: None,
            input_tokens: 100,
            output_tokens: 23,
            cached_tokens: None,
            cache_write_tokens: None,
            reasoning_tokens: None,
            is_byok: false,
            tokens_estimated: false,
            streamed: false,
            source,
            gateway_key_id: None,
            task: None,
            started_at: OrganizationCalendar::default().start_of(day(date)).plus_seconds(43_200),
        };
        let now = mai_primitives::Clock::now(&self.clock).into();
        let booked = self
            .storage
            .write_blocking(|conn| record_generations(conn, id, std::slice::from_ref(&generation), now));
        booked.unwrap();
    }

    fn closing(&self, id: &OrganizationId, of: &str) -> Closing {
        wait(self.statements.closing(id, month(of))).unwrap()
    }

    fn try_issue(&self, id: &OrganizationId, of: &str) -> Issuing {
        wait(self.statements.issue(id, month(of))).unwrap()
    }

    /// Issues a statement that nothing holds back.
    fn issue(&self, id: &OrganizationId, of: &str) -> StatementModel {
        let issuing = self.try_issue(id, of);
        assert!(issuing.is_new, "{issuing:?}");
        let Standing::Issued(row) = issuing.closing.standing else { panic!("{of} was not issued") };
        *row
    }
}

/// The draft of a standing.
fn statement(closing: Closing) -> Statement {
    match closing.standing {
        Standing::Ready(statement) | Standing::Held(statement, _) => *statement,
        Standing::Issued(row) => Statement::from_json(&row.document).unwrap(),
        Standing::NothingToBill => panic!("nothing to bill"),
    }
}

fn read(row: &StatementModel) -> Statement {
    Statement::from_json(&row.document).unwrap()
}

/// Runs a test on each database.
fn each(test: impl Fn(&World)) {
    TestDb::each(|storage| test(&World::new(storage)));
}
