//! Another master key, while the service runs.

use diesel::prelude::*;
use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::{audit_log::schema::audit_head, client_organization::query::organizations};
use mai_storage::{Result as StorageResult, testing::TestDb};
use mai_tests::{
    client::Client,
    gateway::Installation,
    management::{reseller, until_chat},
    on_each_database, run,
};
use serde_json::{Value, json};

/// The ids of the master keys with which provider keys are sealed.
fn sealed_with(database: &TestDb) -> Vec<String> {
    let rows = database.storage.read_blocking(organizations).unwrap();
    let sealed = rows.into_iter().filter_map(|row| row.provider_key.sealed);
    sealed.map(|sealed| sealed.split(':').nth(1).unwrap().to_owned()).collect()
}

#[test]
fn calls_go_on_while_the_master_key_changes() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Sealed");
        let gateway = installation.serve();
        let settings = json!({ "openrouter_provisioning_key": "sk-or-v1-provisioning-1234" });
        run(async {
            reseller(&gateway, "POST", "settings", &settings, 200).await;
            let client = Client::new(&gateway.base, &organization.key);
            until_chat(&client, 200).await;
            let rotated = installation.json(&["keys", "rotate-master", "--json"]);
            assert_eq!(rotated["resealed"], 2);
            assert_eq!(sealed_with(database), [rotated["present"].as_str().unwrap()]);

            // A key that is known only after the rotation shows that the directory was read again.
            let new = json!({ "name": "k" });
            let made = reseller(&gateway, "POST", "clients/sealed/gateway-keys", &new, 201).await;
            let later = Client::new(&gateway.base, made["key"].as_str().unwrap());
            until_chat(&later, 200).await;
            let answer = client.chat("mock/ok", false, 2).await.unwrap();
            assert_eq!(answer.status.as_u16(), 200);
            let shown = reseller(&gateway, "GET", "settings", &Value::Null, 200).await;
            assert_eq!(shown["openrouter_provisioning_key"], "…1234");

            // What the running service seals now, the new key alone opens.
            reseller(
                &gateway,
                "POST",
                "clients",
                &json!({ "id": "new", "name": "New",
                "openrouter_api_key": "sk-or-v1-sealed-after-it" }),
                201,
            )
            .await;
            let present = rotated["present"].as_str().unwrap();
            assert_eq!(sealed_with(database), [present, present]);
            let former = rotated["former_key_file"].as_str().unwrap();
            std::fs::remove_file(former).unwrap();
        });
        assert!(gateway.stop().success());
        let gateway = installation.serve();
        run(async {
            until_chat(&Client::new(&gateway.base, &organization.key), 200).await;
        });
        assert!(gateway.stop().success());
        assert!(installation.run(&["audit", "verify"]).status.success());
    });
}

#[test]
fn a_rotation_that_breaks_off_loses_nothing_and_can_be_finished() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Broken");
        let before = sealed_with(database);
        let gateway = installation.serve();
        run(until_chat(&Client::new(&gateway.base, &organization.key), 200));

        // The transaction fails after the new key was put in place.
        let head: StorageResult<(i64, String)> = database.storage.write_blocking(|conn| {
            let head = audit_head::table.select((audit_head::seq, audit_head::hash)).first(conn)?;
            diesel::delete(audit_head::table).execute(conn)?;
            Ok(head)
        });
        let failed = installation.run(&["keys", "rotate-master"]);
        assert!(!failed.status.success());
        assert!(String::from_utf8_lossy(&failed.stderr).contains("--finish"), "{failed:?}");
        assert_eq!(sealed_with(database), before);
        run(until_chat(&Client::new(&gateway.base, &organization.key), 200));
        assert!(gateway.stop().success());
        let gateway = installation.serve();
        run(until_chat(&Client::new(&gateway.base, &organization.key), 200));

        let head = head.unwrap();
        let mended: StorageResult<usize> = database.storage.write_blocking(|conn| {
            let row = (audit_head::id.eq(1), audit_head::seq.eq(head.0), audit_head::hash.eq(&head.1));
            Ok(diesel::insert_into(audit_head::table).values(row).execute(conn)?)
        });
        mended.unwrap();
        let finished = installation.json(&["keys", "rotate-master", "--finish", "--json"]);
        assert_eq!(finished["resealed"], 1);
        assert_ne!(sealed_with(database), before);
        let again = installation.json(&["keys", "rotate-master", "--finish", "--json"]);
        assert_eq!(again["resealed"], 0);
        run(until_chat(&Client::new(&gateway.base, &organization.key), 200));
        assert!(gateway.stop().success());
    });
}

#[test]
fn a_key_of_the_environment_is_changed_there() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let keys = [1_u8, 2].map(|byte| {
        use secrecy::ExposeSecret as _;
        let text = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".replacen(
            'A',
            &char::from(b'A' + byte).to_string(),
            1,
        );
        mai_organization::MasterKey::from_base64(&text).unwrap().to_base64().expose_secret().to_owned()
    });
    let [old, new] = &keys;
    let installation = Installation::new(&database, &mock).with("MAI_MASTER_KEY", old);
    let organization = installation.organization("Env");
    let refused = installation.run(&["keys", "rotate-master"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("MAI_MASTER_KEY_PREVIOUS"), "{told}");
    assert!(!installation.data.path().join("master-key").exists());

    let installation = installation.with("MAI_MASTER_KEY", new).with("MAI_MASTER_KEY_PREVIOUS", old);
    let gateway = installation.serve();
    run(until_chat(&Client::new(&gateway.base, &organization.key), 200));
    assert_eq!(installation.json(&["keys", "rotate-master", "--finish", "--json"])["resealed"], 1);
    run(until_chat(&Client::new(&gateway.base, &organization.key), 200));
    assert!(gateway.stop().success());
    let installation = installation.with("MAI_MASTER_KEY_PREVIOUS", "");
    let gateway = installation.serve();
    run(until_chat(&Client::new(&gateway.base, &organization.key), 200));
    assert!(gateway.stop().success());
}
