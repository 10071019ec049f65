//! Raising alerts: once each, to whom they concern, together with their deliveries.

use mai_primitives::Usd;

use super::{each, limit, mail, org, webhook};
use crate::{AlertKind, AlertQuery, Channel, Measure, NewAlert, Scope, raise, service, thresholds_passed};

/// An alert for each part of a member's limit that is used up.
fn used(limit: i64, spent: i64) -> Vec<NewAlert> {
    let passed = thresholds_passed(Usd::from_nanos(limit), Usd::from_nanos(spent));
    let alert = |threshold| NewAlert {
        client_org_id: org("a"),
        kind: AlertKind::LimitReached,
        scope: Scope::Member,
        subject: "anna".into(),
        period: "2026-11".into(),
        threshold,
        measure: Measure::Spend,
        value: spent,
        bound: limit,
        typical: None,
    };
    passed.map(alert).collect()
}

#[test]
fn an_alert_is_raised_once_a_period_and_goes_to_whom_it_concerns() {
    each(async |fixture| {
        let made = async |new| fixture.destinations.create(new).await.unwrap().model.id;
        let own = made(webhook(Some("a"))).await;
        let resellers = made(mail(None)).await;
        made(webhook(Some("b"))).await;
        let mut deaf = webhook(Some("a"));
        deaf.wants_limits = false;
        made(deaf).await;

        let alerts = vec![limit("a", 50), limit("a", 80)];
        assert_eq!(fixture.alerts.raise(alerts.clone()).await.unwrap(), 2);
        assert_eq!(fixture.alerts.raise(alerts).await.unwrap(), 0, "once");
        let deliveries = fixture.every_delivery().await;
        let mut to: Vec<(&str, Channel)> =
            deliveries.iter().map(|row| (row.destination_id.as_str(), row.channel)).collect();
        to.sort_unstable();
        let mut expected = vec![(own.as_str(), Channel::Webhook); 2];
        expected.extend([(resellers.as_str(), Channel::Email); 2]);
        expected.sort_unstable();
        assert_eq!(to, expected);

        let mut next = limit("a", 50);
        next.period = "2026-12".into();
        assert_eq!(
            fixture.alerts.raise(vec![next, limit("b", 50)]).await.unwrap(),
            2,
            "another period or client"
        );
        assert_eq!(fixture.alerts.raise(vec![limit("nobody", 50)]).await.unwrap(), 0, "no such organization");
    });
}

#[test]
fn what_was_said_stays_said_when_the_limit_changes_within_the_month() {
    each(async |fixture| {
        let raise = async |limit, spent| fixture.alerts.raise(used(limit, spent)).await.unwrap();
        assert_eq!(raise(10, 8).await, 2, "50 and 80");
        // The limit is raised: 80 of it is not reached any more, and will be again.
        assert_eq!(raise(20, 8).await, 0);
        assert_eq!(raise(20, 17).await, 0, "said already");
        assert_eq!(raise(20, 20).await, 1, "100 for the first time");
        // And lowered: everything was said.
        assert_eq!(raise(5, 20).await, 0);
    });
}

#[test]
fn an_alert_is_stored_with_names_and_the_json_of_its_webhooks() {
    each(async |fixture| {
        let anomaly = NewAlert {
            kind: AlertKind::Anomaly,
            scope: Scope::Member,
            subject: "anna".into(),
            period: "2026-11-25".into(),
            threshold: 0,
            measure: Measure::Requests,
            value: 500,
            bound: 80,
            typical: Some(10),
            ..limit("a", 0)
        };
        assert_eq!(fixture.alerts.raise(vec![limit("a", 80), anomaly]).await.unwrap(), 2);
        let query =
            |kind| AlertQuery { organization: Some(org("a")), kind: Some(kind), before: None, limit: 9 };
        let json = async |kind| {
            let rows = fixture.alerts.list(query(kind)).await.unwrap();
            assert_eq!(rows.len(), 1);
            serde_json::from_str::<serde_json::Value>(&rows[0].body).unwrap()
        };
        assert_eq!(
            json(AlertKind::LimitReached).await,
            serde_json::json!({
                "type": "alert.limit_reached", "timestamp": "2026-11-26T08:00:00Z",
                "data": {
                    "client_org_id": "a", "organization_name": "Żółw <&> Syn", "scope": "organization",
                    "subject": null, "subject_name": null, "month": "2026-11", "threshold_percent": 80,
                    "limit_usd": "10", "spent_usd": "8.1",
                },
            })
        );
        assert_eq!(
            json(AlertKind::Anomaly).await,
            serde_json::json!({
                "type": "alert.anomaly", "timestamp": "2026-11-26T08:00:00Z",
                "data": {
                    "client_org_id": "a", "organization_name": "Żółw <&> Syn", "scope": "member",
                    "subject": "anna", "subject_name": "Anna Gęś", "usage_date": "2026-11-25",
                    "measure": "requests", "value": "500", "threshold": "80", "median": "10",
                },
            })
        );
    });
}

#[test]
fn alerts_and_deliveries_are_paged_by_their_last_row() {
    each(async |fixture| {
        fixture.destinations.create(webhook(Some("a"))).await.unwrap();
        for threshold in 1..=5 {
            fixture.alerts.raise(vec![limit("a", threshold)]).await.unwrap();
            fixture.clock.advance_millis(500);
        }
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let query = AlertQuery { before, limit: 2, ..AlertQuery::default() };
            let rows = fixture.alerts.list(query).await.unwrap();
            let Some(last) = rows.last() else { break };
            before = Some((last.created_at, last.id.clone()));
            seen.extend(rows.iter().map(|row| row.threshold));
        }
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3, 4, 5]);

        let (mut ids, mut before) = (Vec::new(), None);
        loop {
            let query = crate::DeliveryQuery { before, limit: 2, ..Default::default() };
            let rows = fixture.deliveries.list(query).await.unwrap();
            let Some(last) = rows.last() else { break };
            before = Some((last.created_at, last.id.clone()));
            ids.extend(rows.into_iter().map(|row| row.id));
        }
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((all, ids.len()), (5, 5));
    });
}

/// Both transactions are open at once on PostgreSQL; the second waits for the first, and finds its row.
#[test]
fn two_processes_that_notice_the_same_raise_it_once() {
    each(async |fixture| {
        fixture.destinations.create(webhook(Some("a"))).await.unwrap();
        let raised: usize = std::thread::scope(|scope| {
            let processes = [(); 4].map(|()| {
                scope.spawn(|| {
                    let raised = (1..=20).map(|threshold| {
                        let new = limit("a", threshold);
                        let now = mai_primitives::UnixTime::from_seconds(1_795_000_000);
                        let row = fixture.storage.write_blocking(|conn| raise(conn, &new, now)).unwrap();
                        usize::from(row.is_some())
                    });
                    raised.sum::<usize>()
                })
            });
            processes.into_iter().map(|process| process.join().unwrap()).sum()
        });
        assert_eq!(raised, 20);
        assert_eq!(fixture.every_delivery().await.len(), 20);
    });
}

/// An alert and its deliveries are there together or not at all.
#[test]
fn a_failure_in_the_middle_leaves_nothing() {
    each(async |fixture| {
        fixture.destinations.create(webhook(Some("a"))).await.unwrap();
        let failed: Result<(), crate::Error> = fixture
            .storage
            .write(|conn| {
                service::raise(conn, &limit("a", 50), mai_primitives::UnixTime::from_seconds(1))?;
                Err(crate::Error::WrongState("the process dies here"))
            })
            .await;
        assert!(failed.is_err());
        assert!(fixture.every_delivery().await.is_empty());
        assert_eq!(fixture.alerts.raise(vec![limit("a", 50)]).await.unwrap(), 1);
    });
}
