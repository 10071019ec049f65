//! `/metrics`: figures of this process for Prometheus.
//!
//! They reveal how much business there is, so by default only the reseller may read them. No label names
//! an organization, a member or a key.

use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, web};
use mai_batch::RunStatus;
use mai_capture::{ApplierState, SharedDirectory};
use mai_journal::Journal;
use mai_organization::generation_processing::PendingState;
use mai_primitives::UnixTime;
use tokio::sync::watch;

use crate::{
    api::{ApiError, caller::Caller},
    gateway::CallLimits,
    monitor::Figures,
    open_webui::sync::SyncState,
};

mod look_ups;
mod page;
mod shown;
mod traffic;

pub use look_ups::{CountedSource, LookUps};
use page::{
    Kind::{Counter, Gauge},
    Page,
};
pub(crate) use shown::Shown;
pub use traffic::{CountedBody, Traffic, count};

/// What the page is made of.
#[derive(Clone)]
pub struct Metrics {
    /// When the process began to build its service.
    pub started_at: UnixTime,
    /// Whether everybody may read it.
    pub is_open: bool,
    /// Calls of the gateway.
    pub traffic: Traffic,
    /// Limits at the gateway.
    pub limits: CallLimits,
    /// Look-ups of costs.
    pub look_ups: LookUps,
    /// The journal.
    pub journal: Journal,
    /// How far records have reached the database.
    pub applier: ApplierState,
    /// Organizations and keys.
    pub directory: SharedDirectory,
    /// What the monitor saw last.
    pub figures: watch::Receiver<Figures>,
    /// Whether alerts can go out by mail.
    pub sends_mail: bool,
    /// How members were taken over from Open WebUI, where they are.
    pub members: Option<SyncState>,
}

/// The page, for the reseller or for everybody.
pub async fn metrics(request: HttpRequest, metrics: web::Data<Metrics>) -> Result<HttpResponse, ApiError> {
    if !metrics.is_open && !Caller::from_request(&request, &mut Payload::None).await?.is_reseller() {
        return Err(ApiError::unauthorized("only the reseller's API token opens the metrics"));
    }
    Ok(HttpResponse::Ok().content_type(Page::CONTENT_TYPE).body(metrics.page()))
}

impl Metrics {
    fn page(&self) -> String {
        let mut page = Page::default();
        self.process(&mut page);
        self.gateway(&mut page);
        self.recording(&mut page);
        self.database(&mut page);
        self.batch(&mut page);
        self.alerts(&mut page);
        self.members(&mut page);
        page.finish()
    }

    fn process(&self, page: &mut Page) {
        page.family(Gauge, "mai_build_info", "The version that runs.")
            .labelled(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.family(Gauge, "process_start_time_seconds", "Start of the process in Unix seconds.")
            .value(self.started_at.seconds());
        if let Some(bytes) = resident_bytes() {
            page.family(Gauge, "process_resident_memory_bytes", "Resident memory in bytes.").value(bytes);
        }
    }

    fn gateway(&self, page: &mut Page) {
        let calls = "Calls of the gateway by route and class of the status; left means that the client left \
                     before there was one.";
        page.family(Counter, "mai_gateway_calls_total", calls);
        for calls in self.traffic.calls() {
            page.labelled(&[("route", calls.route), ("status", calls.outcome)], calls.count);
        }
        page.family(Gauge, "mai_gateway_open_calls", "Calls whose answer has not passed through yet.")
            .value(self.traffic.open_calls());
        page.family(Gauge, "mai_gateway_open_streams", "Open calls whose answer is a stream of events.")
            .value(self.traffic.open_streams());
        let refused = "Calls that were refused because a limit had no room, by whose limit it was.";
        page.family(Counter, "mai_limit_refusals_total", refused);
        for (scope, count) in self.limits.refusals() {
            page.labelled(&[("scope", scope)], count);
        }
        page.family(Counter, "mai_lookups_total", "Look-ups of costs at OpenRouter by result.");
        for (result, count) in self.look_ups.by_result() {
            page.labelled(&[("result", result)], count);
        }
    }

    fn recording(&self, page: &mut Page) {
        let stats = self.journal.stats();
        let lag = stats.durable_end.get().saturating_sub(self.applier.applied_to().get());
        page.family(Gauge, "mai_journal_bytes", "Bytes of the journal on disk.").value(stats.retained_bytes);
        page.family(Gauge, "mai_journal_limit_bytes", "From here on new calls get 503.")
            .value(stats.max_bytes);
        page.family(Counter, "mai_journal_commits_total", "Groups of records that were made durable.")
            .value(stats.commits);
        page.family(Counter, "mai_journal_records_total", "Records that were made durable.")
            .value(stats.records);
        page.family(Gauge, "mai_journal_lag_bytes", "Bytes of records that are not in the database yet.")
            .value(lag);
        let waiting = "How long the oldest record that is not in the database has waited at least.";
        page.family(Gauge, "mai_journal_oldest_unapplied_seconds", waiting)
            .value(self.figures.borrow().waiting.as_secs());
        let full = "1 while the journal's disk has no room, so that new calls get 503.";
        page.family(Gauge, "mai_journal_no_space", full).value(u8::from(stats.no_space));
        page.family(Gauge, "mai_journal_poisoned", "1 after a sync failed: nothing more is recorded.")
            .value(u8::from(stats.poisoned));
        let lost = "Records that were not kept and of which no caller was told.";
        page.family(Counter, "mai_journal_detached_failures_total", lost).value(stats.detached_failures);
        page.family(Gauge, "mai_applier_failing", "1 while records do not reach the database.")
            .value(u8::from(self.applier.trouble().is_some()));
        page.family(Counter, "mai_applier_records_total", "Records of the journal that were applied.")
            .value(self.applier.records());
    }

    /// What nobody has seen yet is left out, because unknown is not zero.
    fn database(&self, page: &mut Page) {
        let figures = self.figures.borrow().clone();
        if let Some(answers) = figures.database_answers {
            page.family(Gauge, "mai_database_reachable", "Whether the database answered last.")
                .value(u8::from(answers));
        }
        if let Some(pending) = figures.pending {
            let help = "Generations whose cost is not known, when the database answered last.";
            page.family(Gauge, "mai_pending_generations", help);
            for state in PendingState::ALL {
                let count = pending.get(state).copied().unwrap_or_default();
                page.labelled(&[("state", state.as_str())], count);
            }
        }
        if let Some(age) = self.directory.age() {
            let help = "Since when organizations and keys were not compared with the database.";
            page.family(Gauge, "mai_directory_age_seconds", help).value(age.as_secs());
        }
    }
}

impl Metrics {
    /// The daily run. Of which there was none yet is left out.
    fn batch(&self, page: &mut Page) {
        let Some(batch) = self.figures.borrow().batch.clone() else { return };
        let help = "1 while the daily run failed last, does not end or is overdue.";
        page.family(Gauge, "mai_batch_trouble", help).value(u8::from(batch.trouble().is_some()));
        if let Some(last) = &batch.last {
            let help = "1 while a daily run is going on.";
            page.family(Gauge, "mai_batch_running", help).value(u8::from(last.status == RunStatus::Running));
        }
        let Some(success) = batch.last_success else { return };
        let Some(finished_at) = success.finished_at else { return };
        let help = "When a daily run succeeded last, in Unix seconds.";
        page.family(Gauge, "mai_batch_success_timestamp_seconds", help).value(finished_at.seconds());
        let help = "How long that run took.";
        page.family(Gauge, "mai_batch_success_duration_seconds", help)
            .value(finished_at.seconds() - success.started_at.seconds());
    }

    /// Alerts that wait or were given up; what nobody has seen yet is left out.
    fn alerts(&self, page: &mut Page) {
        let Some(backlog) = self.figures.borrow().alerts else { return };
        let (mail, held) =
            if self.sends_mail { (backlog.waiting_mail, 0) } else { (0, backlog.waiting_mail) };
        let help =
            "Deliveries of alerts that wait, are held until a mail server is set up, or were given up.";
        page.family(Gauge, "mai_alert_deliveries", help)
            .labelled(&[("channel", "webhook"), ("state", "waiting")], backlog.waiting_webhooks)
            .labelled(&[("channel", "email"), ("state", "waiting")], mail)
            .labelled(&[("channel", "email"), ("state", "held")], held)
            .labelled(&[("channel", "webhook"), ("state", "failed")], backlog.failed_webhooks)
            .labelled(&[("channel", "email"), ("state", "failed")], backlog.failed_mail);
        let waiting = [("webhook", backlog.oldest_webhook), ("email", backlog.oldest_mail)];
        if waiting.iter().all(|(_, oldest)| oldest.is_none()) {
            return;
        }
        let help = "When the oldest delivery that waits or is held was made, in Unix seconds.";
        page.family(Gauge, "mai_alert_oldest_waiting_timestamp_seconds", help);
        for (channel, oldest) in waiting {
            if let Some(oldest) = oldest {
                page.labelled(&[("channel", channel)], oldest.seconds());
            }
        }
    }

    fn members(&self, page: &mut Page) {
        let Some(state) = &self.members else { return };
        page.family(Gauge, "mai_member_sync_failing", "1 while members cannot be read from Open WebUI.")
            .value(u8::from(state.trouble().is_some()));
        if let Some(last) = state.succeeded() {
            let (at, report) = &*last;
            let help = "When members were taken over from Open WebUI last, in Unix seconds.";
            page.family(Gauge, "mai_member_sync_success_timestamp_seconds", help).value(at.seconds());
            let help = "Users of Open WebUI who could not be taken over as members.";
            page.family(Gauge, "mai_member_sync_refused", help).value(report.refused.len());
        }
    }
}

/// Resident memory of this process; none where the system does not tell.
fn resident_bytes() -> Option<u64> {
    resident_of(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// `VmRSS` is in units of 1,024 bytes, unlike `/proc/self/statm`, whose pages have a size of their own.
fn resident_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident_of("Name:\tx\nVmHWM:\t 9 kB\nVmRSS:\t    1234 kB\n"), Some(1234 * 1024));
        assert_eq!(resident_of("Name:\tx\n"), None);
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
