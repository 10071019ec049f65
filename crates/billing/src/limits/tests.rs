//! Limits beside what is booked and pending, on both databases.

use std::sync::Arc;

use mai_client_organization::{
    ClientOrganizationForm, ClientOrganizationTable, LimitScope, MemberForm, MemberRole, MemberSource,
    MemberTable, UsageLimitTable,
};
use mai_generation_processing::{
    NewGeneration, NewPendingGeneration, PendingReason, UsageSource, pending::insert_pending,
};
use mai_global_settings::MasterKey;
use mai_model_prices::ModelPrice;
use mai_openrouter::ListedModel;
use mai_primitives::{GenerationId, ManualClock, MarkupRate, OpenRouterUserId, UnixTime};
use mai_storage::{Storage, testing::TestDb};
use mai_usage_tracking::record_generations;
use proptest::prelude::*;

use super::*;

const NOON: UnixTime = UnixTime::from_seconds(1_784_116_800);

fn org(id: &str) -> OrganizationId {
    OrganizationId::new(id).unwrap()
}

fn usd(text: &str) -> Usd {
    Usd::parse(text).unwrap()
}

/// A list with one model that has a dated slug.
fn prices() -> PriceList {
    let listed = ListedModel {
        id: ModelName::new("x/a").unwrap(),
        canonical_slug: ModelName::new("x/a-20260318").ok(),
        name: "A".to_owned(),
        context_length: None,
        max_completion_tokens: None,
        pricing_text: String::new(),
        pricing: None,
    };
    PriceList::new(NOON, vec![ModelPrice::new(listed)])
}

/// A generation whose client price is twice `cents`.
fn generation(
    organization: &str,
    (day, user, model): (&str, &str, &str),
    cents: i64,
    number: u32,
) -> NewGeneration {
    NewGeneration {
        client_org_id: org(organization),
        id: GenerationId::new(format!("gen-{number}")).unwrap(),
        generation_date: UsageDate::parse(day).unwrap(),
        total_cost: Usd::from_nanos(cents * 10_000_000),
        cost_text: "0".to_owned(),
        markup_rate: MarkupRate::from_ppm(2_000_000).unwrap(),
        user_id: UserId::new(user).unwrap(),
        openrouter_user_id: OpenRouterUserId::new(format!("{organization}_user_{user}")).unwrap(),
        model_name: ModelName::new(model).unwrap(),
        requested_model: None,
        serving_provider: None,
        input_tokens: 1,
        output_tokens: 1,
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        is_byok: false,
        tokens_estimated: false,
        streamed: false,
        source: UsageSource::Gateway,
        gateway_key_id: None,
        task: None,
        started_at: NOON,
    }
}

fn waiting(one: &NewGeneration, requested: &str, reservation: Option<Usd>) -> NewPendingGeneration {
    NewPendingGeneration {
        client_org_id: one.client_org_id.clone(),
        id: one.id.clone(),
        generation_date: one.generation_date,
        user_id: one.user_id.clone(),
        openrouter_user_id: one.openrouter_user_id.clone(),
        requested_model: ModelName::new(requested).ok(),
        markup_rate: one.markup_rate,
        streamed: false,
        gateway_key_id: None,
        task: None,
        started_at: NOON,
        reason: PendingReason::ClientGone,
        reservation,
    }
}

fn book(storage: &Storage, generations: &[NewGeneration]) {
    for one in generations {
        let (org, one) = (&one.client_org_id, std::slice::from_ref(one));
        storage.write_blocking(|conn| record_generations(conn, org, one, NOON)).unwrap();
    }
}

/// Subject, limit, spent and pending of every limit of these organizations in July 2026.
fn shown(storage: &Storage, organizations: &[&str]) -> Vec<(String, String, String, String)> {
    let organizations: Vec<_> = organizations.iter().map(|id| org(id)).collect();
    let month = "2026-07".parse().unwrap();
    let states = storage.read_blocking(|conn| states(conn, &organizations, month, &prices())).unwrap();
    let text = |state: LimitState| {
        let name = state.subject.name().unwrap_or("-");
        let subject = format!("{} {} {name}", state.client_org_id, state.subject.scope());
        (subject, state.limit.to_string(), state.spent.to_string(), state.pending.to_string())
    };
    states.into_iter().map(text).collect()
}

async fn organization(storage: &Storage, id: &str, limit: Option<&str>, others: &[(LimitScope, &str, &str)]) {
    let clock = Arc::new(ManualClock::at("2026-07-15T12:00:00Z".parse().unwrap()));
    let table = ClientOrganizationTable::new(storage.clone(), MasterKey::generate().unwrap(), clock.clone());
    let form = ClientOrganizationForm {
        id: Some(org(id)),
        name: id.to_owned(),
        monthly_limit: limit.map(usd),
        ..ClientOrganizationForm::default()
    };
    table.create(form).await.unwrap();
    let limits = UsageLimitTable::new(storage.clone(), clock.clone());
    for (scope, subject, limit) in others {
        if *scope == LimitScope::Member {
            let form = MemberForm {
                user_id: UserId::new(subject).unwrap(),
                name: None,
                email: None,
                role: MemberRole::Member,
                source: MemberSource::Api,
                is_active: true,
            };
            MemberTable::new(storage.clone(), clock.clone()).create(&org(id), form).await.unwrap();
        }
        limits.set(&org(id), (*scope, subject), usd(limit)).await.unwrap();
    }
}

fn row(subject: &str, limit: &str, spent: &str, pending: &str) -> (String, String, String, String) {
    (subject.to_owned(), limit.to_owned(), spent.to_owned(), pending.to_owned())
}

#[test]
fn each_limit_counts_what_is_its_own_in_its_month() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    TestDb::each(|storage| {
        use LimitScope::{Member, Model};
        runtime.block_on(async {
            organization(storage, "a", Some("10"), &[(Member, "anna", "5"), (Model, "x/a", "2")]).await;
            organization(storage, "b", None, &[(Model, "x/b", "0")]).await;
            organization(storage, "c", None, &[]).await;
        });
        let anna = |day, model, cents, number| generation("a", (day, "anna", model), cents, number);
        let late = generation("a", ("2026-07-31", "ben", "x/b"), 7, 9);
        book(
            storage,
            &[
                anna("2026-06-30", "x/a", 1_000, 1),
                anna("2026-07-01", "x/a", 1, 2),
                anna("2026-07-31", "x/a:free", 2, 3),
                generation("a", ("2026-07-15", "ben", "x/a-20260318"), 3, 4),
                generation("a", ("2026-07-15", "ben", "x/abc"), 4, 5),
                anna("2026-08-01", "x/a", 1_000, 6),
                generation("b", ("2026-07-15", "anna", "x/a"), 5, 7),
                generation("c", ("2026-07-15", "anna", "x/a"), 6, 8),
                late.clone(),
            ],
        );
        let unknown = |number, day: &str| generation("a", (day, "anna", "x/a"), 0, number);
        let pending = [
            waiting(&unknown(20, "2026-07-31"), "x/a:nitro", Some(usd("0.5"))),
            waiting(&unknown(21, "2026-07-01"), "x/b", Some(usd("0.25"))),
            waiting(&unknown(22, "2026-06-30"), "x/a", Some(usd("100"))),
            waiting(&unknown(23, "2026-07-15"), "x/a", None),
            waiting(&generation("b", ("2026-07-15", "ben", "x/b"), 0, 24), "x/b", Some(usd("3"))),
        ];
        storage.write_blocking(|conn| insert_pending(conn, &pending, NOON)).unwrap();
        let expected = [
            row("a organization -", "10", "0.34", "0.75"),
            row("a member anna", "5", "0.06", "0.75"),
            row("a model x/a", "2", "0.12", "0.5"),
            row("b model x/b", "0", "0", "3"),
        ];
        assert_eq!(shown(storage, &["c", "b", "a", "nobody"]), expected);
        // Booked by somebody else before its look-up: it counts once.
        book(storage, &[generation("a", ("2026-07-31", "anna", "x/a"), 10, 20)]);
        assert_eq!(shown(storage, &["a"])[0], row("a organization -", "10", "0.54", "0.25"));
    });
}

/// As when a list that came later has another id for the name.
#[test]
fn a_limit_by_a_dated_name_counts_the_model_whose_name_that_is() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    TestDb::each(|storage| {
        runtime.block_on(organization(storage, "a", None, &[(LimitScope::Model, "x/a-20260318", "2")]));
        let of = |model, number| generation("a", ("2026-07-15", "anna", model), 3, number);
        book(storage, &[of("x/a", 1), of("x/a-20260318", 2), of("x/b", 3)]);
        let pending = waiting(&of("x/a", 4), "x/a:free", Some(usd("0.5")));
        storage.write_blocking(|conn| insert_pending(conn, std::slice::from_ref(&pending), NOON)).unwrap();
        assert_eq!(shown(storage, &["a"]), [row("a model x/a-20260318", "2", "0.12", "0.5")]);
    });
}

#[test]
fn a_price_list_says_by_which_name_a_model_is_limited() {
    let of = |name: &str| LimitedModel::of(&ModelName::new(name).unwrap(), &prices());
    assert_eq!(of("x/a"), LimitedModel::Known);
    assert_eq!(of("x/a-20260318"), LimitedModel::CountedAs(ModelName::new("x/a").unwrap()));
    assert_eq!(of("x/misspelt"), LimitedModel::Unknown);
}

fn state(limit: i64, spent: i64, pending: i64) -> LimitState {
    LimitState {
        client_org_id: org("a"),
        month: "2026-07".parse().unwrap(),
        subject: LimitSubject::Organization,
        limit: Usd::from_nanos(limit),
        spent: Usd::from_nanos(spent),
        pending: Usd::from_nanos(pending),
    }
}

#[test]
fn a_limit_is_reached_only_when_all_of_it_is_used() {
    for (limit, used, percent, standing) in [
        (1_000, 0, 0, LimitStanding::Ok),
        (1_000, 799, 79, LimitStanding::Ok),
        (1_000, 800, 80, LimitStanding::Warning),
        (1_000, 999, 99, LimitStanding::Warning),
        (1_000, 1_000, 100, LimitStanding::Reached),
        (1_000, 12_345, 1_234, LimitStanding::Reached),
        (0, 0, 100, LimitStanding::Reached),
        (1, i64::MAX, i64::MAX, LimitStanding::Reached),
    ] {
        let state = state(limit, used, 0);
        assert_eq!((state.percent(), state.standing()), (percent, standing), "{used} of {limit}");
    }
}

proptest! {
    #[test]
    fn reached_is_when_spent_and_pending_are_the_limit(limit in 1..1_000_000_i64, spent in 0..1_000_000_i64, pending in 0..1_000_000_i64) {
        let state = state(limit, spent, pending);
        prop_assert_eq!(state.standing() == LimitStanding::Reached, spent + pending >= limit);
    }
}
