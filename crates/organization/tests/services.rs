//! The services of one database work together.

use std::sync::Arc;

use mai_organization::{
    ClientOrganizationForm, GlobalSettingsForm, MasterKey, OrganizationServices, Recorded, UsageRecordDto,
    usage_tracking::Error,
};
use mai_primitives::{ManualClock, MarkupRate, ModelName, OpenRouterUserId, UsageDate, Usd, UserId};
use mai_storage::testing::TestDb;

#[test]
fn usage_of_an_organization_at_the_global_rate() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    TestDb::each(|storage| {
        let clock = ManualClock::at("2026-07-15T12:00:00Z".parse().unwrap());
        let services =
            OrganizationServices::new(storage.clone(), MasterKey::generate().unwrap(), Arc::new(clock));
        runtime.block_on(async {
            let settings = GlobalSettingsForm {
                default_markup_rate: Some(MarkupRate::parse("1.4").unwrap()),
                ..GlobalSettingsForm::default()
            };
            services.global_settings_db.update_settings(settings).await.unwrap();
            let form = ClientOrganizationForm { name: "Company".into(), ..ClientOrganizationForm::default() };
            let organization = services.client_organization_db.create(form).await.unwrap();
            let record = UsageRecordDto {
                client_org_id: organization.id.clone(),
                user_id: UserId::new("anna").unwrap(),
                openrouter_user_id: OpenRouterUserId::new("company_user_1").unwrap(),
                model_name: ModelName::new("openai/o3").unwrap(),
                usage_date: UsageDate::parse("2026-07-15").unwrap(),
                input_tokens: 1,
                output_tokens: 2,
                raw_cost: Usd::from_nanos(1_000),
                markup_cost: None,
                provider: None,
                generation_id: None,
            };
            let usage = &services.client_usage_db;
            assert_eq!(usage.record_usage(record).await.unwrap(), Recorded::New);
            let stats = usage.get_usage_stats(&organization.id).await.unwrap();
            assert_eq!(stats.current_month.total_cost, Usd::from_nanos(1_400));

            let ledger = &services.processed_generation_db;
            let today = UsageDate::parse("2026-07-15").unwrap();
            let sums = ledger.get_processed_generations_stats(&organization.id, today, today).await.unwrap();
            assert_eq!((sums.total_processed, sums.total_cost), (1, Usd::from_nanos(1_000)));

            assert!(services.member_db.list(&organization.id).await.unwrap().is_empty());
            assert!(services.gateway_key_db.list(&organization.id).await.unwrap().is_empty());
            let unknown = mai_primitives::OrganizationId::new("nobody").unwrap();
            assert!(matches!(usage.get_live_counter(&unknown).await, Err(Error::UnknownOrganization(_))));
        });
    });
}
