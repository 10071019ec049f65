//! [`MemberSync`]: takes over the users of an Open WebUI as members, every hour.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use mai_capture::causes;
use mai_organization::client_organization::{ImportOptions, ImportReport, MemberTable};
use mai_primitives::{Clock, OrganizationId, UnixTime};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::registry::Registry;
use crate::settings::RegistrySettings;

/// How often the registry is read.
const EVERY: Duration = Duration::from_secs(3_600);
/// The pause after an attempt that failed.
const AFTER_TROUBLE: Duration = Duration::from_secs(300);

/// How the last attempt ended. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SyncState(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    trouble: ArcSwapOption<String>,
    succeeded: ArcSwapOption<(UnixTime, ImportReport)>,
}

impl SyncState {
    /// Why the last attempt failed, if it did.
    pub fn trouble(&self) -> Option<Arc<String>> {
        self.0.trouble.load_full()
    }

    /// When the registry was taken over last, and what became of it.
    pub fn succeeded(&self) -> Option<Arc<(UnixTime, ImportReport)>> {
        self.0.succeeded.load_full()
    }
}

/// The registries of the settings.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    settings: Option<RegistrySettings>,
    database: Option<Registry>,
    api: Option<Registry>,
}

impl Registries {
    /// Those that the settings name.
    pub fn of(settings: Option<&RegistrySettings>) -> reqwest::Result<Self> {
        let (database, api) = settings.map(Registry::of).transpose()?.unwrap_or_default();
        Ok(Self { settings: settings.cloned(), database, api })
    }

    /// The registry of an organization's people, by the database or by the API of Open WebUI. None where
    /// the settings name none, or name it for another organization.
    pub fn find(&self, organization: &OrganizationId, by_database: bool) -> Option<&Registry> {
        let is_theirs = self.settings.as_ref().is_some_and(|settings| settings.organization == *organization);
        let registry = if by_database { &self.database } else { &self.api };
        registry.as_ref().filter(|_| is_theirs)
    }

    /// The job that takes over the registry: by the database, where both ways are named.
    pub(crate) fn sync(&self, members: MemberTable, clock: &Arc<dyn Clock>) -> Option<MemberSync> {
        let settings = self.settings.as_ref()?;
        Some(MemberSync {
            registry: self.database.clone().or_else(|| self.api.clone())?,
            organization: settings.organization.clone(),
            deactivate_missing: settings.deactivate_missing,
            members,
            clock: Arc::clone(clock),
            state: SyncState::default(),
        })
    }
}

/// A job that takes over the registry.
pub struct MemberSync {
    /// Where the users are.
    pub registry: Registry,
    /// Whose people they are.
    pub organization: OrganizationId,
    /// Whether members who are missing become inactive.
    pub deactivate_missing: bool,
    /// Where members are.
    pub members: MemberTable,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where it can be seen how the last attempt ended.
    pub state: SyncState,
}

impl MemberSync {
    /// Takes it over at once and then every hour, until `stop`. What is in the way is logged when it
    /// begins, when it is something else, and when it ends.
    pub async fn run(self, stop: CancellationToken) {
        let mut refused = 0;
        loop {
            let Some(outcome) = stop.run_until_cancelled(self.once()).await else { return };
            let before = self.state.trouble();
            let pause = match outcome {
                Ok(report) => {
                    self.log(&report, before.is_some(), refused);
                    refused = report.refused.len();
                    self.state.0.succeeded.store(Some(Arc::new((self.clock.now().into(), report))));
                    self.state.0.trouble.store(None);
                    EVERY
                }
                Err(why) => {
                    if before.as_deref() != Some(&why) {
                        error!(organization = %self.organization, error = why, "members cannot be taken over from Open WebUI");
                    }
                    self.state.0.trouble.store(Some(Arc::new(why)));
                    AFTER_TROUBLE
                }
            };
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    async fn once(&self) -> Result<ImportReport, String> {
        let list = self.registry.read().await.map_err(|cause| causes(&cause))?;
        let options = ImportOptions { deactivate_missing: self.deactivate_missing, dry_run: false };
        self.members.import(&self.organization, list, options).await.map_err(|cause| causes(&cause))
    }

    fn log(&self, report: &ImportReport, was_failing: bool, refused_before: usize) {
        let organization = &self.organization;
        if report.new + report.changed + report.deactivated > 0 || was_failing {
            let ImportReport { new, changed, deactivated, .. } = report;
            info!(%organization, new, changed, deactivated, "members were taken over from Open WebUI");
        }
        if report.refused.len() > refused_before {
            let refused = report.refused.len();
            warn!(%organization, refused, "some users of Open WebUI cannot be members; an import tells why");
        }
    }
}
