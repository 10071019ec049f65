use mai_global_settings::GlobalSettingsForm;
use mai_primitives::OrganizationId;

use super::{Fixture, at, each, organization, rate};
use crate::{Change, ClientOrganizationForm, ClientOrganizationPatch, query};

async fn set_default(fixture: &Fixture, text: &str) {
    let form = GlobalSettingsForm { default_markup_rate: Some(rate(text)), ..Default::default() };
    fixture.settings.update_settings(form).await.unwrap();
}

async fn set_own(fixture: &Fixture, id: &OrganizationId, markup_rate: Change<mai_primitives::MarkupRate>) {
    let patch = ClientOrganizationPatch { markup_rate, ..Default::default() };
    fixture.organizations.update(id, patch).await.unwrap();
}

fn rate_at(fixture: &Fixture, id: &OrganizationId, seconds: i64) -> String {
    let rate = fixture.storage.read_blocking(|conn| query::markup_rate_at(conn, id, at(seconds))).unwrap();
    rate.to_string()
}

#[test]
fn the_rate_of_any_instant_is_known() {
    each(async |fixture| {
        let id = fixture.organization("A").await.id;
        fixture.wait_seconds(100);
        set_default(fixture, "1.4").await;
        fixture.wait_seconds(100);
        set_own(fixture, &id, Change::Set(rate("2"))).await;
        fixture.wait_seconds(100);
        set_default(fixture, "1.5").await;
        // A change of something else does not touch the rate.
        set_own(fixture, &id, Change::Keep).await;
        fixture.wait_seconds(100);
        set_own(fixture, &id, Change::Clear).await;
        fixture.wait_seconds(100);
        set_default(fixture, "1.6").await;
        for (seconds, expected) in [
            (1_000, "1.3"),
            (1_099, "1.3"),
            (1_100, "1.4"),
            (1_199, "1.4"),
            (1_200, "2"),
            (1_399, "2"),
            (1_400, "1.5"),
            (1_499, "1.5"),
            (1_500, "1.6"),
            (9_999, "1.6"),
        ] {
            assert_eq!(rate_at(fixture, &id, seconds), expected, "{seconds}");
        }
        assert_eq!(rate_at(fixture, &id, 999), "1.6", "before it was made its present rate counts");
        assert_eq!(rate_at(fixture, &organization("nobody"), 1_000), "1.6", "the present default");
    });
}

#[test]
fn an_own_rate_counts_from_the_first_moment_and_the_last_of_a_second() {
    each(async |fixture| {
        let form = ClientOrganizationForm {
            name: "A".into(),
            markup_rate: Some(rate("1.75")),
            ..Default::default()
        };
        let id = fixture.organizations.create(form).await.unwrap().id;
        assert_eq!(rate_at(fixture, &id, 500), "1.75");
        assert_eq!(rate_at(fixture, &id, 1_000), "1.75");
        set_own(fixture, &id, Change::Set(rate("1.8"))).await;
        set_own(fixture, &id, Change::Set(rate("1.9"))).await;
        assert_eq!(rate_at(fixture, &id, 1_000), "1.9");
    });
}

/// Between processes clocks differ, and one may be set back: the last change counts all the same.
#[test]
fn a_rate_is_not_overtaken_by_one_that_was_set_before_it() {
    each(async |fixture| {
        let id = fixture.organization("A").await.id;
        fixture.wait_seconds(100);
        set_own(fixture, &id, Change::Set(rate("2"))).await;
        fixture.wait_seconds(-50);
        set_own(fixture, &id, Change::Set(rate("3"))).await;
        for (seconds, expected) in [(1_000, "1.3"), (1_099, "1.3"), (1_100, "3"), (9_999, "3")] {
            assert_eq!(rate_at(fixture, &id, seconds), expected, "{seconds}");
        }
    });
}
