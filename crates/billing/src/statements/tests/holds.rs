//! What keeps a statement from being issued, and by which table it is converted.

use mai_client_organization::ClientOrganizationPatch;
use mai_exchange_rates::StatementRatePolicy;
use mai_global_settings::Change;

use super::{Standing, World, day, each, month, read, statement, wait};
use crate::{
    Error,
    statements::{Hold, ProfileForm, SettingsForm, Vat},
};

fn holds(world: &World, id: &mai_primitives::OrganizationId, of: &str) -> Vec<Hold> {
    let issuing = world.try_issue(id, of);
    assert!(!issuing.is_new);
    match issuing.closing.standing {
        Standing::Held(_, holds) => holds,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_issued_without_a_certain_table() {
    each(|world| {
        let a = world.warsaw("a");
        world.use_model(&a, "gen-1", "2026-10-05", "openai/o3", "10");
        world.at("2026-11-02T09:00:00Z");
        // Tables up to the 29th are known, and the 30th may still have one.
        world.known_through("2026-10-29");
        assert_eq!(holds(world, &a, "2026-10"), [Hold::NoCertainRate]);
        let draft = statement(world.closing(&a, "2026-10"));
        assert_eq!((draft.rate, draft.totals.net_pln, draft.usage[0].cost_pln), (None, None, None));
        assert!(wait(world.statements.find(&a, month("2026-10"))).unwrap().is_none());
        world.known_through("2026-10-30");
        let issued = world.issue(&a, "2026-10");
        assert_eq!(
            (issued.usd_pln_rate.to_string(), issued.rate_effective_date),
            ("3.6376".into(), day("2026-10-30"))
        );
        assert_eq!(issued.number, "2026/11/0001", "the attempt has spent no number");
    });
}

#[test]
fn both_policies_choose_their_table() {
    each(|world| {
        let (end, issue) = (StatementRatePolicy::BeforePeriodEnd, StatementRatePolicy::BeforeIssueDay);
        for (name, policy, rate, table) in
            [("a", end, "3.6376", "2026-10-30"), ("b", issue, "3.9999", "2026-11-03")]
        {
            let id = world.organization(name, "Europe/Warsaw", policy);
            world.at("2026-10-20T09:00:00Z");
            world.use_model(&id, "gen-1", "2026-10-05", "openai/o3", "10");
            world.at("2026-11-04T09:00:00Z");
            let row = world.issue(&id, "2026-10");
            assert_eq!((row.usd_pln_rate.to_string().as_str(), row.rate_effective_date), (rate, day(table)));
            assert_eq!(read(&row).rate.unwrap().policy, policy.as_str());
        }
    });
}

#[test]
fn a_month_ends_in_the_organizations_own_zone() {
    each(|world| {
        let far = |name, zone| world.organization(name, zone, StatementRatePolicy::BeforePeriodEnd);
        let (west, east) = (far("west", "America/Los_Angeles"), far("east", "Pacific/Auckland"));
        for id in [&west, &east] {
            world.use_model(id, "gen-1", "2026-10-05", "openai/o3", "10");
        }
        // Midnight in Auckland (UTC+13) is 11:00 UTC; in Los Angeles (UTC-7 until 1 November) 07:00 UTC.
        world.at("2026-10-31T10:59:59Z");
        assert_eq!(holds(world, &east, "2026-10"), [Hold::MonthNotOver]);
        world.at("2026-10-31T11:00:00Z");
        assert_eq!(world.issue(&east, "2026-10").issue_date, day("2026-10-31"), "the seller's own day");
        world.at("2026-11-01T06:59:59Z");
        assert_eq!(holds(world, &west, "2026-10"), [Hold::MonthNotOver]);
        world.at("2026-11-01T07:00:00Z");
        let row = world.issue(&west, "2026-10");
        assert_eq!(read(&row).period.time_zone, "America/Los_Angeles");
        let refused = wait(world.statements.closing(&west, month("2026-12")));
        assert!(matches!(refused, Err(Error::NotBegun(_))));
    });
}

#[test]
fn the_seller_must_be_named_and_vat_explained() {
    each(|world| {
        let a = world.warsaw("a");
        world.use_model(&a, "gen-1", "2026-10-05", "openai/o3", "10");
        world.at("2026-11-02T09:00:00Z");
        let settings = |form| wait(world.statements.update_settings(form));
        settings(SettingsForm { seller_tax_id: Change::Clear, ..SettingsForm::default() }).unwrap();
        assert_eq!(holds(world, &a, "2026-10"), [Hold::SellerIncomplete]);
        let form = SettingsForm {
            seller_tax_id: Change::Set(" 5250000000 ".to_owned()),
            vat: Some(Vat::Rate(800)),
            ..SettingsForm::default()
        };
        assert_eq!(settings(form).unwrap().seller_tax_id.as_deref(), Some("5250000000"));
        // 15 × 3.6376 = 54.564 = 54.56; 8 % of it 4.3648 = 4.36.
        let tax = || statement(world.closing(&a, "2026-10")).totals.vat_pln.unwrap().to_string();
        assert_eq!(tax(), "4.36");
        let profile = |form| wait(world.statements.update_profile(&a, form));
        let none = || ProfileForm { vat: Change::Set(Vat::NotApplicable), ..ProfileForm::default() };
        assert!(matches!(profile(none()), Err(Error::Invalid { field: "vat_note", .. })));
        let note = "art. 28b ustawy o VAT, odwrotne obciążenie".to_owned();
        profile(ProfileForm { vat_note: Change::Set(note.clone()), ..none() }).unwrap();
        let issued = read(&world.issue(&a, "2026-10"));
        assert_eq!((issued.vat.rate_basis_points, issued.vat.note), (None, Some(note)));
        assert_eq!(issued.totals.net_pln, issued.totals.gross_pln);
    });
}

#[test]
fn a_closed_organization_pays_for_usage_and_not_for_seats() {
    each(|world| {
        let a = world.warsaw("a");
        world.member(&a, "anna");
        world.use_model(&a, "gen-1", "2026-10-05", "openai/o3", "10");
        let patch = ClientOrganizationPatch { is_active: Some(false), ..ClientOrganizationPatch::default() };
        wait(world.organizations.update(&a, patch)).unwrap();
        world.at("2026-11-02T09:00:00Z");
        let issued = read(&world.issue(&a, "2026-10"));
        assert_eq!((issued.usage.len(), issued.subscription.len()), (1, 0));
    });
}
