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

/// The details of the audit log's entries whose actions begin so.
fn details_of(world: &World, action: &str) -> Vec<String> {
    use diesel::prelude::*;
    use mai_audit_log::schema::audit_log;
    let details = world.storage.read_blocking(|conn| {
        audit_log::table
            .filter(audit_log::action.like(format!("{action}%")))
            .order(audit_log::seq)
            .select(audit_log::details)
            .load(conn)
            .map_err(Error::from)
    });
    details.unwrap()
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

        // Who was there until after the end of the month pays for it, however late it is closed.
        let b = world.warsaw("b");
        world.member(&b, "ben");
        world.at("2026-12-01T08:00:00Z");
        let patch = ClientOrganizationPatch { is_active: Some(false), ..ClientOrganizationPatch::default() };
        wait(world.organizations.update(&b, patch)).unwrap();
        world.at("2026-12-02T09:00:00Z");
        let issued = read(&world.issue(&b, "2026-11"));
        assert_eq!((issued.usage.len(), issued.subscription.len()), (0, 1));
    });
}

#[test]
fn the_note_of_a_sale_without_vat_goes_with_it() {
    each(|world| {
        let a = world.warsaw("a");
        let note = || Change::Set("art. 28b ustawy o VAT".to_owned());
        let (none, rate) = (Some(Vat::NotApplicable), Some(Vat::Rate(2_300)));
        let settings = |vat, vat_note| {
            wait(world.statements.update_settings(SettingsForm { vat, vat_note, ..SettingsForm::default() }))
                .unwrap()
                .vat_note
        };
        assert!(settings(none, note()).is_some());
        assert_eq!(settings(rate, Change::Keep), None);
        // A note of a rate stays with it.
        assert!(settings(rate, note()).is_some() && settings(Some(Vat::Rate(800)), Change::Keep).is_some());
        let profile = |vat, vat_note| {
            let form = ProfileForm { vat, vat_note, ..ProfileForm::default() };
            wait(world.statements.update_profile(&a, form)).unwrap().vat_note
        };
        let none = || Change::Set(Vat::NotApplicable);
        for to in [Change::Set(Vat::Rate(2_300)), Change::Clear] {
            assert!(profile(none(), note()).is_some());
            assert!(profile(none(), Change::Keep).is_some());
            assert_eq!(profile(to, Change::Keep), None, "{to:?}");
        }
        assert!(profile(none(), note()).is_some());
        assert!(profile(Change::Set(Vat::Rate(800)), Change::Set("another".to_owned())).is_some());
    });
}

#[test]
fn the_audit_log_tells_which_texts_were_changed_and_not_what_they_say() {
    each(|world| {
        let a = world.warsaw("a");
        let form = SettingsForm {
            seller_address: Change::Set("ul. Nowa 9\nŁódź".to_owned()),
            vat: Some(Vat::NotApplicable),
            vat_note: Change::Set("art. 113 ustawy o VAT".to_owned()),
            ..SettingsForm::default()
        };
        wait(world.statements.update_settings(form)).unwrap();
        let form = SettingsForm { vat: Some(Vat::Rate(2_300)), ..SettingsForm::default() };
        wait(world.statements.update_settings(form)).unwrap();
        let form = ProfileForm { address: Change::Clear, ..ProfileForm::default() };
        wait(world.statements.update_profile(&a, form)).unwrap();
        let details = details_of(world, "billing_");
        assert!(details[1].contains("\"seller_address\":\"changed\""), "{details:?}");
        assert!(details[1].contains("\"vat_note\":\"changed\""), "{details:?}");
        assert!(details[2].contains("\"vat_note\":\"cleared\""), "{details:?}");
        assert!(details[3].contains("\"address\":\"cleared\""), "{details:?}");
        assert!(details.iter().all(|text| !text.contains("Nowa") && !text.contains("art.")), "{details:?}");
    });
}
