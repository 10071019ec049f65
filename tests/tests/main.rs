//! The end-to-end tests: one program, because linking one for each file would take longer than the tests.

mod accounts;
mod alert_deliveries;
mod alerts;
mod api_edges;
mod assignment;
mod audit;
mod bad_input;
mod batch;
mod broadcast;
mod by_hand;
mod checking;
mod crash;
mod dashboard_axe;
mod dashboard_browser;
mod dashboard_limits;
mod dashboard_members;
mod dashboard_pages;
mod dashboard_reseller;
mod dashboard_statements;
mod dashboard_trouble;
mod database_away;
mod exchange_rates;
mod full_disk;
mod hostile;
mod inactive_members;
mod ingest;
mod key_life;
mod left_streams;
mod limit_alerts;
mod limits;
mod limits_of_processes;
mod local_days;
mod main_road;
mod management;
mod master_key;
mod members;
mod metrics;
mod mixed_load;
mod model_pricing;
mod open_webui_sessions;
mod organizations;
mod postgres_tls;
mod provider_keys;
mod request_rate;
mod roles;
mod routes;
mod secrets;
mod seed_queries;
mod sign_in;
mod signed_identity;
mod sources;
mod statements;
mod statistics;
mod statistics_access;
mod subscription;
mod unknown_cost;
mod visible_failures;

/// A file that is not named above would be left out in silence.
#[test]
fn every_file_is_part_of_the_program() {
    let named =
        include_str!("main.rs").lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name != "main")
        .collect();
    files.sort();
    assert_eq!(named.collect::<Vec<_>>(), files);
}
