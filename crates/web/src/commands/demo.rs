//! `mai-usage demo`: the whole way of one call, with nothing installed and no key.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use mai_mock_openrouter::{Mock, MockSettings, nano_usd};
use mai_organization::{
    ClientOrganizationPatch, MasterKey, ProcessedGenerationModel,
    client_organization::{Change, NewAccount, NewApiToken, NewGatewayKey, Role, Standing, TokenScope},
    generation_processing::query,
};
use mai_primitives::{
    Clock, GenerationId, OrganizationCalendar, OrganizationId, SystemClock, UserId, display,
};
use mai_seed::SeedPlan;
use mai_storage::Storage;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

use super::{demo_chat, serve::stop_signal};
use crate::{application::Application, dashboard::Tab, settings::Settings, telemetry};

/// What the demonstration does.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Stop after the check; the exit code tells whether everything was recorded exactly.
    #[arg(long)]
    once: bool,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// Who uses the demonstration.
struct Credentials {
    organization: OrganizationId,
    key: SecretString,
    token: SecretString,
    /// What signs an administrator in at the dashboard, once.
    link: SecretString,
}

pub(super) async fn run(arguments: Arguments) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mock = Mock::start(MockSettings::default()).context("cannot start the built-in OpenRouter")?;
    let settings = settings(folder.path(), &mock, arguments.listen)?;
    telemetry::start(&settings)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);

    say!("Preparing a throw-away SQLite database with 13 months of usage …")?;
    let application = Application::build(settings, Arc::clone(&clock), true).await?;
    let credentials = prepare(&application, clock.as_ref()).await?;
    application.refresh_directory().await?;
    application.rates().run_once().await.context("the built-in NBP told no exchange rates")?;
    let (base, storage) = (format!("http://{}", application.address()), application.storage().clone());

    let signal = stop_signal()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = application.run_until(async move {
        // A sender that is gone means that the demonstration is over as well.
        let _ = stopped.await;
    });
    let showing = async {
        // Gone at the end of this block, however it ends, and then the service stops.
        let _stop = stop;
        show(&base, &storage, &credentials, &mock).await?;
        if !arguments.once {
            print_invitation(&base, &credentials)?;
            signal.await;
        }
        Ok(())
    };
    let (served, shown) = tokio::join!(serving, showing);
    shown.and(served)
}

fn settings(folder: &Path, mock: &Mock, listen: SocketAddr) -> Result<Settings> {
    let key = MasterKey::generate()?.to_base64();
    // Nobody needs it here, and without one the start would make one and print it.
    let admin_token = MasterKey::generate()?.to_base64();
    Settings::from_source(|name| match name {
        "MAI_LISTEN" => Some(listen.to_string()),
        "MAI_DATA_DIR" => Some(folder.display().to_string()),
        "MAI_DATABASE_URL" => Some(format!("sqlite:{}", folder.join("demo.db").display())),
        "MAI_MASTER_KEY" => Some(key.expose_secret().to_owned()),
        "MAI_ADMIN_TOKEN" => Some(admin_token.expose_secret().to_owned()),
        "OPENROUTER_BASE_URL" => Some(mock.base_url()),
        "NBP_BASE_URL" => Some(mock.nbp_url()),
        "MAI_WORKERS" => Some("1".to_owned()),
        "MAI_LOG" => Some(std::env::var("MAI_LOG").unwrap_or_else(|_| "warn".to_owned())),
        _ => None,
    })
}

/// An organization with a history, a key and a token.
async fn prepare(application: &Application, clock: &dyn Clock) -> Result<Credentials> {
    let plan = SeedPlan::realistic(1, OrganizationCalendar::default().usage_date(clock.now()).minus_days(1));
    let storage = application.storage().clone();
    tokio::task::spawn_blocking(move || mai_seed::seed(&storage, &plan, |_| {})).await??;
    let services = application.services();
    let seeded = services.client_organization_db.get_all().await?;
    let organization = seeded.into_iter().next().context("the seed made no organization")?.id;
    let patch = ClientOrganizationPatch {
        openrouter_api_key: Change::Set(SecretString::from("sk-or-v1-demo")),
        ..ClientOrganizationPatch::default()
    };
    services.client_organization_db.update(&organization, patch).await?;
    let key = NewGatewayKey {
        name: "demo".to_owned(),
        user_id: Some(UserId::new("demo-visitor")?),
        ..NewGatewayKey::default()
    };
    let token = NewApiToken {
        name: "demo".to_owned(),
        role: Role::Admin,
        client_org_id: Some(organization.clone()),
        user_id: None,
        scope: TokenScope::Full,
        expires_at: None,
    };
    let administrator = NewAccount {
        email: "demo@example.com".to_owned(),
        name: "Demo".to_owned(),
        standing: Standing { role: Role::Admin, client_org_id: Some(organization.clone()), user_id: None },
    };
    let account = services.account_db.create(administrator).await?;
    Ok(Credentials {
        link: services.sign_in_link_db.create(Some(&organization), &account.id).await?.token,
        key: services.gateway_key_db.create(&organization, key).await?.key,
        token: services.api_token_db.create(token).await?.token,
        organization,
    })
}

/// A call, what was recorded of it, and the summary.
async fn show(base: &str, storage: &Storage, credentials: &Credentials, mock: &Mock) -> Result<()> {
    say!("\nA streamed chat through the gateway at {base}/v1 (model {}):\n", demo_chat::MODEL)?;
    let generation = demo_chat::stream(base, &credentials.key).await?;
    let row = wait_for_row(storage, &credentials.organization, &generation).await?;
    print_row(&row)?;
    let charged = mock.ledger().into_iter().find(|charge| charge.id == generation);
    let charged = charged.context("the built-in OpenRouter did not charge the call")?;
    ensure!(
        nano_usd(&charged.total) == row.total_cost.nanos(),
        "recorded {} USD, but OpenRouter charged {}",
        row.total_cost,
        charged.total
    );
    say!("  check         equal to what the built-in OpenRouter charged, to the nano-dollar\n")?;
    let summary = demo_chat::summary(base, &credentials.token).await?;
    say!(
        "The organization's month so far (GET /api/v1/usage-tracking/my-organization/usage-summary):\n{summary}"
    )?;
    let seats = demo_chat::subscription(base, &credentials.token).await?;
    say!("Its seats (GET /api/v1/usage-tracking/my-organization/subscription-billing):\n{seats}")?;
    let prices = demo_chat::prices(base, &credentials.token).await?;
    say!("What models cost it (GET /api/v1/usage-tracking/model-pricing):\n{prices}")?;
    Ok(())
}

/// The record is durable when the last byte arrives; it reaches the database a moment later.
async fn wait_for_row(
    storage: &Storage,
    organization: &OrganizationId,
    generation: &str,
) -> Result<ProcessedGenerationModel> {
    let id = GenerationId::new(generation)?;
    for _ in 0..200 {
        let (organization, id) = (organization.clone(), id.clone());
        if let Some(row) = storage.read(move |conn| query::find(conn, &organization, &id)).await? {
            return Ok(row);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the generation {generation} did not reach the ledger")
}

fn print_row(row: &ProcessedGenerationModel) -> Result<()> {
    say!("\n\nRecorded in the ledger:")?;
    say!("  generation    {}", row.id)?;
    say!("  day           {}   member {}", row.generation_date, row.user_id)?;
    say!("  model         {}", row.model_name)?;
    say!("  tokens        {} in + {} out = {}", row.input_tokens, row.output_tokens, row.total_tokens)?;
    say!("  raw cost      {} USD ({})", row.total_cost, display::usd(row.total_cost))?;
    say!(
        "  client cost   {} USD ({}) at markup {}",
        row.markup_cost,
        display::usd(row.markup_cost),
        row.markup_rate
    )?;
    Ok(())
}

fn print_invitation(base: &str, credentials: &Credentials) -> Result<()> {
    let overview = Tab::Overview.path(&credentials.organization);
    say!("\nDashboard: {base}{overview}")?;
    say!(
        "  sign in with one click: {base}/sign-in/link?next={overview}#{}",
        credentials.link.expose_secret()
    )?;
    say!("\nServing at {base} until Ctrl-C. Try it:\n")?;
    say!(
        "  curl -N {base}/v1/chat/completions -H 'Authorization: Bearer {}' \\",
        credentials.key.expose_secret()
    )?;
    say!("    -H 'Content-Type: application/json' \\")?;
    say!(
        "    -d '{{\"model\":\"{}\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Hi\"}}]}}'\n",
        demo_chat::MODEL
    )?;
    say!("  curl {base}/api/v1/usage-tracking/my-organization/usage-summary \\")?;
    say!("    -H 'Authorization: Bearer {}'", credentials.token.expose_secret())?;
    Ok(())
}
