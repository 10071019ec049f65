//! A proxy between the mock and a journal.

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method};
use mai_capture::{
    Call, Delivery, ExchangeId, MeteredBody, Proxy, ProxyError, ProxyResponse, ProxySettings, Recorder,
    RequestBody, Reservation, Upstream, UpstreamRequest,
    proxy::ProxyBody,
    record::{Record, Settled},
};
use mai_journal::{Journal, JournalSettings, Position};
use mai_mock_openrouter::{Charge, Mock, MockSettings};
use mai_openrouter::Route;
use mai_primitives::{MarkupRate, ModelName, OpenRouterUserId, OrganizationId, UnixTime, UsageDate, UserId};
use tokio_util::task::TaskTracker;

/// What a client asks for.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) route: Route,
    /// Names of the mock's behaviours.
    pub(crate) behaviours: String,
    pub(crate) streamed: bool,
    pub(crate) seed: u64,
    pub(crate) drain: bool,
    /// Whether the client is Open WebUI.
    pub(crate) shows_failures: bool,
}

impl Wish {
    pub(crate) fn stream(behaviours: &str) -> Self {
        let route = Route::ChatCompletions;
        let behaviours = behaviours.to_owned();
        Self { route, behaviours, streamed: true, seed: 1, drain: false, shows_failures: false }
    }

    pub(crate) fn plain(behaviours: &str) -> Self {
        Self { streamed: false, ..Self::stream(behaviours) }
    }
}

/// A call of an organization by one of its members.
pub(crate) fn call(organization: &str, streamed: bool) -> Call {
    Call {
        exchange: ExchangeId::new(),
        organization: OrganizationId::new(organization).unwrap(),
        user: UserId::new("anna").unwrap(),
        openrouter_user: OpenRouterUserId::new(format!("{organization}_user_0123456789abcdef")).unwrap(),
        requested_model: Some(ModelName::new("mock/ok").unwrap()),
        markup_rate: MarkupRate::DEFAULT,
        started_at: UnixTime::from_seconds(1_795_310_285),
        usage_date: UsageDate::parse("2026-11-22").unwrap(),
        streamed,
        gateway_key_id: None,
        task: None,
        new_member: None,
        held: None,
    }
}

/// The mock, the proxy and the journal.
pub(crate) struct Road {
    pub(crate) mock: Mock,
    pub(crate) journal: Journal,
    pub(crate) recorder: Recorder,
    pub(crate) proxy: Proxy,
    pub(crate) tracker: TaskTracker,
    folder: tempfile::TempDir,
}

impl Road {
    pub(crate) fn new() -> Self {
        Self::with(|settings| settings)
    }

    /// A road whose journal has other settings.
    pub(crate) fn with(change: impl FnOnce(JournalSettings) -> JournalSettings) -> Self {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(change(JournalSettings::new(folder.path().join("journal")))).unwrap();
        let (tracker, recorder) = (TaskTracker::new(), Recorder::new(journal.clone()));
        let proxy = Proxy::new(
            Upstream::new(&mock.base_url()).unwrap(),
            recorder.clone(),
            tracker.clone(),
            ProxySettings::default(),
        );
        Self { mock, journal, recorder, proxy, tracker, folder }
    }

    /// The same road to another upstream or with other bounds.
    pub(crate) fn to(self, base: &str, settings: ProxySettings) -> Self {
        Self { proxy: self.proxy_to(base, settings), ..self }
    }

    /// Another proxy that records at the same place.
    pub(crate) fn proxy_to(&self, base: &str, settings: ProxySettings) -> Proxy {
        let upstream = Upstream::new(base).unwrap();
        Proxy::new(upstream, self.recorder.clone(), self.tracker.clone(), settings)
    }

    /// The journal's files as a crash at this moment would leave them.
    pub(crate) fn crash_image(&self) -> tempfile::TempDir {
        let image = tempfile::tempdir().unwrap();
        crate::applying::copy_folder(&self.folder.path().join("journal"), &image.path().join("journal"));
        image
    }

    /// Makes a call and returns the head of its answer.
    pub(crate) async fn answer(&self, call: Call, wish: &Wish) -> Result<ProxyResponse, ProxyError> {
        Self::answer_of(&self.proxy, call, wish).await
    }

    /// As [`Road::answer`] by another proxy.
    pub(crate) async fn answer_of(
        proxy: &Proxy,
        call: Call,
        wish: &Wish,
    ) -> Result<ProxyResponse, ProxyError> {
        Self::answer_reserved(proxy, (call, None), wish).await
    }

    /// The same of a call for which something is reserved.
    pub(crate) async fn answer_reserved(
        proxy: &Proxy,
        call: (Call, Option<Reservation>),
        wish: &Wish,
    ) -> Result<ProxyResponse, ProxyError> {
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &str| headers.insert(name, value.parse().unwrap());
        set("x-mock-behaviour", &wish.behaviours);
        set("x-mock-seed", &wish.seed.to_string());
        // Whatever the route, this is enough for it.
        let body = format!(
            r#"{{"model":"mock/ok","stream":{},"messages":[],"input":"a","documents":["a"],"input_audio":{{"data":"AAAA"}}}}"#,
            wish.streamed
        );
        let request = UpstreamRequest {
            method: Method::POST,
            path: wish.route.path().to_owned(),
            headers,
            authorization: HeaderValue::from_static("Bearer sk-or-v1-test"),
            title: None,
            referer: None,
            body: RequestBody::from([Bytes::from(body)]),
        };
        let delivery = Delivery { drain_on_disconnect: wish.drain, shows_failures: wish.shows_failures };
        proxy.send(wish.route, call, request, delivery).await
    }

    /// Makes a call that upstream accepts.
    pub(crate) async fn send(&self, wish: &Wish) -> (ExchangeId, MeteredBody) {
        let call = call("org_road", wish.streamed);
        let exchange = call.exchange.clone();
        let answer = self.answer(call, wish).await.unwrap();
        let ProxyBody::Metered(body) = answer.body else { panic!("upstream refused: {}", answer.status) };
        (exchange, *body)
    }

    /// Makes a call and reads its answer to the end, successful or not.
    pub(crate) async fn read(&self, wish: &Wish) -> (ExchangeId, Vec<u8>) {
        let (exchange, mut body) = self.send(wish).await;
        let mut bytes = Vec::new();
        while let Some(Ok(chunk)) = body.next().await {
            bytes.extend_from_slice(&chunk);
        }
        (exchange, bytes)
    }

    /// What the journal holds of a call, in order. That it was sent goes without saying, some time later.
    pub(crate) fn records(&self, exchange: &ExchangeId) -> Vec<Record> {
        records(&self.journal, Position::default())
            .into_iter()
            .filter(|record| &record.call().exchange == exchange && !matches!(record, Record::Sent(_)))
            .collect()
    }

    /// Waits for all that was left to tasks and to the journal's thread.
    pub(crate) async fn finish(&self) {
        // The tracker is not closed before: then the answers that are left would not be read on.
        crate::eventually("all tasks have ended", || self.tracker.is_empty()).await;
        self.journal.clone().close().unwrap();
    }

    /// What became of a call, which must have exactly one settled record, at its end, and at most one
    /// opened record.
    pub(crate) fn settled(&self, exchange: &ExchangeId) -> Settled {
        let mut records = self.records(exchange);
        let Some(Record::Settled(settled)) = records.pop() else { panic!("no settled record at the end") };
        assert!(matches!(records.as_slice(), [] | [Record::Opened(_)]), "{records:?}");
        settled
    }

    /// The mock's charge of a call, by its generation id.
    pub(crate) fn charge(&self, settled: &Settled) -> Charge {
        let id = settled.generation_id.as_ref().unwrap();
        self.charge_of(id.as_str()).unwrap()
    }

    pub(crate) fn charge_of(&self, id: &str) -> Option<Charge> {
        self.mock.ledger().into_iter().find(|charge| charge.id == id)
    }
}

/// Every record of a journal from a position on.
pub(crate) fn records(journal: &Journal, from: Position) -> Vec<Record> {
    let batch = journal.read(from, usize::MAX).unwrap();
    batch.records.iter().map(|(_, bytes)| Record::from_bytes(bytes).unwrap()).collect()
}
