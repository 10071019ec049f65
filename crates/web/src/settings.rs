//! Every setting, in one table: name, default, meaning.
//!
//! A setting comes from the environment, else from `.env`, else from the TOML file of `--config`,
//! which uses the same names. A wrong value stops the start with a message that names it; there is
//! no silent fallback. `docs/operating.md` repeats this table, and a test compares the two.

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use chrono::NaiveTime;
use mai_batch::Schedule;
use mai_journal::SyncMode;
use mai_organization::generation_processing::cleanup::MIN_DAYS_TO_RETAIN;
use mai_primitives::{MarkupRate, OrganizationCalendar, OrganizationId, Usd, UsdPlnRate};
use mai_storage::DatabaseUrl;
use secrecy::{ExposeSecret, SecretString};

use self::{
    alerts::AlertSettings,
    open_webui::origin,
    values::{Values, long_token, mebibytes, rate, seconds},
};

pub mod alerts;
mod open_webui;
mod registry;
mod values;

pub use self::{open_webui::OpenWebuiSettings, registry::RegistrySettings, values::sources};

/// One row of the table of settings.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// The name, as in the environment.
    pub name: &'static str,
    /// The value when nothing is set; empty means that the setting is then absent.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// Whether the value is shown only as set or not set.
    pub secret: bool,
}

const fn plain(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default, meaning, secret: false }
}

const fn secret(name: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default: "", meaning, secret: true }
}

/// Every setting that `mai-usage` reads.
pub const VARIABLES: &[Variable] = &[
    plain("MAI_LISTEN", "127.0.0.1:8080", "Address and port to listen on. Port 0 takes a free one."),
    plain("MAI_DATABASE_URL", "sqlite:data/mai-usage.db", "`sqlite:PATH` or `postgres://…`."),
    plain("MAI_DATABASE_CONNECTIONS", "8", "Connections in the database pool."),
    plain(
        "MAI_DATA_DIR",
        "data",
        "Folder of the journal, the directory snapshot and the generated master key.",
    ),
    secret(
        "MAI_MASTER_KEY",
        "32 bytes in base64; encrypts provider keys at rest. Generated into the data folder when absent.",
    ),
    secret(
        "MAI_MASTER_KEY_PREVIOUS",
        "Further master keys, separated by commas, that open what they have sealed while the key is changed.",
    ),
    secret(
        "MAI_ADMIN_TOKEN",
        "API token of the reseller, at least 32 characters. Generated and printed once when absent.",
    ),
    secret(
        "MAI_BROADCAST_TOKEN",
        "What OpenRouter's Broadcast presents as bearer token. When absent, Broadcast is refused.",
    ),
    plain(
        "MAI_METRICS_OPEN",
        "false",
        "Whether `/metrics` needs no token; else it needs one of the reseller.",
    ),
    plain("OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1", "Base URL of OpenRouter's API."),
    secret(
        "OPENROUTER_PROVISIONING_KEY",
        "Key of OpenRouter's management API, by which provider keys are made, where the settings have none.",
    ),
    secret("OPENROUTER_API_KEY", "Single-organization mode: the provider key."),
    plain("OPENROUTER_EXTERNAL_USER", "", "Single-organization mode: the organization's id."),
    plain("ORGANIZATION_NAME", "", "Single-organization mode: the organization's name."),
    secret(
        "WEBUI_SECRET_KEY",
        "Open WebUI's own `WEBUI_SECRET_KEY`: whoever is signed in there is signed in here. Needs an organization.",
    ),
    plain(
        "WEBUI_BASE_URL",
        "",
        "Open WebUI itself, which is asked whether a session still lasts, and who its users are.",
    ),
    plain(
        "MAI_WEBUI_ORGANIZATION",
        "",
        "Whose people Open WebUI's users are; by default the organization of single-organization mode.",
    ),
    plain(
        "MAI_WEBUI_CONFIRM_SECONDS",
        "60",
        "How long Open WebUI's confirmation of a session is believed, 1 to 60.",
    ),
    plain(
        "WEBUI_DATABASE_URL",
        "",
        "Open WebUI's own database, `sqlite:PATH` or `postgres://…`, from which members are read every hour.",
    ),
    secret(
        "MAI_WEBUI_API_KEY",
        "An administrator's API key of Open WebUI, with which members are read every hour from its API.",
    ),
    plain(
        "MAI_WEBUI_DEACTIVATE_MISSING",
        "false",
        "Whether members who are gone from Open WebUI become inactive.",
    ),
    plain(
        "MAI_PUBLIC_URL",
        "",
        "How browsers reach the service, such as `https://usage.example`; for links, cookies and the check of origins.",
    ),
    plain(
        "MAI_SIGN_IN_ATTEMPTS_PER_MINUTE",
        "10",
        "How many attempts to sign in, or to guess an API token, may fail from one address.",
    ),
    plain("MAI_TIME_ZONE", "Europe/Warsaw", "IANA time zone of organizations that name none."),
    plain(
        "NBP_BASE_URL",
        "https://api.nbp.pl/api",
        "Base URL of NBP's API, which tells the rates of USD in PLN.",
    ),
    plain(
        "MAI_FALLBACK_USD_PLN_RATE",
        "",
        "PLN for one USD, such as 4.0, while no table of NBP is known; always flagged, and never billed with.",
    ),
    plain(
        "MAI_DEFAULT_MARKUP",
        "1.3",
        "Markup of organizations that have none, until the settings name one.",
    ),
    plain("MAI_BATCH_TIME", "13:00", "When the daily run is due, in `MAI_TIME_ZONE`."),
    plain(
        "MAI_BATCH_LEASE_SECONDS",
        "60",
        "After how many seconds of silence another process takes over the daily run, 1 to 3600.",
    ),
    plain("MAI_RETENTION_DAYS", "60", "How many days the ledger is kept, at least 7; daily usage stays."),
    plain(
        "MAI_BACKUPS_KEPT",
        "7",
        "How many daily copies of a SQLite database are kept in `MAI_DATA_DIR/backups`; 0 makes none.",
    ),
    secret(
        "MAI_SMTP_URL",
        "Mail server for alerts: `smtps://USER:PASSWORD@HOST`, `smtp://…?tls=required` or `smtp://HOST`. Needs `MAI_SMTP_FROM`.",
    ),
    plain("MAI_SMTP_FROM", "", "Whose mail alerts are, such as `mAI Usage <usage@reseller.example>`."),
    plain(
        "MAI_WEBHOOKS_TO_PRIVATE_ADDRESSES",
        "false",
        "Whether webhooks of alerts may go to any address and by http, so to receivers in one's own network.",
    ),
    plain(
        "MAI_JOURNAL_SYNC",
        "disk",
        "`disk` survives power loss, `os` survives a crash of the process only.",
    ),
    plain("MAI_JOURNAL_MAX_MIB", "1024", "Bound of the journal in MiB. When it is full, new calls get 503."),
    plain("MAI_BODY_LIMIT_MIB", "32", "Largest request body in MiB."),
    plain(
        "MAI_RATE_LIMIT_PER_MINUTE",
        "100",
        "Calls a minute that each member may make, and a key's calls without a member; 0 means no limit.",
    ),
    plain(
        "MAI_API_RATE_LIMIT_PER_MINUTE",
        "600",
        "Requests a minute to the API of each token, account and user, the reseller's excepted; 0 means no limit.",
    ),
    plain(
        "MAI_REPORT_PATIENCE_MILLISECONDS",
        "150",
        "How long the database may take for a report from outside, until the journal keeps it.",
    ),
    plain(
        "MAI_RESERVATION_AT_MOST_USD",
        "1",
        "What limits reserve for one call at most before its cost is known, in USD of client price.",
    ),
    plain("MAI_UPSTREAM_PATIENCE_SECONDS", "600", "How long OpenRouter may take until an answer begins."),
    plain(
        "MAI_DRAIN_SECONDS",
        "900",
        "How long an answer is read on after its client has left, so that its cost is known at once.",
    ),
    plain(
        "MAI_DRAINS_AT_ONCE",
        "1000",
        "How many answers are read on at once; beyond it the call to OpenRouter is closed.",
    ),
    plain("MAI_STOP_SECONDS", "30", "How long open calls may go on after a stop was asked for."),
    plain("MAI_WORKERS", "0", "Threads that serve requests; 0 means one per core."),
    plain("MAI_LOG", "info", "What is logged, in the syntax of `tracing` filters."),
    plain("MAI_LOG_FORMAT", "text", "`text` or `json`."),
];

/// The settings of a running service. Units are in the names or types.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The database.
    pub database: DatabaseUrl,
    /// Connections in the pool.
    pub database_connections: u32,
    /// Folder of the journal and the generated master key.
    pub data_dir: PathBuf,
    /// The master key, where it was given.
    pub master_key: Option<SecretString>,
    /// Further master keys that only open.
    pub former_master_keys: Vec<SecretString>,
    /// The key of OpenRouter's management API, where it was given.
    pub provisioning_key: Option<SecretString>,
    /// The reseller's API token, where it was given.
    pub admin_token: Option<SecretString>,
    /// What OpenRouter's Broadcast presents, where it was given.
    pub broadcast_token: Option<SecretString>,
    /// Whether everybody may read `/metrics`.
    pub metrics_open: bool,
    /// Base URL of OpenRouter's API.
    pub openrouter_base_url: String,
    /// Single-organization mode, where it is on.
    pub single_organization: Option<SingleOrganization>,
    /// Open WebUI, where its sessions sign in here as well.
    pub open_webui: Option<OpenWebuiSettings>,
    /// The origin under which browsers reach the service, where it was given.
    pub public_url: Option<String>,
    /// How many attempts to sign in may fail from one address in a minute.
    pub sign_in_attempts: NonZeroU32,
    /// Where an Open WebUI tells who its users are, if that is known.
    pub registry: Option<RegistrySettings>,
    /// Zone of organizations that name none.
    pub time_zone: OrganizationCalendar,
    /// Markup of organizations that have none.
    pub default_markup: MarkupRate,
    /// The local time of the daily run.
    pub batch_time: NaiveTime,
    /// For how many seconds a silent process still counts as doing the daily run.
    pub batch_lease_seconds: i64,
    /// How many days the ledger is kept.
    pub retention_days: i32,
    /// How many copies of a SQLite database are kept.
    pub backups_kept: usize,
    /// Base URL of NBP's API.
    pub nbp_base_url: String,
    /// PLN for one USD while no table of NBP is known, where it was given.
    pub fallback_rate: Option<UsdPlnRate>,
    /// How alerts are delivered.
    pub alerts: AlertSettings,
    /// When an append to the journal counts as durable.
    pub journal_sync: SyncMode,
    /// Bound of the journal in bytes.
    pub journal_max_bytes: u64,
    /// Largest request body in bytes.
    pub body_limit: usize,
    /// Calls a minute that each member may make; none means no limit.
    pub rate_limit_per_minute: Option<NonZeroU32>,
    /// Requests a minute to the API of each caller but the reseller; none for no limit.
    pub api_rate_limit_per_minute: Option<NonZeroU32>,
    /// How long the database may take for a report from outside, until the journal keeps it.
    pub report_patience: Duration,
    /// What limits reserve for one call at most, in client price.
    pub reservation_at_most: Usd,
    /// How long upstream may take until an answer begins.
    pub upstream_patience: Duration,
    /// How long an answer is read on after its client has left.
    pub drain_patience: Duration,
    /// How many answers are read on at once.
    pub drains_at_once: usize,
    /// How long open calls may go on after a stop.
    pub stop_patience: Duration,
    /// Threads that serve requests; none means one per core.
    pub workers: Option<usize>,
    /// Filter of the log.
    pub log: String,
    /// Whether the log is JSON.
    pub log_json: bool,
}

impl Settings {
    /// Where browsers reach the service, as far as it is known.
    pub fn base_url(&self) -> String {
        let own = || {
            if self.listen.ip().is_unspecified() {
                format!("http://localhost:{}", self.listen.port())
            } else {
                format!("http://{}", self.listen)
            }
        };
        self.public_url.clone().unwrap_or_else(own)
    }
}

/// One organization that is described by three variables.
#[derive(Debug, Clone)]
pub struct SingleOrganization {
    /// `OPENROUTER_EXTERNAL_USER`.
    pub id: OrganizationId,
    /// `ORGANIZATION_NAME`.
    pub name: String,
    /// `OPENROUTER_API_KEY`.
    pub provider_key: SecretString,
}

impl Settings {
    /// Reads the settings from the environment, `.env` and an optional TOML file.
    pub fn load(config: Option<&Path>) -> Result<Self> {
        let values = sources(config)?;
        Self::from_source(|name| values.get(name).cloned())
    }

    /// Reads the settings from any source. Empty values count as not set.
    pub fn from_source(source: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let values = Values(&source);
        Ok(Self {
            listen: values.parse("MAI_LISTEN")?,
            database: values.parse("MAI_DATABASE_URL")?,
            database_connections: values.parse("MAI_DATABASE_CONNECTIONS")?,
            data_dir: values.parse("MAI_DATA_DIR")?,
            master_key: values.get("MAI_MASTER_KEY").map(SecretString::from),
            former_master_keys: values
                .get("MAI_MASTER_KEY_PREVIOUS")
                .iter()
                .flat_map(|keys| keys.split(','))
                .map(|key| SecretString::from(key.trim()))
                .collect(),
            provisioning_key: values.get("OPENROUTER_PROVISIONING_KEY").map(SecretString::from),
            admin_token: values.optional("MAI_ADMIN_TOKEN", long_token)?,
            broadcast_token: values.get("MAI_BROADCAST_TOKEN").map(SecretString::from),
            metrics_open: values.truth("MAI_METRICS_OPEN")?,
            openrouter_base_url: values.parse("OPENROUTER_BASE_URL")?,
            open_webui: OpenWebuiSettings::read(&values)?,
            public_url: values.optional("MAI_PUBLIC_URL", origin)?,
            sign_in_attempts: values.parse("MAI_SIGN_IN_ATTEMPTS_PER_MINUTE")?,
            single_organization: values.single_organization()?,
            registry: RegistrySettings::read(&values)?,
            time_zone: values.parse_with("MAI_TIME_ZONE", OrganizationCalendar::parse)?,
            default_markup: values.parse_with("MAI_DEFAULT_MARKUP", MarkupRate::parse)?,
            batch_time: values.parse_with("MAI_BATCH_TIME", Schedule::time)?,
            batch_lease_seconds: values.parse_with("MAI_BATCH_LEASE_SECONDS", |text| {
                let seconds = text.parse().ok().filter(|seconds| (1..=3_600).contains(seconds));
                seconds.ok_or("it must be a whole number from 1 to 3600")
            })?,
            retention_days: values.parse_with("MAI_RETENTION_DAYS", |text| {
                let days = text.parse().ok().filter(|days| (MIN_DAYS_TO_RETAIN..=36_500).contains(days));
                days.ok_or_else(|| format!("it must be a whole number from {MIN_DAYS_TO_RETAIN} to 36500"))
            })?,
            backups_kept: values.parse("MAI_BACKUPS_KEPT")?,
            nbp_base_url: values.parse("NBP_BASE_URL")?,
            fallback_rate: values.optional("MAI_FALLBACK_USD_PLN_RATE", UsdPlnRate::parse)?,
            alerts: AlertSettings::read(&values)?,
            journal_sync: values.parse_with("MAI_JOURNAL_SYNC", |text| match text {
                "disk" => Ok(SyncMode::Disk),
                "os" => Ok(SyncMode::Os),
                _ => Err("it must be `disk` or `os`"),
            })?,
            journal_max_bytes: values.parse_with("MAI_JOURNAL_MAX_MIB", mebibytes)?,
            body_limit: values.parse_with("MAI_BODY_LIMIT_MIB", mebibytes)?,
            rate_limit_per_minute: values.parse_with("MAI_RATE_LIMIT_PER_MINUTE", rate)?,
            api_rate_limit_per_minute: values.parse_with("MAI_API_RATE_LIMIT_PER_MINUTE", rate)?,
            reservation_at_most: values.parse_with("MAI_RESERVATION_AT_MOST_USD", |text| {
                let amount = Usd::parse(text).ok().filter(|amount| *amount > Usd::ZERO);
                amount.ok_or("it must be an amount above 0, such as 1 or 0.50")
            })?,
            report_patience: values.parse_with("MAI_REPORT_PATIENCE_MILLISECONDS", |text| {
                text.parse()
                    .map(Duration::from_millis)
                    .map_err(|_| "it must be a whole number of milliseconds")
            })?,
            upstream_patience: values.parse_with("MAI_UPSTREAM_PATIENCE_SECONDS", seconds)?,
            drain_patience: values.parse_with("MAI_DRAIN_SECONDS", seconds)?,
            drains_at_once: values.parse("MAI_DRAINS_AT_ONCE")?,
            stop_patience: values.parse_with("MAI_STOP_SECONDS", seconds)?,
            workers: Some(values.parse("MAI_WORKERS")?).filter(|workers| *workers > 0),
            log: values.parse("MAI_LOG")?,
            log_json: values.parse_with("MAI_LOG_FORMAT", |text| match text {
                "json" => Ok(true),
                "text" => Ok(false),
                _ => Err("it must be `text` or `json`"),
            })?,
        })
    }
}

/// The effective value of every setting, secrets masked, as `mai-usage config` prints it.
pub fn effective(source: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
    let values = Values(&source);
    let shown = |variable: &Variable| match (variable.secret, values.get(variable.name)) {
        (true, Some(_)) => "(set)".to_owned(),
        (true, None) => "(not set)".to_owned(),
        (false, value) => value.unwrap_or_default(),
    };
    VARIABLES
        .iter()
        .map(|variable| match variable.name {
            // A PostgreSQL URL may hold a password; the type's own form hides it.
            "MAI_DATABASE_URL" | "WEBUI_DATABASE_URL" => {
                let shown = values.optional(variable.name, str::parse::<DatabaseUrl>);
                let shown = shown.map(|url| url.map(|url| url.to_string()).unwrap_or_default());
                (variable.name, shown.unwrap_or_else(|cause| cause.to_string()))
            }
            _ => (variable.name, shown(variable)),
        })
        .collect()
}

/// The table of settings in Markdown, as it stands in `docs/operating.md`.
pub fn markdown_table() -> String {
    let row = |Variable { name, default, meaning, .. }: &Variable| {
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        format!("| `{name}` | {default} | {meaning} |\n")
    };
    let rows: String = VARIABLES.iter().map(row).collect();
    format!("| setting | default | meaning |\n|---|---|---|\n{rows}")
}

/// Compares a presented secret with ours without telling by the time where they differ.
pub fn same_secret(presented: &str, ours: &SecretString) -> bool {
    use subtle::ConstantTimeEq;
    presented.as_bytes().ct_eq(ours.expose_secret().as_bytes()).into()
}

#[cfg(test)]
mod tests;
