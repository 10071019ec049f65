//! Alerts on their way: webhooks and mail over TCP, with a clock that the test moves.

use std::sync::Arc;

use mai_alerts::{
    AlertKind, AlertTable, Channel, Deliverer, DeliveryModel, DeliveryQuery, DeliveryState, DeliveryTable,
    DestinationTable, Language, Mailer, Measure, NewAlert, NewDestination, Reach, Scope, WithSecret,
    delivery::{LEASE, PAUSES},
    destinations::GRACE,
};
use mai_organization::{
    MasterKey,
    client_organization::{ClientOrganizationForm, ClientOrganizationTable},
};
use mai_primitives::{ManualClock, OrganizationId, UnixTime};
use mai_storage::Storage;
use mai_tests::{
    mail_server::MailServer,
    on_each_database, run,
    webhook_receiver::{Received, WebhookReceiver, matches},
};
use secrecy::ExposeSecret;

/// One process, on a database that others may share.
#[derive(Clone)]
struct Process {
    storage: Storage,
    clock: ManualClock,
    master_key: MasterKey,
    alerts: AlertTable,
    destinations: DestinationTable,
    deliveries: DeliveryTable,
}

fn org() -> OrganizationId {
    OrganizationId::new("abc").unwrap()
}

impl Process {
    fn new(storage: &Storage) -> Self {
        let clock = ManualClock::at("2026-11-26T08:00:00Z".parse().unwrap());
        let master_key = MasterKey::generate().unwrap();
        let now = || Arc::new(clock.clone());
        Self {
            alerts: AlertTable::new(storage.clone(), now()),
            destinations: DestinationTable::new(
                storage.clone(),
                now(),
                master_key.clone(),
                Reach::Everything,
            ),
            deliveries: DeliveryTable::new(storage.clone(), now()),
            storage: storage.clone(),
            master_key,
            clock,
        }
    }

    fn deliverer(&self, reach: Reach, mailer: Option<Mailer>) -> Deliverer {
        let clock = Arc::new(self.clock.clone());
        Deliverer::new(self.storage.clone(), clock, self.master_key.clone(), reach, mailer).unwrap()
    }

    async fn destination(&self, channel: Channel, target: &str, language: Language) -> WithSecret {
        let new = NewDestination {
            client_org_id: Some(org()),
            channel,
            target: target.to_owned(),
            name: "n".to_owned(),
            language,
            wants_limits: true,
            wants_anomalies: true,
        };
        self.destinations.create(new).await.unwrap()
    }

    async fn raise(&self, threshold: i32) {
        let alert = NewAlert {
            client_org_id: org(),
            kind: AlertKind::LimitReached,
            scope: Scope::Model,
            subject: "openai/o3".to_owned(),
            period: "2026-11".to_owned(),
            threshold,
            measure: Measure::Spend,
            value: 8_100_000_000,
            bound: 10_000_000_000,
            typical: None,
        };
        assert_eq!(self.alerts.raise(vec![alert]).await.unwrap(), 1);
    }

    async fn delivery(&self) -> DeliveryModel {
        let query = DeliveryQuery { limit: 1, ..DeliveryQuery::default() };
        self.deliveries.list(query).await.unwrap().remove(0)
    }
}

/// Runs a test on each database with one organization.
#[expect(clippy::needless_pass_by_value, reason = "every caller passes a closure that it writes in place")]
fn each(test: impl AsyncFn(&Process)) {
    on_each_database(|database| {
        let process = Process::new(&database.storage);
        let clock = Arc::new(process.clock.clone());
        let organizations =
            ClientOrganizationTable::new(database.storage.clone(), process.master_key.clone(), clock);
        run(async {
            let form = ClientOrganizationForm {
                id: Some(org()),
                name: "Żółw <&> Syn".to_owned(),
                ..ClientOrganizationForm::default()
            };
            organizations.create(form).await.unwrap();
            test(&process).await;
        });
    });
}

fn secret(made: &WithSecret) -> String {
    made.secret.as_ref().unwrap().expose_secret().to_owned()
}

/// What must be the same however often a webhook is sent, and when it was sent.
fn told(request: &Received) -> (String, String, i64) {
    let header = |name: &str| request.headers[name].clone();
    (header("webhook-id"), request.body.clone(), header("webhook-timestamp").parse().unwrap())
}

#[test]
fn a_webhook_is_signed_and_tried_again_with_growing_pauses() {
    each(async |process| {
        let receiver = WebhookReceiver::start();
        let made = process.destination(Channel::Webhook, &receiver.url(), Language::English).await;
        let deliverer = process.deliverer(Reach::Everything, None);
        assert_eq!(deliverer.round().await.unwrap(), 0);
        process.raise(80).await;
        receiver.plan(&[500, 503]);
        assert_eq!(deliverer.round().await.unwrap(), 1);
        let row = process.delivery().await;
        assert_eq!((row.state, row.attempts, row.last_status), (DeliveryState::Waiting, 1, Some(500)));
        assert_eq!(row.last_error.as_deref(), Some("status 500"));

        process.clock.advance_millis(4_999);
        assert_eq!(deliverer.round().await.unwrap(), 0, "not before its pause is over");
        process.clock.advance_millis(1);
        assert_eq!(deliverer.round().await.unwrap(), 1);
        process.clock.advance_millis(30_000);
        assert_eq!(deliverer.round().await.unwrap(), 1);
        let row = process.delivery().await;
        assert_eq!((row.state, row.attempts, row.last_status), (DeliveryState::Delivered, 3, Some(204)));
        assert_eq!(row.last_error, None);
        process.clock.advance_millis(1_000_000_000);
        assert_eq!(deliverer.round().await.unwrap(), 0, "it is done");

        let requests = receiver.received();
        let [first, second, third] = [0, 1, 2].map(|place| told(&requests[place]));
        assert_eq!((&first.0, &first.1), (&second.0, &second.1));
        assert_eq!((&first.0, &first.1), (&third.0, &third.1));
        assert_eq!((second.2 - first.2, third.2 - second.2), (5, 30));
        for request in &requests {
            assert_eq!(matches(request, &secret(&made)), [true]);
            assert_eq!(request.headers["content-type"], "application/json");
        }
        let body: serde_json::Value = serde_json::from_str(&first.1).unwrap();
        assert_eq!(body["type"], "alert.limit_reached");
        assert_eq!(body["data"]["spent_usd"], "8.1");
        assert_eq!(body["data"]["organization_name"], "Żółw <&> Syn");
        assert_eq!(first.0, row.alert_id);
    });
}

#[test]
fn what_always_fails_is_given_up_and_can_be_replayed() {
    each(async |process| {
        let receiver = WebhookReceiver::start();
        let made = process.destination(Channel::Webhook, &receiver.url(), Language::English).await;
        let deliverer = process.deliverer(Reach::Everything, None);
        process.raise(50).await;
        let began = UnixTime::from_seconds(1_795_680_000);
        receiver.plan(&[500; 10]);
        for pause in PAUSES {
            assert_eq!(deliverer.round().await.unwrap(), 1);
            process.clock.advance_millis(pause * 1_000);
        }
        assert_eq!(deliverer.round().await.unwrap(), 1);
        let row = process.delivery().await;
        assert_eq!((row.state, row.attempts), (DeliveryState::Failed, 10));
        process.clock.advance_millis(1_000_000_000);
        assert_eq!(deliverer.round().await.unwrap(), 0);

        assert_eq!(row.created_at, began);
        let since = |seconds| began.plus_seconds(seconds);
        let replay =
            async |since| process.deliveries.replay_failed(None, &made.model.id, since).await.unwrap();
        assert_eq!(replay(since(1)).await, 0, "made before");
        assert_eq!(replay(since(0)).await, 1);
        receiver.plan(&[500]);
        assert_eq!(deliverer.round().await.unwrap(), 1);
        let row = process.delivery().await;
        let counts = (row.state, row.tries, row.attempts);
        assert_eq!(counts, (DeliveryState::Waiting, 1, 11), "the pauses begin anew");
        process.clock.advance_millis(5_000);
        assert_eq!(deliverer.round().await.unwrap(), 1);
        // What has arrived can be sent once more as well, though not at once.
        assert!(process.deliveries.replay(&org(), None, &row.id).await.is_err());
        process.clock.advance_millis(60_000);
        process.deliveries.replay(&org(), None, &row.id).await.unwrap();
        assert_eq!(deliverer.round().await.unwrap(), 1);
        let requests = receiver.received();
        assert_eq!(requests.len(), 13);
        let (first, last) = (told(&requests[0]), told(&requests[12]));
        assert_eq!((first.0, first.1), (last.0, last.1), "the same id and the same bytes");
        assert!(first.2 < last.2);
        assert_eq!(matches(&requests[12], &secret(&made)), [true]);
    });
}

#[test]
fn both_secrets_sign_for_a_while() {
    each(async |process| {
        let receiver = WebhookReceiver::start();
        let made = process.destination(Channel::Webhook, &receiver.url(), Language::English).await;
        let deliverer = process.deliverer(Reach::Everything, None);
        let new = process.destinations.rotate_secret(None, &made.model.id, GRACE).await.unwrap();
        process.raise(50).await;
        deliverer.round().await.unwrap();
        process.clock.advance_millis(GRACE * 1_000);
        process.raise(80).await;
        deliverer.round().await.unwrap();
        let requests = receiver.received();
        assert_eq!(matches(&requests[0], &secret(&new)), [true, false]);
        assert_eq!(matches(&requests[0], &secret(&made)), [false, true]);
        assert_eq!(matches(&requests[1], &secret(&new)), [true]);
        assert_eq!(matches(&requests[1], &secret(&made)), [false]);
    });
}

/// The process dies after it has sent and before it has written that down.
#[test]
fn a_process_that_is_killed_in_the_middle_is_followed_by_another() {
    each(async |process| {
        let receiver = WebhookReceiver::start();
        process.destination(Channel::Webhook, &receiver.url(), Language::English).await;
        process.raise(50).await;
        receiver.hold_next();
        let (killed, other) =
            (process.deliverer(Reach::Everything, None), process.deliverer(Reach::Everything, None));
        let sent = receiver.clone();
        let came = tokio::task::spawn_blocking(move || sent.wait_for(1));
        tokio::select! {
            round = killed.round() => panic!("it was not to end: {round:?}"),
            came = came => came.unwrap(),
        }
        receiver.release();
        assert_eq!(other.round().await.unwrap(), 0, "it is still in the first one's hands");
        process.clock.advance_millis(LEASE * 1_000);
        assert_eq!(other.round().await.unwrap(), 1);
        let row = process.delivery().await;
        assert_eq!((row.state, row.attempts), (DeliveryState::Delivered, 2));
        let requests = receiver.received();
        assert_eq!(requests.len(), 2);
        let (first, second) = (told(&requests[0]), told(&requests[1]));
        assert_eq!((first.0, first.1), (second.0, second.1), "the receiver knows the repetition by its id");
    });
}

#[test]
fn two_processes_at_once_send_each_delivery_once() {
    each(async |process| {
        let receiver = WebhookReceiver::start();
        process.destination(Channel::Webhook, &receiver.url(), Language::English).await;
        for threshold in 1..=20 {
            process.raise(threshold).await;
        }
        let deliverers = [(); 3].map(|()| process.deliverer(Reach::Everything, None));
        let [first, second, third] = &deliverers;
        let (first, second, third) = tokio::join!(first.round(), second.round(), third.round());
        let left = process.deliverer(Reach::Everything, None).round().await.unwrap();
        assert_eq!(first.unwrap() + second.unwrap() + third.unwrap() + left, 20);
        let mut ids: Vec<String> = receiver.received().iter().map(|request| told(request).0).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), receiver.received().len()), (20, 20));
    });
}

#[test]
fn redirects_are_not_followed_and_a_receiver_may_be_gone() {
    each(async |process| {
        let receiver = WebhookReceiver::start();
        let made = process.destination(Channel::Webhook, &receiver.url(), Language::English).await;
        let deliverer = process.deliverer(Reach::Everything, None);
        process.raise(50).await;
        receiver.plan(&[302, 410]);
        deliverer.round().await.unwrap();
        let row = process.delivery().await;
        assert_eq!((row.state, row.last_status), (DeliveryState::Waiting, Some(302)));
        process.clock.advance_millis(5_000);
        deliverer.round().await.unwrap();
        let row = process.delivery().await;
        assert_eq!((row.state, row.last_status), (DeliveryState::Failed, Some(410)));
        assert!(!process.destinations.get(None, &made.model.id).await.unwrap().is_active);
    });
}

/// Both were stored while the setting allowed it. The name is public when it is stored and is this machine
/// when it is resolved, as a name that changes its meaning would be.
#[test]
fn nothing_is_sent_to_a_private_address() {
    each(async |process| {
        let receiver = WebhookReceiver::start();
        let port = receiver.url().rsplit(':').next().unwrap().to_owned();
        let urls = [format!("https://127.0.0.1:{port}"), format!("https://localhost.localdomain:{port}")];
        let deliverer = process.deliverer(Reach::Public, None);
        for (place, url) in urls.iter().enumerate() {
            let made = process.destination(Channel::Webhook, url, Language::English).await;
            process.raise(50 + i32::try_from(place).unwrap()).await;
            assert_eq!(deliverer.round().await.unwrap(), 1);
            let row = process.delivery().await;
            assert_eq!((row.state, row.last_status), (DeliveryState::Waiting, None));
            assert!(!row.last_error.unwrap().contains(&port), "the URL is not told");
            process.destinations.remove(None, &made.model.id).await.unwrap();
            process.clock.advance_millis(1_000);
        }
        assert!(receiver.received().is_empty());
    });
}

fn mailer(url: String) -> Mailer {
    Mailer::new(&url.into(), "mAI Usage <usage@reseller.example>").unwrap()
}

#[test]
fn mail_arrives_in_polish_and_in_english() {
    each(async |process| {
        let server = MailServer::start();
        process.destination(Channel::Email, "pl@client.example", Language::Polish).await;
        process.destination(Channel::Email, "en@client.example", Language::English).await;
        process.raise(80).await;
        let deliverer = process.deliverer(Reach::Public, Some(mailer(server.url())));
        assert_eq!(deliverer.round().await.unwrap(), 2);
        let mails = server.mails();
        assert_eq!(mails.len(), 2);
        let to = |address: &str| {
            mails.iter().find(|mail| mail.envelope.1 == [address.to_owned()]).expect("a mail for it")
        };
        let (polish, english) = (to("pl@client.example"), to("en@client.example"));
        assert_eq!(polish.envelope.0, "usage@reseller.example");
        let subject = "Żółw <&> Syn: openai/o3 – wykorzystano 80% limitu modelu na 2026-11";
        assert_eq!(polish.header("Subject"), subject);
        assert!(polish.raw.is_ascii(), "everything else is encoded");
        assert_eq!(
            polish.part("text/plain"),
            "Wykorzystano znaczną część miesięcznego limitu.\n\nOrganizacja: Żółw <&> Syn\nModel: openai/o3\n\
             Miesiąc: 2026-11\nLimit: $10.00\nWykorzystano: $8.10\nPróg: 80%\n\nTę wiadomość wysłało mAI Usage. \
             Adresy powiadomień zmienia administrator organizacji.\n"
        );
        assert!(polish.part("text/html").contains("<td>Żółw &lt;&amp;&gt; Syn</td>"));
        assert_eq!(polish.header("Auto-Submitted"), "auto-generated");
        assert_eq!(polish.header("Date"), "Thu, 26 Nov 2026 08:00:00 +0000");
        assert!(polish.header("Message-ID").ends_with("@reseller.example>"));
        assert_eq!(polish.header("To"), "pl@client.example");
        let subject = "Żółw <&> Syn: openai/o3 – 80% of the model's limit for 2026-11 is used";
        assert_eq!(english.header("Subject"), subject);
        assert!(english.part("text/plain").contains("\nUsed: $8.10\n"));
        assert!(english.part("text/html").contains("<html lang=\"en\">"));
    });
}

#[test]
fn mail_waits_for_a_server_and_is_tried_again() {
    each(async |process| {
        let server = MailServer::start();
        process.destination(Channel::Email, "alerts@client.example", Language::English).await;
        process.raise(80).await;
        let without = process.deliverer(Reach::Public, None);
        process.clock.advance_millis(1_000_000_000);
        assert_eq!(without.round().await.unwrap(), 0, "it is held, and no attempt is counted");

        let wrong = process.deliverer(Reach::Public, Some(mailer(server.url_with("another-password"))));
        assert_eq!(wrong.round().await.unwrap(), 1);
        let row = process.delivery().await;
        assert_eq!((row.state, row.attempts, row.last_status), (DeliveryState::Waiting, 1, Some(535)));
        assert!(!row.last_error.unwrap().contains("another-password"));
        assert_eq!(server.refused_sign_ins(), 1);

        let right = process.deliverer(Reach::Public, Some(mailer(server.url())));
        server.refuse(1);
        process.clock.advance_millis(5_000);
        assert_eq!(right.round().await.unwrap(), 1);
        assert_eq!(process.delivery().await.last_status, Some(451));
        process.clock.advance_millis(30_000);
        assert_eq!(right.round().await.unwrap(), 1);
        let row = process.delivery().await;
        assert_eq!((row.state, row.attempts, row.last_status), (DeliveryState::Delivered, 3, Some(250)));
        assert_eq!(server.mails().len(), 1);
    });
}
