//! Destinations, their secrets, and claims on their deliveries.

use mai_audit_log::{Actor, AuditQuery, service::list as entries};
use mai_client_organization::sealed;
use mai_global_settings::MasterKey;
use mai_primitives::{Clock, UnixTime};
use secrecy::ExposeSecret;

use super::{Fixture, each, limit, mail, org, webhook};
use crate::{
    Backlog, Channel, DeliveryQuery, DeliveryState, DestinationPatch, Error, backlog,
    deliveries::{claim, settle},
    delivery::{LEASE, Outcome, Verdict},
    destinations::{GRACE, secrets},
};

const BOTH: &[Channel] = &[Channel::Webhook, Channel::Email];

impl Fixture {
    fn now(&self) -> UnixTime {
        self.clock.now().into()
    }

    /// What is due is taken by a process.
    async fn claimed(&self, channels: &'static [Channel], limit: i64) -> Vec<crate::DeliveryModel> {
        let now = self.now();
        self.storage.write(move |conn| claim(conn, channels, limit, now)).await.unwrap()
    }

    async fn settled(&self, row: crate::DeliveryModel, outcome: Outcome) -> crate::DeliveryModel {
        self.settled_at(row, outcome, "https://hooks.example/alerts").await
    }

    /// What became of an attempt that was sent to `target`.
    async fn settled_at(
        &self,
        row: crate::DeliveryModel,
        outcome: Outcome,
        target: &str,
    ) -> crate::DeliveryModel {
        let (now, target) = (self.now(), target.to_owned());
        self.storage.write(move |conn| settle(conn, row.clone(), (&outcome, &target), now)).await.unwrap()
    }
}

#[test]
fn an_organization_reaches_its_own_destinations_only() {
    each(async |fixture| {
        let table = &fixture.destinations;
        let own = table.create(webhook(Some("a"))).await.unwrap().model;
        let resellers = table.create(mail(None)).await.unwrap().model;
        assert_eq!(table.list(Some(org("a"))).await.unwrap(), std::slice::from_ref(&own));
        assert_eq!(table.list(None).await.unwrap().len(), 2);
        for (owner, id) in [(org("b"), &own.id), (org("a"), &resellers.id)] {
            let owner = Some(owner);
            let unknown =
                |result: Result<(), Error>| assert!(matches!(result, Err(Error::UnknownDestination)));
            unknown(table.get(owner.clone(), id).await.map(|_| ()));
            unknown(table.update(owner.clone(), id, DestinationPatch::default()).await.map(|_| ()));
            unknown(table.rotate_secret(owner.clone(), id, 0).await.map(|_| ()));
            unknown(table.remove(owner.clone(), id).await);
            let since = UnixTime::from_seconds(0);
            unknown(fixture.deliveries.replay_failed(owner, id, since).await.map(|_| ()));
        }
        fixture.alerts.raise(vec![limit("a", 50)]).await.unwrap();
        let seen = DeliveryQuery { owner: Some(org("a")), limit: 9, ..Default::default() };
        let seen = fixture.deliveries.list(seen).await.unwrap();
        assert_eq!(seen.iter().map(|row| &row.destination_id).collect::<Vec<_>>(), [&own.id]);
        let other = fixture.every_delivery().await.into_iter().find(|row| row.destination_id == resellers.id);
        let replayed = fixture.deliveries.replay(&org("a"), Some(org("a")), &other.unwrap().id).await;
        assert!(matches!(replayed, Err(Error::UnknownDelivery)));

        table.remove(Some(org("a")), &own.id).await.unwrap();
        assert!(matches!(table.get(None, &own.id).await, Err(Error::UnknownDestination)));
        let given_up = fixture.every_delivery().await.into_iter().find(|row| row.destination_id == own.id);
        let given_up = given_up.unwrap();
        assert_eq!(given_up.state, DeliveryState::Failed);
        assert_eq!(given_up.last_error.as_deref(), Some("the destination was removed"));
        assert!(matches!(table.create(webhook(Some("nobody"))).await, Err(Error::UnknownOrganization)));
    });
}

#[test]
fn a_secret_is_sealed_rotated_with_an_overlap_and_never_told() {
    each(async |fixture| {
        let table = fixture.destinations.acting_as(Actor::system());
        let made = table.create(webhook(Some("a"))).await.unwrap();
        let first = made.secret.unwrap();
        let at = |row: &crate::DestinationModel, now| {
            let opened = secrets(&fixture.master_key, row, now).unwrap();
            opened.iter().map(|one| one.expose_secret().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(at(&made.model, fixture.now()), [first.expose_secret()]);
        let rotated = table.rotate_secret(None, &made.model.id, GRACE).await.unwrap();
        let second = rotated.secret.unwrap();
        let now = fixture.now();
        assert_eq!(at(&rotated.model, now), [second.expose_secret(), first.expose_secret()]);
        assert_eq!(at(&rotated.model, now.plus_seconds(GRACE - 1)).len(), 2);
        assert_eq!(at(&rotated.model, now.plus_seconds(GRACE)), [second.expose_secret()]);
        let at_once = table.rotate_secret(None, &made.model.id, 0).await.unwrap();
        assert_eq!(at(&at_once.model, now).len(), 1);
        assert!(matches!(
            table.rotate_secret(None, &made.model.id, -1).await,
            Err(Error::Invalid { field: "grace_seconds", .. })
        ));
        let by_mail = table.create(mail(None)).await.unwrap();
        assert!(by_mail.secret.is_none());
        assert!(matches!(table.rotate_secret(None, &by_mail.model.id, 0).await, Err(Error::WrongState(_))));

        let shown = format!("{:?}", at_once.model);
        assert!(!shown.contains("v1:") && !shown.contains("hooks.example"), "{shown}");
        let query = AuditQuery { limit: 99, ..AuditQuery::default() };
        let told = fixture.storage.read_blocking(|conn| entries(conn, &query)).unwrap();
        assert_eq!(told.iter().filter(|one| one.action.starts_with("alert_destination.")).count(), 4);
        for entry in told {
            for hidden in ["whsec_", "v1:", "hooks.example", "alerts@client.example"] {
                assert!(!entry.details.contains(hidden), "{}", entry.details);
            }
        }
    });
}

/// The list of sealed columns lies in a crate below, so it is shown here that it has ours.
#[test]
fn another_master_key_seals_the_secrets_anew() {
    each(async |fixture| {
        let made = fixture.destinations.create(webhook(Some("a"))).await.unwrap();
        fixture.destinations.rotate_secret(None, &made.model.id, GRACE).await.unwrap();
        let new = MasterKey::generate().unwrap().with_former(std::slice::from_ref(&fixture.master_key));
        let (key, now) = (new.clone(), fixture.now());
        let resealed = fixture
            .storage
            .write(move |conn| sealed::reseal(conn, &key, &Actor::system(), now))
            .await
            .unwrap();
        assert_eq!(resealed, 2);
        let row = fixture.destinations.get(None, &made.model.id).await.unwrap();
        assert_eq!(secrets(&new, &row, now).unwrap().len(), 2);
        assert!(secrets(&fixture.master_key, &row, now).is_err());
    });
}

#[test]
fn a_delivery_is_in_one_process_at_a_time_and_a_claim_runs_out() {
    each(async |fixture| {
        fixture.destinations.create(webhook(Some("a"))).await.unwrap();
        fixture.alerts.raise(vec![limit("a", 50)]).await.unwrap();
        let killed = fixture.claimed(BOTH, 9).await;
        assert_eq!(killed.len(), 1);
        assert!(fixture.claimed(BOTH, 9).await.is_empty(), "it is in the first one's hands");
        fixture.clock.advance_millis(LEASE * 1_000 - 1_000);
        assert!(fixture.claimed(BOTH, 9).await.is_empty());
        fixture.clock.advance_millis(1_000);
        let second = fixture.claimed(BOTH, 9).await;
        assert_eq!(second[0].attempts, 2, "an attempt counts when it begins");
        // The first was only slow. What it says is too late.
        fixture.settled(killed[0].clone(), Outcome::failed(Verdict::Gone, Some(410), "x")).await;
        let row = fixture.every_delivery().await.remove(0);
        assert_eq!((row.claim.as_ref(), row.state), (second[0].claim.as_ref(), DeliveryState::Waiting));
        fixture.settled(second[0].clone(), Outcome::delivered(204)).await;
        let row = fixture.every_delivery().await.remove(0);
        assert_eq!((row.state, row.last_status, row.claim), (DeliveryState::Delivered, Some(204), None));
        fixture.clock.advance_millis(LEASE * 10_000);
        assert!(fixture.claimed(BOTH, 9).await.is_empty());
    });
}

#[test]
fn many_processes_share_what_is_due() {
    each(async |fixture| {
        fixture.destinations.create(webhook(Some("a"))).await.unwrap();
        fixture.alerts.raise((1..=40).map(|threshold| limit("a", threshold)).collect()).await.unwrap();
        let now = fixture.now();
        let mut ids: Vec<String> = std::thread::scope(|scope| {
            let processes = [(); 4].map(|()| {
                scope.spawn(|| {
                    let mut ids = Vec::new();
                    loop {
                        let rows = fixture.storage.write_blocking(|conn| claim(conn, BOTH, 3, now)).unwrap();
                        if rows.is_empty() {
                            return ids;
                        }
                        ids.extend(rows.into_iter().map(|row| row.id));
                    }
                })
            });
            processes.into_iter().flat_map(|process| process.join().unwrap()).collect()
        });
        let claims = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((claims, ids.len()), (40, 40));
    });
}

#[test]
fn nothing_goes_to_a_receiver_that_is_gone_until_somebody_says_so() {
    each(async |fixture| {
        let id = fixture.destinations.create(webhook(Some("a"))).await.unwrap().model.id;
        fixture.alerts.raise(vec![limit("a", 50), limit("a", 80)]).await.unwrap();
        let claimed = fixture.claimed(BOTH, 1).await.remove(0);
        fixture.settled(claimed.clone(), Outcome::failed(Verdict::Gone, Some(410), "gone")).await;
        let row = fixture.destinations.get(None, &id).await.unwrap();
        assert_eq!((row.is_active, row.gone_at), (false, Some(fixture.now())));
        assert!(fixture.claimed(BOTH, 9).await.is_empty(), "what waits waits on");
        assert_eq!(fixture.alerts.raise(vec![limit("a", 100)]).await.unwrap(), 1);
        assert_eq!(fixture.every_delivery().await.len(), 2, "none for an inactive destination");
        fixture.clock.advance_millis(60_000);
        let replayed = fixture.deliveries.replay(&org("a"), None, &claimed.id).await;
        assert!(matches!(replayed, Err(Error::WrongState(_))));
        let patch = DestinationPatch { is_active: Some(true), ..DestinationPatch::default() };
        let row = fixture.destinations.update(None, &id, patch).await.unwrap();
        assert_eq!((row.is_active, row.gone_at), (true, None));
        assert_eq!(fixture.claimed(BOTH, 9).await.len(), 1);
        fixture.deliveries.replay(&org("a"), None, &claimed.id).await.unwrap();
        assert_eq!(fixture.claimed(BOTH, 9).await[0].id, claimed.id);
    });
}

#[test]
fn an_organization_cannot_have_any_number_of_destinations() {
    each(async |fixture| {
        for _ in 0..100 {
            fixture.destinations.create(mail(Some("a"))).await.unwrap();
        }
        let table = &fixture.destinations;
        assert!(matches!(table.create(mail(Some("a"))).await, Err(Error::WrongState(_))));
        let first = table.list(Some(org("a"))).await.unwrap().remove(0);
        table.remove(None, &first.id).await.unwrap();
        for owner in [Some("a"), Some("b"), None] {
            table.create(mail(owner)).await.unwrap();
        }
    });
}

#[test]
fn tests_are_no_way_to_flood_anybody() {
    each(async |fixture| {
        let id = fixture.destinations.create(mail(Some("a"))).await.unwrap().model.id;
        let test = async |owner: Option<&str>, about: &str| {
            fixture.alerts.test(owner.map(org), &id, &org(about), Actor::system()).await
        };
        assert!(matches!(test(Some("b"), "b").await, Err(Error::UnknownDestination)));
        assert!(matches!(test(None, "b").await, Err(Error::Invalid { field: "client_org_id", .. })));
        for _ in 0..30 {
            let row = test(Some("a"), "a").await.unwrap();
            assert_eq!((row.attempts, row.claim.is_some()), (1, true), "it is in the caller's hands");
        }
        assert!(matches!(test(Some("a"), "a").await, Err(Error::WrongState(_))));
        fixture.clock.advance_millis(3_600_000);
        let last = test(Some("a"), "a").await.unwrap();
        let query = AuditQuery { limit: 99, ..AuditQuery::default() };
        let told = fixture.storage.read_blocking(|conn| entries(conn, &query)).unwrap();
        assert_eq!(told.iter().filter(|one| one.action == "alert_destination.test").count(), 31);

        // What its process has not ended nobody else tries, and it is not replayed.
        fixture.clock.advance_millis(LEASE * 1_000);
        assert!(fixture.claimed(BOTH, 99).await.is_empty());
        let replayed = fixture.deliveries.replay(&org("a"), None, &last.id).await;
        assert!(matches!(replayed, Err(Error::WrongState(_))));
        let since = UnixTime::from_seconds(0);
        assert_eq!(fixture.deliveries.replay_failed(None, &id, since).await.unwrap(), 0);
        // An attempt that failed is the only one.
        let failed = fixture.settled(last, Outcome::failed(Verdict::Again, None, "x")).await;
        assert_eq!((failed.state, failed.last_error.as_deref()), (DeliveryState::Failed, Some("x")));
        assert!(fixture.claimed(BOTH, 99).await.is_empty());
    });
}

#[test]
fn replays_are_no_way_to_flood_anybody() {
    each(async |fixture| {
        let id = fixture.destinations.create(webhook(Some("a"))).await.unwrap().model.id;
        fixture.alerts.raise(vec![limit("a", 50)]).await.unwrap();
        let row = fixture.every_delivery().await.remove(0);
        let replay = async || fixture.deliveries.replay(&org("a"), None, &row.id).await;
        for _ in 0..30 {
            replay().await.unwrap();
        }
        assert!(matches!(replay().await, Err(Error::WrongState(_))));
        let since = UnixTime::from_seconds(0);
        assert!(fixture.deliveries.replay_failed(None, &id, since).await.is_err());
        fixture.clock.advance_millis(3_600_000);
        assert_eq!(fixture.deliveries.replay_failed(None, &id, since).await.unwrap(), 0);
        // What was tried a moment ago has to rest.
        let claimed = fixture.claimed(BOTH, 9).await.remove(0);
        assert!(matches!(replay().await, Err(Error::WrongState(_))));
        fixture.settled(claimed, Outcome::failed(Verdict::Gone, Some(404), "x")).await;
        let patch = DestinationPatch { is_active: Some(true), ..DestinationPatch::default() };
        fixture.destinations.update(None, &id, patch).await.unwrap();
        assert_eq!(fixture.deliveries.replay_failed(None, &id, since).await.unwrap(), 0);
        fixture.clock.advance_millis(60_000);
        assert_eq!(fixture.deliveries.replay_failed(None, &id, since).await.unwrap(), 1);
    });
}

#[test]
fn changes_at_once_keep_what_the_others_have_changed() {
    each(async |fixture| {
        let made = fixture.destinations.create(webhook(Some("a"))).await.unwrap();
        let id = &made.model.id;
        let patch = |number: i32| DestinationPatch {
            name: Some(format!("Hook {number}")),
            is_active: Some(true),
            ..DestinationPatch::default()
        };
        let updates = async {
            for number in 0..20 {
                fixture.destinations.update(None, id, patch(number)).await.unwrap();
            }
        };
        let rotations = async {
            let mut last = None;
            for _ in 0..20 {
                last = Some(fixture.destinations.rotate_secret(None, id, 0).await.unwrap());
            }
            last.unwrap()
        };
        let ((), last) = tokio::join!(updates, rotations);
        let row = fixture.destinations.get(None, id).await.unwrap();
        assert_eq!((row.secret, row.name.as_str()), (last.model.secret, "Hook 19"));

        let (removed, _) = tokio::join!(
            fixture.destinations.remove(None, id),
            fixture.destinations.update(None, id, patch(20))
        );
        removed.unwrap();
        assert!(matches!(fixture.destinations.get(None, id).await, Err(Error::UnknownDestination)));
    });
}

#[test]
fn a_receiver_that_is_gone_does_not_take_the_next_one_with_it() {
    each(async |fixture| {
        let id = fixture.destinations.create(webhook(Some("a"))).await.unwrap().model.id;
        fixture.alerts.raise(vec![limit("a", 50), limit("a", 80)]).await.unwrap();
        let claimed = fixture.claimed(BOTH, 9).await;
        let elsewhere = "https://hooks.example/new";
        let patch = DestinationPatch { target: Some(elsewhere.into()), ..DestinationPatch::default() };
        fixture.destinations.update(None, &id, patch).await.unwrap();
        let gone = || Outcome::failed(Verdict::Gone, Some(410), "gone");
        let late = fixture.settled(claimed[0].clone(), gone()).await;
        assert_eq!(late.state, DeliveryState::Failed);
        let row = fixture.destinations.get(None, &id).await.unwrap();
        assert_eq!((row.is_active, row.gone_at), (true, None));
        fixture.settled_at(claimed[1].clone(), gone(), elsewhere).await;
        assert!(!fixture.destinations.get(None, &id).await.unwrap().is_active);
    });
}

#[test]
fn the_backlog_tells_what_waits_and_what_was_given_up() {
    each(async |fixture| {
        assert_eq!(fixture.storage.read(backlog).await.unwrap(), Backlog::default());
        fixture.destinations.create(webhook(Some("a"))).await.unwrap();
        fixture.destinations.create(mail(None)).await.unwrap();
        let began = fixture.now();
        fixture.alerts.raise(vec![limit("a", 50)]).await.unwrap();
        fixture.clock.advance_millis(5_000);
        fixture.alerts.raise(vec![limit("a", 80)]).await.unwrap();
        let mut failing = fixture.claimed(&[Channel::Webhook], 1).await.remove(0);
        failing.tries = 10;
        fixture.settled(failing, Outcome::failed(Verdict::Again, None, "x")).await;
        let expected = Backlog {
            waiting_webhooks: 1,
            waiting_mail: 2,
            failed_webhooks: 1,
            failed_mail: 0,
            oldest_webhook: Some(began.plus_seconds(5)),
            oldest_mail: Some(began),
        };
        assert_eq!(fixture.storage.read(backlog).await.unwrap(), expected);
    });
}
