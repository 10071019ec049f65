//! One whole statement with figures computed by hand, and its bytes.

use mai_global_settings::Change;
use mai_storage::testing::TestDb;

use super::{World, each, read};
use crate::statements::{Language, ProfileForm, document::sha256, pdf::pdf};

/// October 2026 of the organization `a`: two models, one of them for less than a grosz more than a half, one user for the whole month
/// and one from the 16th on.
///
/// - o3: 1.00000002 × 1.5 = 1.50000003 USD; × 3.6376 = 5.4564001… = 5.46 PLN.
/// - Claude: 0.0123 × 1.5 = 0.01845 USD; × 3.6376 = 0.06711… = 0.07 PLN.
/// - Seats: 79.00, and 16 of 31 days: 40.774… = 40.77 PLN.
/// - Net 5.46 + 0.07 + 79.00 + 40.77 = 125.30; VAT 28.819 = 28.82; gross 154.12.
/// - 2026-10-31 is a Saturday, so the last table before it is that of Friday the 30th.
const DOCUMENT: &str = concat!(
    r#"{"format":1,"state":"issued","number":"2026/11/0001","month":"2026-10","#,
    r#""period":{"from":"2026-10-01","to":"2026-10-31","time_zone":"Europe/Warsaw"},"issue_date":"2026-11-03","#,
    r#""language":"pl","seller":{"name":"Sprzedawca Sp. z o.o.","address":"ul. Świętokrzyska 1\n00-360 Warszawa","#,
    r#""tax_id":"525-000-00-00"},"buyer":{"client_org_id":"a","name":"Pracownia Żuraw S.A.","address":"ul. Długa 7\n31-147 Kraków","#,
    r#""tax_id":"676-111-11-11","email":"faktury@zuraw.example"},"#,
    r#""rate":{"usd_pln":3.6376,"table_no":"303/A/NBP/2026","effective_date":"2026-10-30","policy":"before_period_end"},"#,
    r#""usage":[{"model":"anthropic/claude-sonnet-4","provider":"Anthropic","requests":1,"input_tokens":100,"#,
    r#""output_tokens":23,"total_tokens":123,"cost_usd":0.01845,"cost_pln":0.07,"reseller":{"raw_cost_usd":0.0123,"markup_usd":0.00615}},"#,
    r#"{"model":"openai/o3","provider":"OpenAI","requests":1,"input_tokens":100,"output_tokens":23,"total_tokens":123,"#,
    r#""cost_usd":1.50000003,"cost_pln":5.46,"reseller":{"raw_cost_usd":1.00000002,"markup_usd":0.50000001}}],"#,
    r#""subscription":[{"seats":1,"days":31,"days_in_month":31,"price_pln":79.00,"cost_pln":79.00},"#,
    r#"{"seats":1,"days":16,"days_in_month":31,"price_pln":79.00,"cost_pln":40.77}],"corrections":[],"#,
    r#""totals":{"usage_usd":1.51845003,"corrections_usd":0,"usage_pln":5.53,"subscription_pln":119.77,"corrections_pln":0.00,"#,
    r#""net_pln":125.30,"vat_pln":28.82,"gross_pln":154.12,"reseller":{"raw_cost_usd":1.01230002,"markup_usd":0.50615001}},"#,
    r#""vat":{"rate_basis_points":2300,"note":null}}"#,
);

fn october(world: &World) -> crate::statements::StatementModel {
    let a = world.warsaw("a");
    world.member(&a, "anna");
    let profile = ProfileForm {
        legal_name: Change::Set("Pracownia Żuraw S.A.".to_owned()),
        address: Change::Set("ul. Długa 7\n31-147 Kraków".to_owned()),
        tax_id: Change::Set("676-111-11-11".to_owned()),
        ..ProfileForm::default()
    };
    super::wait(world.statements.update_profile(&a, profile)).unwrap();
    world.at("2026-10-16T10:00:00Z");
    world.member(&a, "bob");
    world.use_model(&a, "gen-1", "2026-10-01", "openai/o3", "1.00000002");
    world.use_model(&a, "gen-2", "2026-10-31", "anthropic/claude-sonnet-4", "0.0123");
    world.at("2026-11-03T09:00:00Z");
    world.issue(&a, "2026-10")
}

#[test]
fn a_statement_to_the_grosz() {
    each(|world| {
        let row = october(world);
        assert_eq!(row.document, DOCUMENT);
        assert_eq!(row.document_sha256, sha256(DOCUMENT.as_bytes()));
        assert_eq!(read(&row).to_json().unwrap(), DOCUMENT, "it reads back to the same bytes");
        let figures = (row.net.to_string(), row.vat.to_string(), row.gross.to_string());
        assert_eq!(figures, ("125.30".to_owned(), "28.82".to_owned(), "154.12".to_owned()));
    });
}

#[test]
fn closing_again_and_elsewhere_gives_the_same_bytes() {
    let (one, other) = (TestDb::sqlite(), TestDb::postgres());
    let rows = [&one, &other].map(|database| {
        let world = World::new(&database.storage);
        let row = october(&world);
        // Later, with other members, settings and usage.
        world.at("2026-12-24T09:00:00Z");
        let a = super::org("a");
        world.member(&a, "celina");
        world.use_model(&a, "gen-3", "2026-10-05", "openai/o3", "5");
        let form = ProfileForm { language: Some(Language::English), ..ProfileForm::default() };
        super::wait(world.statements.update_profile(&a, form)).unwrap();
        let again = world.try_issue(&a, "2026-10");
        assert!(!again.is_new);
        assert_eq!(again.closing.standing, super::Standing::Issued(Box::new(row.clone())));
        row
    });
    assert_eq!(rows[0], rows[1]);
    let [first, second] = rows.map(|row| pdf(&read(&row)).unwrap());
    assert_eq!(first, second);
    assert_eq!(sha256(&first), {
        let statement = super::Statement::from_json(DOCUMENT).unwrap();
        sha256(&pdf(&statement).unwrap())
    });
}
