//! nginx as a plain proxy in front of the mock: the measure of what passing bytes on costs at least.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::stack::Service;

/// A running nginx.
pub(super) struct Nginx {
    _service: Service,
    /// Base URL, with `/v1`.
    pub(super) url: String,
    _folder: TempDir,
}

/// Whether there is an nginx to measure against.
pub(super) fn is_installed() -> bool {
    Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

impl Nginx {
    /// Starts nginx in front of the mock and waits until it listens.
    pub(super) fn start(mock_url: &str, log: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("mai-nginx-").tempdir()?;
        // nginx cannot take a free port by itself; nobody else takes this one in between.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let upstream = mock_url.trim_start_matches("http://").trim_end_matches("/api/v1");
        let conf = folder.path().join("nginx.conf");
        fs::write(&conf, configuration(folder.path(), port, upstream))?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).arg("-c").arg(&conf).args(["-e", "stderr"]);
        let mut service = Service::start(command, log)?;
        for _ in 0..200 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                let url = format!("http://127.0.0.1:{port}/v1");
                return Ok(Self { _service: service, url, _folder: folder });
            }
            if !service.is_running()? {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let said = fs::read_to_string(log).context("nginx did not start")?;
        bail!("nginx did not start: {said}")
    }
}

/// Connections are kept on both sides, and streamed bytes are passed on at once, as the gateway does.
fn configuration(folder: &Path, port: u16, upstream: &str) -> String {
    let folder = folder.display();
    format!(
        "\
daemon off;
worker_processes auto;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    tcp_nodelay on;
    upstream mock {{
        server {upstream};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location /v1/ {{
            proxy_pass http://mock/api/v1/;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
        }}
    }}
}}
"
    )
}
