//! What is too old.

use mai_primitives::Clock;

use super::{Fixture, each, limit, mail, org, webhook};
use crate::{
    AlertQuery, DeliveryState, DestinationPatch,
    retention::{Cleaned, KEPT, WAITS_AT_MOST, clean},
};

impl Fixture {
    async fn cleaned(&self) -> Cleaned {
        let now = self.clock.now().into();
        self.storage.write(move |conn| clean(conn, now)).await.unwrap()
    }
}

#[test]
fn what_waits_too_long_is_given_up_and_old_alerts_go() {
    each(async |fixture| {
        let id = fixture.destinations.create(webhook(Some("a"))).await.unwrap().model.id;
        let held = fixture.destinations.create(mail(None)).await.unwrap().model.id;
        fixture.alerts.raise(vec![limit("a", 50)]).await.unwrap();
        let patch =
            |is_active| DestinationPatch { is_active: Some(is_active), ..DestinationPatch::default() };
        fixture.destinations.update(None, &id, patch(false)).await.unwrap();
        fixture.clock.advance_millis(WAITS_AT_MOST * 1_000);
        fixture.alerts.raise(vec![limit("a", 80)]).await.unwrap();
        assert_eq!(fixture.cleaned().await, Cleaned::default(), "not yet");
        fixture.clock.advance_millis(1_000);
        assert_eq!(fixture.cleaned().await, Cleaned { alerts: 0, given_up: 2 });
        let rows = fixture.every_delivery().await;
        let failed: Vec<_> = rows.iter().filter(|row| row.state == DeliveryState::Failed).collect();
        assert_eq!((rows.len(), failed.len()), (3, 2));
        assert!(failed.iter().all(|row| row.last_error.as_deref() == Some("waited too long")));

        // Replayed, it waits anew.
        fixture.destinations.update(None, &id, patch(true)).await.unwrap();
        let mine = failed.iter().find(|row| row.destination_id == id).unwrap();
        fixture.deliveries.replay(&org("a"), None, &mine.id).await.unwrap();
        assert_eq!(fixture.cleaned().await, Cleaned::default());

        let began = rows.iter().map(|row| row.created_at).min().unwrap();
        let second = rows.iter().map(|row| row.created_at).max().unwrap();
        let passed = fixture.clock.now().timestamp() - began.seconds();
        fixture.clock.advance_millis((KEPT - passed) * 1_000);
        assert_eq!(fixture.cleaned().await.alerts, 0, "it is as old as that now");
        fixture.clock.advance_millis(1_000);
        assert_eq!(fixture.cleaned().await.alerts, 1);
        let rows = fixture.every_delivery().await;
        assert_eq!(rows.iter().map(|row| row.created_at).collect::<Vec<_>>(), [second]);
        assert_eq!(rows[0].destination_id, held);
        let query = AlertQuery { limit: 9, ..AlertQuery::default() };
        assert_eq!(fixture.alerts.list(query).await.unwrap()[0].threshold, 80);
    });
}
