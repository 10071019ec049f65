//! Every service writes down its changes in the name of whoever acts.

use std::sync::Arc;

use mai_organization::{
    ClientOrganizationForm, ClientOrganizationPatch, GlobalSettingsForm, MasterKey, OrganizationServices,
    UserClientMappingForm,
    audit_log::{Actor, ActorKind, AuditQuery},
    client_organization::{
        Change, GatewayKeyPatch, MemberForm, MemberRole, MemberSource, NewApiToken, NewGatewayKey, Role,
        TokenScope,
    },
};
use mai_primitives::{OrganizationId, SystemClock, UserId};
use mai_storage::testing::TestDb;

#[test]
fn every_change_has_an_entry_and_no_entry_a_secret() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    TestDb::each(|storage| {
        let services =
            OrganizationServices::new(storage.clone(), MasterKey::generate().unwrap(), Arc::new(SystemClock));
        let actor = Actor::new(ActorKind::Account, "account_1").at(Some("192.0.2.1".into()), None);
        runtime.block_on(change_everything(&services.acting_as(&actor)));
        let entries =
            runtime.block_on(services.audit_log_db.list(AuditQuery { limit: 100, ..AuditQuery::default() }));
        let mut entries = entries.unwrap();
        entries.reverse();
        let actions: Vec<&str> = entries.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(
            actions,
            [
                "settings.update",
                "organization.create",
                "organization.update",
                "organization.deactivate",
                "organization.activate",
                "mapping.create",
                "mapping.update",
                "gateway_key.create",
                "gateway_key.update",
                "gateway_key.rotate",
                "gateway_key.revoke",
                "member.update",
                "api_token.create",
                "api_token.revoke",
            ]
        );
        for entry in &entries {
            assert_eq!((entry.actor_id.as_str(), entry.remote.as_deref()), ("account_1", Some("192.0.2.1")));
            assert!(!entry.details.contains("sk-or-v1-secret"), "{}", entry.details);
            assert!(!entry.details.contains("identity-secret-of"), "{}", entry.details);
        }
        assert!(runtime.block_on(services.audit_log_db.verify()).unwrap().is_ok());
    });
}

#[expect(clippy::unwrap_used, reason = "a test fails by it")]
async fn change_everything(services: &OrganizationServices) {
    let id = OrganizationId::new("abc").unwrap();
    let user = UserId::new("anna").unwrap();
    let form = GlobalSettingsForm {
        openrouter_provisioning_key: Change::Set("sk-or-v1-secret-provisioning".into()),
        ..GlobalSettingsForm::default()
    };
    services.global_settings_db.update_settings(form).await.unwrap();
    let form = ClientOrganizationForm {
        id: Some(id.clone()),
        name: "ABC".into(),
        openrouter_api_key: Some("sk-or-v1-secret".into()),
        ..ClientOrganizationForm::default()
    };
    services.client_organization_db.create(form).await.unwrap();
    let patch = ClientOrganizationPatch {
        openrouter_api_key: Change::Set("sk-or-v1-secret-2".into()),
        ..ClientOrganizationPatch::default()
    };
    services.client_organization_db.update(&id, patch).await.unwrap();
    services.client_organization_db.deactivate(&id).await.unwrap();
    services.client_organization_db.activate(&id).await.unwrap();
    let form =
        UserClientMappingForm { user_id: user.clone(), client_org_id: id.clone(), openrouter_user_id: None };
    services.user_client_mapping_db.create_mapping(form).await.unwrap();
    services.user_client_mapping_db.deactivate_mapping(&id, &user).await.unwrap();
    let new = NewGatewayKey { name: "k".into(), ..NewGatewayKey::default() };
    let key = services.gateway_key_db.create(&id, new).await.unwrap().model;
    let patch = GatewayKeyPatch {
        identity_secret: Change::Set("the-identity-secret-of-a-key-of-abc".into()),
        requests_per_minute: Change::Set(60),
        ..GatewayKeyPatch::default()
    };
    let key = services.gateway_key_db.update(&id, &key.id, patch).await.unwrap();
    let key = services.gateway_key_db.rotate(&id, &key.id, 60).await.unwrap().model;
    services.gateway_key_db.revoke(&id, &key.id).await.unwrap();
    let form = MemberForm {
        user_id: user,
        name: None,
        email: None,
        role: MemberRole::Member,
        source: MemberSource::Api,
        is_active: true,
    };
    services.member_db.upsert(&id, vec![form]).await.unwrap();
    let new = NewApiToken {
        name: "t".into(),
        role: Role::Admin,
        client_org_id: Some(id.clone()),
        user_id: None,
        scope: TokenScope::Full,
        expires_at: None,
    };
    let token = services.api_token_db.create(new).await.unwrap().model;
    services.api_token_db.revoke(Some(&id), &token.id).await.unwrap();
}
