//! [`LimitKeeper`]: reads what was spent against limits, so that the gateway's guard knows it, and keeps the last reading
//! on disk for a start without a database. See docs/limits.md.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use mai_billing::{BillingMonth, LimitState};
use mai_capture::{ApplierState, LimitGuard, Reading, SharedDirectory, causes, limits::recover};
use mai_journal::{Journal, Position};
use mai_model_prices::ModelPrices;
use mai_organization::client_organization::Limits;
use mai_primitives::{Clock, OrganizationId, UsageDate};
use mai_storage::Storage;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// How often organizations with calls are read.
const READ_EVERY: Duration = Duration::from_secs(1);
/// How often all organizations with limits are read.
const READ_ALL_EVERY: Duration = Duration::from_secs(30);
/// How many organizations one transaction reads. The booking of own records waits meanwhile.
const AT_ONCE: usize = 100;
/// How often readings are kept on disk at most, so that organizations with calls do not cost a durable write a second.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// How long the last reading waits at a stop until the last records are booked.
const LAST_READING_WITHIN: Duration = Duration::from_secs(5);

/// What is kept on disk.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// Every record of the journal below this position is in the readings.
    read_to: u64,
    readings: Vec<Reading>,
}

/// A guard that begins where the last process of this data folder ended. Must be called before anything is written to
/// the journal. Without the file, or with one that cannot be read, only the journal says what was spent.
pub fn begin(folder: &Path, journal: &Journal, prices: ModelPrices) -> Result<LimitGuard> {
    let path = path(folder);
    let kept = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|cause| {
            error!(path = %path.display(), error = %cause, "the last reading of what was spent is damaged");
            Kept::default()
        }),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Kept::default(),
        Err(cause) => return Err(cause).with_context(|| format!("cannot read {}", path.display())),
    };
    let guard = LimitGuard::new(prices);
    if let Err(cause) = recover(&guard, journal, (kept.readings, Position::new(kept.read_to))) {
        error!(error = causes(&cause), "limits do not count what the journal holds behind a record");
    }
    Ok(guard)
}

fn path(folder: &Path) -> PathBuf {
    folder.join("limit-readings")
}

/// Reads the database for the guard. Clones share the guard.
#[derive(Clone)]
pub struct LimitKeeper {
    /// The guard.
    pub guard: LimitGuard,
    /// The database.
    pub storage: Storage,
    /// Which organizations have limits.
    pub directory: SharedDirectory,
    /// By what names a model is called.
    pub prices: ModelPrices,
    /// How far own records are booked.
    pub applier: ApplierState,
    /// Where own records stand before that.
    pub journal: Journal,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The data folder.
    pub folder: PathBuf,
}

/// What this process has kept on disk; nothing at its start, when the file is an earlier one's or not there.
#[derive(Default)]
struct Saved {
    readings: Vec<Reading>,
    /// When it was last tried.
    at: Option<Instant>,
}

/// An organization and its present month.
type Due = (OrganizationId, BillingMonth);

impl LimitKeeper {
    /// Reads whatever may have changed, or everything, and tells to where the journal's records are in the readings.
    pub async fn read(&self, all: bool) -> Result<Position, mai_billing::Error> {
        let position = self.applier.applied_to();
        let due =
            self.due(|organization, limits, month| all || self.guard.is_due(organization, limits, month));
        self.read_due(due).await?;
        Ok(position)
    }

    /// Reads what a change may have made wrong: the organization that was changed, whose limits may be new or back after
    /// calls that nobody counted, and all others with a limit of which nothing was read yet.
    pub async fn read_changed(&self, changed: Option<&str>) -> Result<(), mai_billing::Error> {
        let due = self.due(|organization, limits, month| {
            changed == Some(organization.as_str()) || self.guard.is_unread(organization, limits, month)
        });
        self.read_due(due).await
    }

    async fn read_due(&self, mut due: Vec<Due>) -> Result<(), mai_billing::Error> {
        due.sort_unstable_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        for of_a_month in due.chunk_by(|a, b| a.1 == b.1) {
            for some in of_a_month.chunks(AT_ONCE) {
                self.read_some(some).await?;
            }
        }
        Ok(())
    }

    fn due(&self, is_meant: impl Fn(&OrganizationId, &Limits, UsageDate) -> bool) -> Vec<Due> {
        let (directory, now) = (self.directory.current(), self.clock.now());
        let limited = directory.organizations().filter(|organization| !organization.limits.is_empty());
        let due = limited.filter_map(|organization| {
            let month = BillingMonth::of(organization.calendar.usage_date(now));
            let is_due = is_meant(&organization.id, &organization.limits, month.first());
            is_due.then(|| (organization.id.clone(), month))
        });
        due.collect()
    }

    async fn read_some(&self, due: &[Due]) -> Result<(), mai_billing::Error> {
        let Some((_, month)) = due.first() else { return Ok(()) };
        let (month, prices) = (*month, self.prices.current());
        let organizations: Vec<_> = due.iter().map(|(organization, _)| organization.clone()).collect();
        let asked = organizations.clone();
        let turn = self.guard.turn().await;
        let states = self.storage.read(move |conn| mai_billing::states(conn, &asked, month, &prices)).await?;
        self.guard.take(readings(organizations, month, states), &turn);
        Ok(())
    }

    /// Reads until `stop`, and once more when the last records are booked.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let (mut saved, mut failing, mut last_all) = (Saved::default(), false, None::<Instant>);
        while stop.run_until_cancelled(self.pause()).await.is_some() {
            let all = last_all.is_none_or(|at| at.elapsed() >= READ_ALL_EVERY);
            match self.read(all).await {
                Ok(position) => {
                    if failing {
                        info!("what was spent against limits can be read again");
                    }
                    failing = false;
                    if all {
                        last_all = Some(Instant::now());
                    }
                    if saved.at.is_none_or(|at| at.elapsed() >= SAVE_EVERY) {
                        self.save(&mut saved, position).await;
                    }
                }
                Err(cause) => {
                    if !failing {
                        warn!(
                            error = causes(&cause),
                            "what was spent against limits cannot be read; the last reading and own calls count"
                        );
                    }
                    failing = true;
                    // Calls ask for readings that do not come.
                    stop.run_until_cancelled(tokio::time::sleep(READ_EVERY)).await;
                }
            }
        }
        if self.guard.readings().is_empty() {
            return;
        }
        if let Ok(Ok(position)) = tokio::time::timeout(LAST_READING_WITHIN, self.read_when_booked()).await {
            self.save(&mut saved, position).await;
        }
    }

    /// A second, or less where a call asks for a reading.
    async fn pause(&self) {
        tokio::select! {
            () = tokio::time::sleep(READ_EVERY) => {}
            () = self.guard.wanted() => {}
        }
    }

    async fn read_when_booked(&self) -> Result<Position, mai_billing::Error> {
        // With a database that is away there is nothing to wait for.
        while self.applier.applied_to() < self.journal.durable_end() && self.applier.trouble().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.read(false).await
    }

    /// Keeps the readings on disk where they are others than those that are kept.
    async fn save(&self, saved: &mut Saved, position: Position) {
        let readings = self.guard.readings();
        if saved.readings == readings {
            return;
        }
        // Also where it fails: a disk that is full is not asked more often.
        saved.at = Some(Instant::now());
        let kept = Kept { read_to: position.get(), readings: readings.clone() };
        let folder = self.folder.clone();
        match tokio::task::spawn_blocking(move || write(&folder, &kept)).await {
            Ok(Ok(())) => saved.readings = readings,
            Ok(Err(cause)) => error!(error = %cause, "the last reading of what was spent cannot be kept"),
            Err(cause) => error!(error = %cause, "the last reading of what was spent cannot be kept"),
        }
    }
}

/// Replaces the file, whole or not at all, and makes it durable.
fn write(folder: &Path, kept: &Kept) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(kept)?)?;
    file.as_file().sync_all()?;
    file.persist(path(folder))?;
    std::fs::File::open(folder)?.sync_all()
}

/// What the guard takes over: one reading of each organization, also of those whose limits are gone meanwhile.
fn readings(
    organizations: Vec<OrganizationId>,
    month: BillingMonth,
    states: Vec<LimitState>,
) -> Vec<Reading> {
    let mut readings: std::collections::BTreeMap<OrganizationId, Reading> = organizations
        .into_iter()
        .map(|organization| {
            (organization.clone(), Reading { organization, month: month.first(), used: Vec::new() })
        })
        .collect();
    for state in states {
        let used = state.used().nanos();
        if let Some(reading) = readings.get_mut(&state.client_org_id) {
            reading.used.push((state.subject, used));
        }
    }
    readings.into_values().collect()
}
