use std::collections::BTreeMap;

use super::*;

fn from(pairs: &[(&str, &str)]) -> Result<Settings> {
    let pairs: BTreeMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings::from_source(|name| pairs.get(name).cloned())
}

#[test]
fn the_defaults_are_complete() {
    let settings = from(&[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.body_limit, 32 << 20);
    assert_eq!(settings.workers, None);
    assert_eq!(settings.rate_limit_per_minute.map(std::num::NonZero::get), Some(100));
    assert_eq!(from(&[("MAI_RATE_LIMIT_PER_MINUTE", "0")]).unwrap().rate_limit_per_minute, None);
    assert!(settings.single_organization.is_none());
}

#[test]
fn a_partial_single_organization_names_what_is_missing() {
    let error = from(&[("OPENROUTER_API_KEY", "sk-or-v1-secret"), ("ORGANIZATION_NAME", "ABC")]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("missing: OPENROUTER_EXTERNAL_USER"), "{text}");
    assert!(!text.contains("sk-or-v1-secret"), "{text}");
    let all = [
        ("OPENROUTER_API_KEY", "sk-or-v1-x"),
        ("OPENROUTER_EXTERNAL_USER", "mai_client_abc"),
        ("ORGANIZATION_NAME", "ABC"),
    ];
    assert_eq!(from(&all).unwrap().single_organization.unwrap().id.as_str(), "mai_client_abc");
}

#[test]
fn a_wrong_value_is_named() {
    for (name, value) in [
        ("MAI_LISTEN", "8080"),
        ("MAI_DATABASE_URL", "mysql://x"),
        ("MAI_TIME_ZONE", "Europe/Krakow"),
        ("MAI_DEFAULT_MARKUP", "0"),
        ("MAI_BATCH_TIME", "1 pm"),
        ("MAI_BATCH_LEASE_SECONDS", "0"),
        ("MAI_RETENTION_DAYS", "6"),
        ("MAI_BACKUPS_KEPT", "-1"),
        ("MAI_FALLBACK_USD_PLN_RATE", "0"),
        ("MAI_FALLBACK_USD_PLN_RATE", "3.63761"),
        ("MAI_JOURNAL_SYNC", "maybe"),
        ("MAI_BODY_LIMIT_MIB", "0"),
        ("MAI_WORKERS", "-1"),
        ("MAI_RATE_LIMIT_PER_MINUTE", "-1"),
        ("MAI_RATE_LIMIT_PER_MINUTE", "1000001"),
        ("MAI_LOG_FORMAT", "xml"),
        ("MAI_METRICS_OPEN", "yes"),
    ] {
        let error = from(&[(name, value)]).unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
}

#[test]
fn shown_settings_mask_secrets() {
    let source = |name: &str| match name {
        "MAI_MASTER_KEY" => Some("c2VjcmV0".to_owned()),
        "MAI_DATABASE_URL" => Some("postgres://mai:pass@db/x".to_owned()),
        _ => None,
    };
    let shown = format!("{:?}", effective(source));
    assert!(!shown.contains("c2VjcmV0") && !shown.contains("pass"), "{shown}");
    assert!(shown.contains("MAI_STOP_SECONDS"));
}

#[test]
fn the_documentation_has_the_same_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
    let documentation = std::fs::read_to_string(path).unwrap();
    let table = markdown_table();
    assert!(documentation.contains(&table), "docs/operating.md must contain this table:\n{table}");
}

#[test]
fn the_resellers_token_cannot_be_guessed() {
    for short in ["x", "reseller-token-of-31-characters"] {
        let text = format!("{:#}", from(&[("MAI_ADMIN_TOKEN", short)]).unwrap_err());
        assert!(text.contains("MAI_ADMIN_TOKEN") && text.contains("32 characters"), "{text}");
        assert!(!text.contains("31-characters"), "{text}");
    }
    let long = "reseller-token-of-32-characters.";
    let settings = from(&[("MAI_ADMIN_TOKEN", long)]).unwrap();
    assert!(settings.admin_token.is_some_and(|token| same_secret(long, &token)));
    assert!(from(&[]).unwrap().admin_token.is_none());
}
