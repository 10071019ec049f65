//! The audit log leaves the house and is checked there.

use diesel::prelude::*;
use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::audit_log::schema::audit_log;
use mai_storage::Result as StorageResult;
use mai_tests::{
    gateway::Installation, management::call, management::reseller, on_each_database, reports::RESELLER, run,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The hash of a line behind another, by the documentation and not by our own code.
fn hash(previous: &str, line: &Value) -> String {
    let fields = [
        "seq",
        "created_at",
        "actor_kind",
        "actor_id",
        "remote",
        "request_id",
        "client_org_id",
        "action",
        "target",
        "result",
        "details",
    ];
    let told = |text: &str| format!("{}:{text}", text.len());
    let fields = fields.map(|field| match &line[field] {
        Value::Null => "-".to_owned(),
        Value::String(value) => told(value),
        number => told(&number.to_string()),
    });
    let text = told(previous) + fields.concat().as_str();
    format!("{:x}", bytes::Bytes::copy_from_slice(&Sha256::digest(text)))
}

#[test]
fn an_export_is_verified_elsewhere_and_a_changed_entry_is_found() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        installation.organization("Turtle");
        let gateway = installation.serve();
        run(async {
            for number in 0..3 {
                let body = json!({ "name": format!("Żółw {number}") });
                reseller(&gateway, "PATCH", "clients/turtle", &body, 200).await;
            }
        });
        let export = run(async { call(&gateway, "GET", "audit-log/export", RESELLER, &Value::Null).await });
        assert_eq!(export.status.as_u16(), 200);
        let text = String::from_utf8(export.body.clone()).unwrap();
        let mut previous = String::new();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            previous = hash(&previous, &line);
            assert_eq!(line["hash"], previous, "{line}");
        }
        assert!(text.lines().count() >= 6, "{text}");
        let printed = installation.run(&["audit", "export"]);
        assert_eq!(String::from_utf8(printed.stdout).unwrap(), text);

        let file = installation.data.path().join("log.jsonl");
        let path = file.display().to_string();
        let verify = |text: &str| {
            std::fs::write(&file, text).unwrap();
            installation.run(&["audit", "verify", "--file", &path, "--json"])
        };
        let good = verify(&text);
        let told: Value = serde_json::from_slice(&good.stdout).unwrap();
        assert_eq!((good.status.code(), &told["head"]), (Some(0), &json!(previous)));
        assert_eq!(verify(&text.replacen("Żółw 1", "Żółw 7", 1)).status.code(), Some(1));
        assert_eq!(verify("{}").status.code(), Some(2));

        assert_eq!(installation.run(&["verify"]).status.code(), Some(0));
        let listed = installation.run(&["audit", "list", "--action", "organization.update", "--limit", "2"]);
        assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().count(), 2);
        let changed: StorageResult<usize> = database.storage.write_blocking(|conn| {
            Ok(diesel::update(audit_log::table.find(2)).set(audit_log::result.eq("oK")).execute(conn)?)
        });
        assert_eq!(changed.unwrap(), 1);
        assert_eq!(installation.run(&["audit", "verify"]).status.code(), Some(1));
        let books = installation.run(&["verify", "--json"]);
        let told: Value = serde_json::from_slice(&books.stdout).unwrap();
        assert_eq!((books.status.code(), &told["holds"]), (Some(1), &json!(false)));
        assert_eq!(told["audit_log"]["broken"], "entry 2 of the audit log was changed");
        let served = run(async { reseller(&gateway, "GET", "audit-log/verify", &Value::Null, 200).await });
        assert_eq!(served["unbroken"], false);
        assert!(gateway.stop().success());
    });
}
