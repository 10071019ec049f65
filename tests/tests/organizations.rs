//! Organizations by the API and by the command line.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_tests::{
    gateway::{Installation, provider_key},
    management::reseller,
    on_each_database, run,
};
use serde_json::{Value, json};

#[test]
fn an_organization_that_names_no_zone_has_that_of_the_settings() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock)
            .with("MAI_TIME_ZONE", "America/New_York")
            .with("OPENROUTER_PROVISIONING_KEY", &MockSettings::default().management_key);
        let gateway = installation.serve();
        run(async {
            for (new, expected) in [
                (json!({ "name": "A" }), "America/New_York"),
                (json!({ "name": "B", "create_provider_key": {} }), "America/New_York"),
                (json!({ "name": "C", "timezone": "Europe/London" }), "Europe/London"),
            ] {
                let made = reseller(&gateway, "POST", "clients", &new, 201).await;
                assert_eq!(made["client"]["timezone"], expected, "{new}");
            }
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn organizations_stand_where_a_pole_looks_for_them() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let gateway = installation.serve();
        run(async {
            for name in ["Zofia", "łucja", "Lucyna", "Żaneta"] {
                reseller(&gateway, "POST", "clients", &json!({ "name": name }), 201).await;
            }
            let listed = reseller(&gateway, "GET", "clients", &Value::Null, 200).await;
            let names: Vec<&str> =
                listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
            assert_eq!(names, ["Lucyna", "łucja", "Zofia", "Żaneta"]);
        });
        assert!(gateway.stop().success());
    });
}

fn update<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["org", "update", "--org", "abc", "--json"], more].concat()
}

#[test]
fn the_command_line_changes_what_the_api_changes() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        installation.organization("Abc");
        let changed = installation.json(&update(&[
            "--time-zone",
            "Europe/London",
            "--billing-email",
            "pay@abc.example",
            "--active",
            "false",
        ]));
        assert_eq!(
            (&changed["timezone"], &changed["billing_email"], &changed["is_active"]),
            (&json!("Europe/London"), &json!("pay@abc.example"), &json!(false))
        );
        let kept = &provider_key("abc")[provider_key("abc").len() - 4..];
        assert_eq!(changed["provider_key_last4"], kept);
        let changed = installation.json(&update(&["--billing-email", "none", "--active", "true"]));
        assert_eq!((&changed["billing_email"], &changed["is_active"]), (&Value::Null, &json!(true)));

        // A key comes by standard input or by the environment, never by what every user can see.
        let output =
            installation.run_with_input(&update(&["--provider-key", "-"]), "sk-or-v1-by-input-1111\n");
        assert!(output.status.success(), "{output:?}");
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(shown["provider_key_last4"], "1111");
        let output = installation.run(&update(&["--provider-key", "sk-or-v1-by-hand-2222"]));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("never the key"), "{said}");
        assert!(!said.contains("2222"), "{said}");
        let output = installation.run(&update(&["--provider-key", "env"]));
        assert!(String::from_utf8_lossy(&output.stderr).contains("MAI_NEW_PROVIDER_KEY"), "{output:?}");
        let unchanged = installation.json(&update(&[]));
        assert_eq!(unchanged["provider_key_last4"], "1111");
        let installation = installation.with("MAI_NEW_PROVIDER_KEY", "sk-or-v1-by-env-3333");
        assert_eq!(installation.json(&update(&["--name", "ABC"]))["provider_key_last4"], "1111");
        assert_eq!(installation.json(&update(&["--provider-key", "env"]))["provider_key_last4"], "3333");
        assert_eq!(
            installation.json(&update(&["--provider-key", "none"]))["provider_key_last4"],
            Value::Null
        );
        for wrong in [["--time-zone", "Mars/Olympus"], ["--billing-email", "nobody"]] {
            assert!(!installation.run(&update(&wrong)).status.success(), "{wrong:?}");
        }
    });
}
