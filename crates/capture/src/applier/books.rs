//! [`Books`]: settled calls into the database, for everybody who must not lose one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mai_primitives::{Clock, OrganizationId, UnixTime};
use mai_storage::Storage;
use tracing::error;

use super::{ApplyError, causes, work::Work};
use crate::record::Settled;

/// Pauses before a refusal of unclear origin counts as one of the records; once for all records that an
/// organization has in a batch.
const UNCLEAR: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// Where settled calls are booked. Booking one twice changes nothing, because the ledger knows its id.
pub(crate) struct Books {
    pub(crate) storage: Storage,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Books {
    /// Books calls, one transaction per organization, and tells `is_booked` of each organization when it is through:
    /// trouble with a later one does not take that back.
    pub(crate) async fn apply(
        &self,
        settled: Vec<Settled>,
        mut is_booked: impl FnMut(&OrganizationId),
    ) -> Result<(), ApplyError> {
        let mut organizations: BTreeMap<OrganizationId, Vec<Settled>> = BTreeMap::new();
        for one in settled {
            organizations.entry(one.call.organization.clone()).or_default().push(one);
        }
        for (organization, settled) in organizations {
            self.apply_organization(organization.clone(), settled).await?;
            is_booked(&organization);
        }
        Ok(())
    }

    /// Books calls of one organization, together if that is possible. What cannot be booked is kept for a
    /// person, so that only trouble with the database is left as an error.
    pub(crate) async fn apply_organization(
        &self,
        org: OrganizationId,
        settled: Vec<Settled>,
    ) -> Result<(), ApplyError> {
        match self.write_patiently(&org, &settled).await {
            Ok(()) => Ok(()),
            Err(cause) if cause.is_transient() => Err(cause),
            Err(cause) if settled.len() == 1 => self.leave_to_a_person(&org, &settled, &cause).await,
            Err(_) => {
                // One record that cannot be booked must not hold up the others. The time for a moment's
                // trouble to pass was given to all of them together: each gets one attempt now, so that
                // an organization in trouble does not hold up the others either.
                for one in &settled {
                    let one = std::slice::from_ref(one);
                    match self.write_settled(&org, one).await {
                        Ok(()) => {}
                        Err(cause) if cause.is_transient() => return Err(cause),
                        Err(cause) => self.leave_to_a_person(&org, one, &cause).await?,
                    }
                }
                Ok(())
            }
        }
    }

    /// Tries records again of which it is not clear why the database refused them, so that exact ones
    /// do not end up with a person for a moment's trouble.
    async fn write_patiently(&self, org: &OrganizationId, settled: &[Settled]) -> Result<(), ApplyError> {
        let mut outcome = self.write_settled(org, settled).await;
        for pause in UNCLEAR {
            if !outcome.as_ref().is_err_and(ApplyError::is_unclear) {
                break;
            }
            tokio::time::sleep(pause).await;
            outcome = self.write_settled(org, settled).await;
        }
        outcome
    }

    async fn leave_to_a_person(
        &self,
        org: &OrganizationId,
        settled: &[Settled],
        cause: &ApplyError,
    ) -> Result<(), ApplyError> {
        let (why, now) = (causes(cause), UnixTime::from(self.clock.now()));
        error!(organization = %org, error = why, "a generation cannot be booked and waits for a person");
        self.write(org, Work::of_unbookable(settled, &why), now).await
    }

    async fn write_settled(&self, org: &OrganizationId, settled: &[Settled]) -> Result<(), ApplyError> {
        let now = UnixTime::from(self.clock.now());
        self.write(org, Work::of(settled, now), now).await
    }

    async fn write(&self, org: &OrganizationId, work: Work, now: UnixTime) -> Result<(), ApplyError> {
        let org = org.clone();
        self.storage.write(move |conn| work.write(conn, &org, now)).await.map(drop)
    }
}
