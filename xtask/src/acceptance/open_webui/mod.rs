//! A real Open WebUI with the gateway as its only connection, used by two people.

mod install;

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use super::{
    Outcome,
    place::{LOG, Place, python_script},
    succeed,
};
use crate::{
    debian,
    interrupts::Interrupts,
    stack::{ORGANIZATION, PROVIDER_KEY, Service},
};

/// What Open WebUI signs its sessions with.
const SESSION_SECRET: &str = "session-secret-of-the-acceptance";

/// How long Open WebUI may take until it serves, its migrations included.
const START_AT_MOST: Duration = Duration::from_secs(180);

/// What Open WebUI signs its users with.
const IDENTITY_SECRET: &str = "identity-secret-of-the-acceptance";

/// Labels the calls that Open WebUI makes beside the answers.
const TASK_HEADER: &str = r#"{"0":{"headers":{"X-Mai-Task":"{{TASK}}"}}}"#;

/// How Open WebUI tells who its users are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// By headers that anybody with the key could send.
    Plain,
    /// By a token that is signed with a secret.
    Signed,
}

/// Two people chat, stop an answer, ask again and see one fail; the books are compared with what the mock
/// charged; then both look at our own API with their sessions, until these end.
pub(super) fn chats(identity: Identity, interrupts: &Interrupts) -> Result<Outcome> {
    let signed = identity == Identity::Signed;
    let port = free_port()?;
    let url = format!("http://127.0.0.1:{port}");
    let neighbour = [
        ("WEBUI_SECRET_KEY", SESSION_SECRET),
        ("WEBUI_BASE_URL", &url),
        ("MAI_WEBUI_ORGANIZATION", ORGANIZATION),
    ];
    let place = Place::prepare(&neighbour, interrupts)?;
    let log = place.folder.join(LOG);
    let programs = install::environment(&place.folder, interrupts)?;
    let mut options = vec!["--name", "Open WebUI", "--trusted-client", "--open-webui"];
    let mut settings = vec![
        ("OPENAI_API_BASE_URLS", place.stack.gateway_url.as_str()),
        ("OPENAI_API_CONFIGS", TASK_HEADER),
        ("ENABLE_FORWARD_USER_INFO_HEADERS", "true"),
    ];
    // Each mode is tried with another way of ending sessions.
    let redis = if signed { Some(Redis::start(&log, interrupts)?) } else { None };
    if let Some(redis) = &redis {
        options.extend(["--identity-secret", IDENTITY_SECRET]);
        settings.push(("FORWARD_USER_INFO_HEADER_JWT_SECRET", IDENTITY_SECRET));
        settings.push(("REDIS_URL", &redis.url));
    }
    let key = place.stack.create_key(&options)?;
    settings.push(("OPENAI_API_KEYS", &key));
    let _open_webui = OpenWebUi::start(&programs, port, &settings, &log, interrupts)?;
    let mut script = python_script(&programs.join("python"), "open_webui.py");
    script.args(["--open-webui", &url, "--gateway", &place.stack.gateway_url, &key]);
    script.args(["--mock", &place.stack.mock_url, PROVIDER_KEY]);
    script.args(["--organization", ORGANIZATION, "--database"]).arg(place.stack.database());
    if signed {
        script.args(["--signed", "--revokes"]);
    }
    succeed(script, interrupts)?;
    Ok(Outcome::Passed)
}

/// A Redis that keeps nothing, where Open WebUI remembers who signed out.
struct Redis {
    _service: Service,
    url: String,
}

impl Redis {
    fn start(log: &Path, interrupts: &Interrupts) -> Result<Self> {
        debian::need("redis-server", interrupts)?;
        let port = free_port()?.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        let mut service = Service::start(command, log)?;
        service.announced("Ready to accept connections")?;
        Ok(Self { _service: service, url: format!("redis://127.0.0.1:{port}/0") })
    }
}

/// Open WebUI on a folder of its own, which is gone with this value.
struct OpenWebUi {
    _service: Service,
    _folder: TempDir,
}

impl OpenWebUi {
    /// Starts it with these settings from the environment, and waits until it serves.
    fn start(
        programs: &Path,
        port: u16,
        settings: &[(&str, &str)],
        log: &Path,
        interrupts: &Interrupts,
    ) -> Result<Self> {
        let begun = Instant::now();
        let folder = tempfile::tempdir()?;
        // It logs much to its output, which nobody would read from the pipe.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" >&2", "sh"]).arg(programs.join("open-webui"));
        command.args(["serve", "--host", "127.0.0.1", "--port", &port.to_string()]);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", folder.path()).current_dir(folder.path());
        command.env("DATA_DIR", folder.path().join("data")).envs([
            ("WEBUI_SECRET_KEY", SESSION_SECRET),
            // Every user sees every model.
            ("BYPASS_MODEL_ACCESS_CONTROL", "true"),
            // Nothing but the gateway is asked.
            ("ENABLE_OLLAMA_API", "false"),
            ("OFFLINE_MODE", "true"),
            ("RAG_EMBEDDING_ENGINE", "openai"),
            ("USE_SLIM_DOCKER", "true"),
            ("ANONYMIZED_TELEMETRY", "false"),
        ]);
        command.envs(settings.iter().copied());
        let mut service = Service::start(command, log)?;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            ensure!(service.is_running()?, "Open WebUI ended before it served; see {}", log.display());
            ensure!(begun.elapsed() < START_AT_MOST, "Open WebUI does not serve; see {}", log.display());
            if interrupts.came() {
                bail!("interrupted");
            }
            thread::sleep(Duration::from_millis(100));
        }
        println!("Open WebUI {} serves after {:.0} s", install::VERSION, begun.elapsed().as_secs_f64());
        Ok(Self { _service: service, _folder: folder })
    }
}

/// A port that nobody listens on. Somebody else could take it before Open WebUI does, which then ends.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    Ok(listener.local_addr()?.port())
}
