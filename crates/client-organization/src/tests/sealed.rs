use diesel::prelude::*;
use mai_audit_log::Actor;
use mai_global_settings::{Change, GlobalSettingsForm, MasterKey};
use mai_primitives::UnixTime;
use mai_storage::testing::TestDb;

use super::Fixture;
use crate::{
    ClientOrganizationForm, ClientOrganizationPatch, NewGatewayKey,
    error::Result,
    schema::{gateway_keys, sessions},
    sealed::{ResealError, SealedSecretsCount, check, reseal},
};

/// One secret in every column that has any.
async fn fill(fixture: &Fixture) {
    let key = Change::Set("sk-or-v1-provisioning".into());
    let form = GlobalSettingsForm { openrouter_provisioning_key: key, ..GlobalSettingsForm::default() };
    fixture.settings.update_settings(form).await.unwrap();
    let form = ClientOrganizationForm {
        id: Some("abc".parse().unwrap()),
        name: "ABC".into(),
        openrouter_api_key: Some("sk-or-v1-abc".into()),
        ..ClientOrganizationForm::default()
    };
    let organization = fixture.organizations.create(form).await.unwrap().id;
    let patch = ClientOrganizationPatch {
        webhook_secret: Change::Set("0123456789abcdef".into()),
        ..ClientOrganizationPatch::default()
    };
    fixture.organizations.update(&organization, patch).await.unwrap();
    let new = NewGatewayKey { name: "k".into(), ..NewGatewayKey::default() };
    let id = fixture.gateway_keys.create(&organization, new).await.unwrap().model.id;
    let seal = |place: &str| fixture.master_key.seal(place, &"secret".into()).unwrap();
    let identity = seal(&format!("gateway_keys/identity_secret/abc/{id}"));
    let token = seal("sessions/sealed_token/session_1");
    let filled: Result<usize> = fixture.storage.write_blocking(|conn| {
        diesel::update(gateway_keys::table).set(gateway_keys::identity_secret.eq(&identity)).execute(conn)?;
        let session = (
            (sessions::token_hash.eq("hash"), sessions::id.eq("session_1"), sessions::kind.eq("open_webui")),
            (sessions::role.eq("reseller"), sessions::sealed_token.eq(&token)),
            (
                sessions::expires_at.eq(2_000),
                sessions::last_seen_at.eq(1_000),
                sessions::created_at.eq(1_000),
            ),
        );
        Ok(diesel::insert_into(sessions::table).values(session).execute(conn)?)
    });
    assert_eq!(filled.unwrap(), 1);
}

#[test]
fn every_secret_is_sealed_with_the_new_key() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    TestDb::each(|storage| {
        let fixture = Fixture::new(storage);
        runtime.block_on(fill(&fixture));
        let count = |key: &MasterKey| storage.read_blocking(|conn| check(conn, key));
        assert_eq!(count(&fixture.master_key).unwrap(), SealedSecretsCount { all: 5, former: 0 });

        let new = MasterKey::generate().unwrap();
        let refused = storage
            .write_blocking(|conn| reseal(conn, &new, &Actor::system(), UnixTime::from_seconds(1_000)));
        assert!(matches!(refused, Err(ResealError::Secret { place, .. }) if place.contains('/')));
        assert_eq!(count(&fixture.master_key).unwrap().all, 5, "nothing was changed");

        let both = new.with_former(std::slice::from_ref(&fixture.master_key));
        assert_eq!(count(&both).unwrap(), SealedSecretsCount { all: 5, former: 5 });
        let revision = fixture.revision();
        let resealed = storage
            .write_blocking(|conn| reseal(conn, &both, &Actor::system(), UnixTime::from_seconds(1_000)));
        assert_eq!(resealed.unwrap(), 5);
        assert_eq!(fixture.revision(), revision + 1);
        assert_eq!(count(&new).unwrap(), SealedSecretsCount { all: 5, former: 0 });
        assert!(count(&fixture.master_key).is_err());
        let again = storage
            .write_blocking(|conn| reseal(conn, &both, &Actor::system(), UnixTime::from_seconds(1_000)));
        assert_eq!(again.unwrap(), 0);
    });
}
