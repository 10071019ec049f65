//! [`Books`]: settled calls into the database, for everybody who must not lose one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mai_primitives::{Clock, OrganizationId, UnixTime};
use mai_storage::Storage;
use tracing::error;

use super::{ApplyError, causes, work::Work};
use crate::record::Settled;

/// Pauses before a refusal of unclear origin counts as one of the record.
const UNCLEAR: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// Where settled calls are booked. Booking one twice changes nothing, because the ledger knows its id.
pub(crate) struct Books {
    pub(crate) storage: Storage,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Books {
    /// Books calls, one transaction per organization.
    pub(crate) async fn apply(&self, settled: Vec<Settled>) -> Result<(), ApplyError> {
        let mut organizations: BTreeMap<OrganizationId, Vec<Settled>> = BTreeMap::new();
        for one in settled {
            organizations.entry(one.call.organization.clone()).or_default().push(one);
        }
        for (organization, settled) in organizations {
            self.apply_organization(organization, settled).await?;
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
        let now = UnixTime::from(self.clock.now());
        match self.write(&org, Work::of(&settled, now), now).await {
            Err(cause) if cause.is_transient() => Err(cause),
            Err(_) if settled.len() > 1 => {
                // One record that cannot be booked must not hold up the others.
                for one in settled {
                    Box::pin(self.apply_organization(org.clone(), vec![one])).await?;
                }
                Ok(())
            }
            Err(cause) => {
                let Err(cause) = self.write_again(&org, &settled, cause).await else { return Ok(()) };
                if cause.is_transient() {
                    return Err(cause);
                }
                let why = causes(&cause);
                error!(organization = %org, error = why, "a generation cannot be booked and waits for a person");
                self.write(&org, Work::of_unbookable(&settled, &why), now).await
            }
            Ok(()) => Ok(()),
        }
    }

    /// Tries a record again of which it is not clear why the database refused it, so that an exact one
    /// does not end up with a person for a moment's trouble.
    async fn write_again(
        &self,
        org: &OrganizationId,
        settled: &[Settled],
        mut cause: ApplyError,
    ) -> Result<(), ApplyError> {
        for pause in UNCLEAR {
            if !cause.is_unclear() {
                break;
            }
            tokio::time::sleep(pause).await;
            let now = UnixTime::from(self.clock.now());
            match self.write(org, Work::of(settled, now), now).await {
                Ok(()) => return Ok(()),
                Err(again) => cause = again,
            }
        }
        Err(cause)
    }

    async fn write(&self, org: &OrganizationId, work: Work, now: UnixTime) -> Result<(), ApplyError> {
        let org = org.clone();
        self.storage.write(move |conn| work.write(conn, &org, now)).await.map(drop)
    }
}
