use super::{Fixture, at, each, organization, user};
use crate::{
    Error, ImportOptions, ImportReport, ListedMember, MemberForm, MemberList, MemberPatch, MemberRole,
    MemberSource, UserClientMappingForm, import::csv, openrouter_user_id,
};

fn entry(user_id: &str, name: &str, role: &str) -> ListedMember {
    ListedMember {
        user_id: user_id.into(),
        name: name.into(),
        role: role.into(),
        joined_at: Some(at(500)),
        ..ListedMember::default()
    }
}

fn registry(members: impl IntoIterator<Item = ListedMember>) -> MemberList {
    let members = members.into_iter().zip(1..).map(|(entry, line)| ListedMember { line, ..entry });
    MemberList { source: MemberSource::OpenWebui, members: members.collect(), refused: Vec::new() }
}

async fn import(fixture: &Fixture, list: MemberList, options: ImportOptions) -> ImportReport {
    fixture.members.import(&organization("A"), list, options).await.unwrap()
}

const COMPLETE: ImportOptions = ImportOptions { deactivate_missing: true, dry_run: false };
const PLAIN: ImportOptions = ImportOptions { deactivate_missing: false, dry_run: false };

fn counts(report: &ImportReport) -> [usize; 5] {
    [report.new, report.changed, report.unchanged, report.merged, report.deactivated]
}

#[test]
fn a_registry_is_taken_again_and_again() {
    each(async |fixture| {
        fixture.organization("A").await;
        let a = organization("A");
        fixture.members.create(&a, form("u1")).await.unwrap();
        let list = || {
            registry([entry("u2", "Ewa", "admin"), entry("u1", "Żółw", "user"), entry("u3", "", "pending")])
        };
        let dry = ImportOptions { dry_run: true, ..PLAIN };
        let report = import(fixture, list(), dry).await;
        assert_eq!((counts(&report), report.applied, report.listed), ([2, 1, 0, 0, 0], false, 3));
        assert_eq!(fixture.members.list(&a).await.unwrap().len(), 1, "a dry run changes nothing");

        fixture.wait_seconds(1_000);
        let revision = fixture.revision();
        let report = import(fixture, list(), PLAIN).await;
        assert_eq!((counts(&report), report.applied), ([2, 1, 0, 0, 0], true));
        let members = fixture.members.list(&a).await.unwrap();
        let told = |index: usize| {
            let one = &members[index];
            (one.name.as_deref(), one.role, one.source, one.created_at, one.updated_at)
        };
        let source = MemberSource::OpenWebui;
        assert_eq!(
            told(0),
            (Some("Żółw"), MemberRole::Member, source, at(500), at(2_000)),
            "the earlier date"
        );
        assert_eq!(told(1), (Some("Ewa"), MemberRole::Admin, source, at(500), at(2_000)));
        assert_eq!(told(2), (None, MemberRole::Pending, source, at(500), at(2_000)));
        let mapped = fixture.mappings.get_client_users(&a).await.unwrap();
        let expected = openrouter_user_id(&a, &user("u3")).unwrap();
        assert_eq!((mapped.len(), &mapped[2].openrouter_user_id), (3, &expected));

        fixture.wait_seconds(1_000);
        assert_eq!(counts(&import(fixture, list(), PLAIN).await), [0, 0, 3, 0, 0]);
        assert_eq!(fixture.members.list(&a).await.unwrap(), members);
        assert_eq!(fixture.revision(), revision + 1, "no gateway loads anything for nothing");
    });
}

fn form(user_id: &str) -> MemberForm {
    MemberForm {
        user_id: user(user_id),
        name: None,
        email: None,
        role: MemberRole::Member,
        source: MemberSource::Api,
        is_active: true,
    }
}

#[test]
fn what_a_list_leaves_open_stays() {
    each(async |fixture| {
        fixture.organization("A").await;
        let a = organization("A");
        let known = MemberForm {
            name: Some("Ewa".into()),
            email: Some("ewa@x.example".into()),
            role: MemberRole::Admin,
            is_active: false,
            ..form("u1")
        };
        fixture.members.create(&a, known).await.unwrap();
        fixture.wait_seconds(1);
        let list = csv::parse(b"user_id\nu1\n").unwrap();
        assert_eq!(counts(&import(fixture, list, PLAIN).await), [0, 1, 0, 0, 0], "another source names her");
        let row = fixture.members.get(&a, &user("u1")).await.unwrap().unwrap();
        assert_eq!((row.name.as_deref(), row.email.as_deref()), (Some("Ewa"), Some("ewa@x.example")));
        assert_eq!((row.role, row.is_active, row.created_at), (MemberRole::Admin, false, at(1_000)));
        let list = csv::parse(b"user_id;role;active\nu1;member;yes\n").unwrap();
        import(fixture, list, PLAIN).await;
        let row = fixture.members.get(&a, &user("u1")).await.unwrap().unwrap();
        assert_eq!((row.role, row.is_active), (MemberRole::Member, true));
    });
}

#[test]
fn whoever_is_missing_becomes_inactive_only_where_that_is_asked_for() {
    each(async |fixture| {
        fixture.organization("A").await;
        let a = organization("A");
        fixture.members.create(&a, form("by-hand")).await.unwrap();
        let all = || registry([entry("u1", "", ""), entry("u2", "", ""), entry("u3", "", "")]);
        let some = || registry([entry("u1", "", "")]);
        import(fixture, all(), PLAIN).await;
        assert_eq!(counts(&import(fixture, some(), PLAIN).await), [0, 0, 1, 0, 0]);
        let active = async || {
            let members = fixture.members.list(&a).await.unwrap();
            let active = members.into_iter().filter(|one| one.is_active).map(|one| one.user_id.to_string());
            active.collect::<Vec<_>>()
        };
        assert_eq!(active().await, ["by-hand", "u1", "u2", "u3"]);
        // One whose entry cannot be used is not missing.
        let odd = registry([entry("u1", "", ""), entry("u3", "", "chief")]);
        let report = import(fixture, odd, COMPLETE).await;
        assert_eq!((counts(&report), report.refused.len()), ([0, 0, 1, 0, 1], 1));
        assert_eq!(
            active().await,
            ["by-hand", "u1", "u3"],
            "another source's members are none of its business"
        );
        let off = MemberPatch { is_active: Some(false), ..MemberPatch::default() };
        fixture.members.update(&a, &user("u1"), off).await.unwrap();
        import(fixture, all(), PLAIN).await;
        assert_eq!(active().await, ["by-hand", "u3"], "a list that is not complete leaves that to people");
        assert_eq!(counts(&import(fixture, all(), COMPLETE).await), [0, 2, 1, 0, 0]);
        assert_eq!(active().await, ["by-hand", "u1", "u2", "u3"]);
        let empty = fixture.members.import(&a, registry([]), COMPLETE).await;
        assert!(matches!(empty, Err(Error::Invalid { field: "members", .. })));
        assert_eq!(counts(&import(fixture, registry([]), PLAIN).await), [0; 5]);
    });
}

#[test]
fn a_file_with_a_bad_line_is_not_taken_and_a_registry_with_an_odd_entry_is() {
    each(async |fixture| {
        fixture.organization("A").await;
        let a = organization("A");
        let file = "user_id,email,name,role,active\n\
                    u1,a@x.example,Ewa,,\n\
                    ,b@x.example,,,\n\
                    u3,no address,,,\n\
                    u4,,,chief,\n\
                    u5,,,,perhaps\n\
                    u1,,,,\n\
                    unattributed,,,,\n\
                    u8,,\n";
        let report = import(fixture, csv::parse(file.as_bytes()).unwrap(), PLAIN).await;
        let lines: Vec<_> = report.refused.iter().map(|one| (one.line, one.user_id.as_str())).collect();
        let expected = [(3, ""), (4, "u3"), (5, "u4"), (6, "u5"), (7, "u1"), (8, "unattributed"), (9, "u8")];
        assert_eq!(lines, expected, "{:?}", report.refused);
        assert!(!report.applied);
        assert_eq!(fixture.members.list(&a).await.unwrap(), []);

        let strange = "no address ".repeat(100) + "\n";
        let odd = [
            entry("u1", "a\0b", "user"),
            ListedMember { email: strange, ..entry("u2", "", "admin") },
            entry("u3", "", "chief"),
            entry("", "", "user"),
        ];
        let report = import(fixture, registry(odd), PLAIN).await;
        assert_eq!((counts(&report), report.applied), ([2, 0, 0, 0, 0], true));
        let lines: Vec<_> = report.refused.iter().map(|one| one.line).collect();
        assert_eq!(lines, [3, 4]);
        let members = fixture.members.list(&a).await.unwrap();
        assert_eq!(members[0].name.as_deref(), Some("ab"));
        assert_eq!(members[1].email.as_deref().map(str::len), Some(200));
    });
}

#[test]
fn ids_of_members_who_are_registered_otherwise_are_left_out() {
    each(async |fixture| {
        fixture.organization("A").await;
        let a = organization("A");
        fixture.members.create(&a, form("anna")).await.unwrap();
        fixture.members.add_external_id(&a, &user("u1"), &user("anna")).await.unwrap();
        let report = import(fixture, registry([entry("u1", "", ""), entry("u2", "", "")]), COMPLETE).await;
        assert_eq!(counts(&report), [1, 0, 0, 1, 0]);
        let unknown = fixture.members.import(&organization("nobody"), registry([]), PLAIN).await;
        assert!(matches!(unknown, Err(Error::NotFound { what: "organization", .. })));
    });
}

#[test]
fn a_mapping_by_hand_stays_when_its_member_is_listed() {
    each(async |fixture| {
        fixture.organization("A").await;
        let by_hand = UserClientMappingForm {
            user_id: user("u1"),
            client_org_id: organization("A"),
            openrouter_user_id: Some("by-hand".parse().unwrap()),
        };
        let made = fixture.mappings.create_mapping(by_hand).await.unwrap();
        import(fixture, registry([entry("u1", "", "")]), PLAIN).await;
        assert_eq!(fixture.mappings.get_client_users(&organization("A")).await.unwrap(), [made]);
    });
}

#[test]
fn joined_dates_that_cannot_be_true_are_not_believed() {
    each(async |fixture| {
        fixture.organization("A").await;
        let joined =
            |user_id: &str, seconds| ListedMember { joined_at: Some(at(seconds)), ..entry(user_id, "", "") };
        let list =
            [joined("u1", 0), joined("u2", -5), joined("u3", 1_001), joined("u4", 1_000), joined("u5", 1)];
        import(fixture, registry(list), PLAIN).await;
        let members = fixture.members.list(&organization("A")).await.unwrap();
        let since: Vec<_> = members.iter().map(|one| one.created_at.seconds()).collect();
        assert_eq!(since, [1_000, 1_000, 1_000, 1_000, 1]);
    });
}
