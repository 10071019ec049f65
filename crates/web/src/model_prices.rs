//! The job that reads OpenRouter's price list: at the start, and then once a day.

use std::time::Duration;

use mai_capture::causes;
use mai_model_prices::ModelPriceTable;
use mai_primitives::Clock;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How old the list becomes until it is read again.
const REFRESH_AFTER_SECONDS: i64 = 24 * 60 * 60;

/// How often it is looked whether the list is due, or another process has read it.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// After a failure it is tried again after this long, and after twice as long each time, up to an hour.
const RETRY_AFTER: Duration = Duration::from_secs(60);
const RETRY_AT_MOST: Duration = Duration::from_secs(60 * 60);

/// Reads the list now and whenever the stored one is a day old, until `stop`. While OpenRouter cannot be reached, the last
/// good copy stays in use, and its age is shown.
pub(crate) async fn keep(table: ModelPriceTable, clock: std::sync::Arc<dyn Clock>, stop: CancellationToken) {
    let mut is_first = true;
    let mut failures = 0_u32;
    loop {
        let round = async {
            table.load().await?;
            let age = table.prices().current().age_seconds(clock.now().into());
            if is_first || failures > 0 || age.is_none_or(|age| age >= REFRESH_AFTER_SECONDS) {
                let refreshed = table.refresh().await?;
                debug!(models = refreshed.models, "OpenRouter's price list was read");
            }
            Ok::<_, mai_model_prices::Error>(())
        };
        let Some(outcome) = stop.run_until_cancelled(round).await else { return };
        is_first = false;
        failures = match outcome {
            Ok(()) => 0,
            Err(cause) => {
                // Once, until it works again.
                if failures == 0 {
                    warn!(error = %causes(&cause), "OpenRouter's price list could not be read; the last copy stays");
                }
                failures.saturating_add(1)
            }
        };
        if stop.run_until_cancelled(tokio::time::sleep(pause(failures))).await.is_none() {
            return;
        }
    }
}

fn pause(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => LOOK_EVERY,
        Some(before) => RETRY_AFTER.saturating_mul(1 << before.min(10)).min(RETRY_AT_MOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_an_hour() {
        let seconds = |failures| pause(failures).as_secs();
        assert_eq!([0, 1, 2, 3, 7, 100].map(seconds), [60, 60, 120, 240, 3_600, 3_600]);
    }
}
