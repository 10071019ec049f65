//! Reading, storing and keeping prices, on both databases.

use std::sync::Arc;

use http::StatusCode;
use mai_mock_openrouter::{Mock, MockSettings};
use mai_openrouter::{OpenRouterClient, PriceKind};
use mai_primitives::{ManualClock, Usd};
use mai_storage::{Storage, testing::TestDb};

use crate::{CATALOGUE, ModelPriceTable, Source, query};

struct Fixture {
    storage: Storage,
    mock: Mock,
    clock: ManualClock,
}

impl Fixture {
    /// The service of one more process.
    fn table(&self) -> ModelPriceTable {
        // The first test of the process installs the provider, for the others it is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = OpenRouterClient::new(&self.mock.base_url()).unwrap();
        ModelPriceTable::new(self.storage.clone(), client, Arc::new(self.clock.clone()))
    }

    fn stored_models(&self) -> Vec<(String, Option<String>)> {
        let list = self.storage.read_blocking(|conn| query::load_other(conn, None)).unwrap();
        let list = list.expect("a stored list");
        let price = |kind, model: &crate::ModelPrice| model.unit(kind).map(|price| price.to_string());
        list.models().iter().map(|model| (model.id.to_string(), price(PriceKind::Prompt, model))).collect()
    }
}

/// Runs a test on each database with a mock of its own, beginning on 2026-11-26 at noon.
#[expect(clippy::needless_pass_by_value, reason = "every caller passes a closure that it writes in place")]
fn each(test: impl AsyncFn(&Fixture)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    TestDb::each(|storage| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let clock = ManualClock::at("2026-11-26T12:00:00Z".parse().unwrap());
        runtime.block_on(test(&Fixture { storage: storage.clone(), mock, clock }));
    });
}

const MINI: &str = "openai/gpt-4o-mini";

#[test]
fn without_any_copy_the_built_in_list_stands_in() {
    each(async |fixture| {
        let table = fixture.table();
        table.load().await.unwrap();
        let list = table.prices().current();
        let now = "2026-11-26T12:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap().into();
        assert_eq!((list.source(now), list.age_seconds(now)), (Source::HardcodedFallback, None));
        assert_eq!(list.models().len(), CATALOGUE.len());
        for offered in CATALOGUE {
            let model = list.find(offered.id).unwrap();
            assert_eq!(model.category, Some(offered.category));
            let price = |kind| model.unit(kind).unwrap().per_million();
            assert_eq!(price(PriceKind::Prompt), Usd::parse(offered.input_price).unwrap());
            assert_eq!(price(PriceKind::Completion), Usd::parse(offered.output_price).unwrap());
        }
        assert_eq!(table.prices().estimate(MINI, 1_000_000, 1_000_000), Some(Usd::parse("0.75").unwrap()));
        assert_eq!(table.prices().estimate("openai/gpt-9", 1, 1), None);
    });
}

#[test]
fn a_list_is_stored_whole_and_found_by_other_processes() {
    each(async |fixture| {
        let (first, second) = (fixture.table(), fixture.table());
        let refreshed = first.refresh().await.unwrap();
        assert_eq!(refreshed.fetched_at.seconds(), 1_795_694_400);
        second.load().await.unwrap();
        for table in [&first, &second] {
            let list = table.prices().current();
            assert_eq!(
                (list.fetched_at(), list.models().len()),
                (Some(refreshed.fetched_at), refreshed.models)
            );
            let mini = table.prices().price_of(MINI).unwrap();
            assert_eq!(mini.unit(PriceKind::Prompt).unwrap().to_string(), "0.00000015");
            assert_eq!((mini.context_length, mini.max_completion_tokens), (Some(128_000), Some(16_384)));
            assert_eq!(table.prices().price_of(&format!("{MINI}-20260318")), Some(mini), "by its dated slug");
            // Digits below a nano-dollar, what the original could not show.
            assert_eq!(table.prices().estimate("mock/ok", 1, 0), Some(Usd::from_nanos(124)));
            // 0.8 of (129,000 x 6 + 1,000 x 30) millionths and of a thousandth for the call.
            let long = table.prices().estimate("x-ai/grok-4-tiered", 129_000, 1_000);
            assert_eq!(long, Some(Usd::parse("0.644").unwrap()));
            assert!(list.find("openrouter/auto").is_some(), "it is listed");
            assert_eq!(table.prices().price_of("openrouter/auto"), None, "and has no price");
            assert_eq!(table.prices().estimate("openrouter/auto", 1, 1), None);
            assert_eq!(table.prices().price_of("meta-llama/llama-3.3-70b-instruct:nitro"), None);
        }
        let embeddings = first.prices().price_of("openai/text-embedding-3-small");
        assert!(embeddings.is_some(), "models of all outputs are listed");
    });
}

#[test]
fn a_second_refresh_changes_nothing_but_the_time() {
    each(async |fixture| {
        let table = fixture.table();
        let first = table.refresh().await.unwrap();
        let models = fixture.stored_models();
        fixture.clock.advance_millis(60_000);
        let second = table.refresh().await.unwrap();
        assert_eq!(second.fetched_at, first.fetched_at.plus_seconds(60));
        assert_eq!(fixture.stored_models(), models);
        assert_eq!(table.prices().current().fetched_at(), Some(second.fetched_at));
    });
}

#[test]
fn a_bad_answer_leaves_the_last_good_copy() {
    each(async |fixture| {
        let table = fixture.table();
        let good = table.refresh().await.unwrap();
        let models = fixture.stored_models();
        fixture.clock.advance_millis(27 * 3_600_000);
        let priced = r#"{"id":"a/b","name":"B","pricing":{"prompt":"0.1","completion":"0.1"}}"#;
        for (status, body) in [
            (StatusCode::INTERNAL_SERVER_ERROR, "{}".to_owned()),
            (StatusCode::OK, "<html>".to_owned()),
            (StatusCode::OK, r#"{"data":[]}"#.to_owned()),
            (StatusCode::OK, format!(r#"{{"data":[{priced},{{"id":"a/c","name":"C","pricing":{{}}}}]}}"#)),
            (StatusCode::OK, format!(r#"{{"data":[{priced}],"total_count":2}}"#)),
        ] {
            fixture.mock.answer_models(Some((status, &body)));
            assert!(table.refresh().await.is_err(), "{body}");
            assert_eq!(fixture.stored_models(), models, "{body}");
            let list = table.prices().current();
            let now = good.fetched_at.plus_seconds(27 * 3_600);
            assert_eq!((list.source(now), list.age_seconds(now)), (Source::CacheFallback, Some(27 * 3_600)));
            assert!(table.prices().price_of(MINI).is_some());
        }
        // Somebody who starts now has the same copy.
        let other = fixture.table();
        other.load().await.unwrap();
        assert_eq!(other.prices().current().fetched_at(), Some(good.fetched_at));

        let body = format!(r#"{{"data":[{priced}],"total_count":1,"links":{{"next":null}}}}"#);
        fixture.mock.answer_models(Some((StatusCode::OK, &body)));
        table.refresh().await.unwrap();
        assert_eq!(fixture.stored_models(), [("a/b".to_owned(), Some("0.1".to_owned()))]);
        assert_eq!(table.prices().price_of(MINI), None, "what is no longer sold has no price");
        fixture.mock.answer_models(None);
        table.refresh().await.unwrap();
        assert_eq!(fixture.stored_models(), models);
    });
}

#[test]
fn a_younger_list_is_never_replaced_by_an_older_one() {
    each(async |fixture| {
        let (late, early) = (fixture.table(), fixture.table());
        fixture.clock.advance_millis(5_000);
        let young = late.refresh().await.unwrap();
        fixture.clock.advance_millis(-5_000);
        early.refresh().await.unwrap();
        for table in [&late, &early] {
            assert_eq!(table.prices().current().fetched_at(), Some(young.fetched_at));
        }
    });
}

#[test]
fn several_processes_may_refresh_at_once() {
    each(async |fixture| {
        let tables: Vec<_> = (0..4).map(|_| fixture.table()).collect();
        let [a, b, c, d] = tables.as_slice() else { panic!("four") };
        let done = tokio::join!(a.refresh(), b.refresh(), c.refresh(), d.refresh());
        let models = [done.0, done.1, done.2, done.3].map(|refreshed| refreshed.unwrap().models);
        assert_eq!(models.map(|count| count == fixture.stored_models().len()), [true; 4]);
    });
}
