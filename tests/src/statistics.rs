//! Random usage of an organization in the books, and figures read back from answers digit by digit.

use std::collections::BTreeMap;

use mai_organization::{
    ClientUsageTable, MemberTable, NewGeneration,
    client_organization::{MemberForm, MemberRole, MemberSource, openrouter_user_id},
    generation_processing::UsageSource,
};
use mai_primitives::{
    GenerationId, MarkupRate, ModelName, OrganizationCalendar, OrganizationId, SystemClock, UnixTime,
    UsageDate, Usd, UserId,
};
use mai_storage::Storage;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::value::RawValue;

/// The four figures of anything, with costs in nano-dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Tokens of prompts and answers.
    pub tokens: i64,
    /// Generations.
    pub requests: i64,
    /// What the client is charged.
    pub cost: i64,
    /// What OpenRouter charged; zero where it is not shown.
    pub raw_cost: i64,
}

impl Figures {
    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens + other.tokens,
            requests: self.requests + other.requests,
            cost: self.cost + other.cost,
            raw_cost: self.raw_cost + other.raw_cost,
        }
    }

    /// The sum of many.
    pub fn sum(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().fold(Self::default(), Self::plus)
    }

    /// The same as somebody sees it who sees no raw cost.
    #[must_use]
    pub fn without_raw_cost(self) -> Self {
        Self { raw_cost: 0, ..self }
    }
}

/// An object of JSON whose values keep their own digits.
pub struct Exact(BTreeMap<String, Box<RawValue>>);

impl Exact {
    /// Reads an object.
    pub fn parse(json: &str) -> Self {
        Self(serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}")))
    }

    /// Whether it has the field.
    pub fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// The text of a field, as it stands in the JSON.
    pub fn text(&self, field: &str) -> &str {
        self.0.get(field).unwrap_or_else(|| panic!("no `{field}`")).get()
    }

    /// A field that is an object.
    #[must_use]
    pub fn object(&self, field: &str) -> Self {
        Self::parse(self.text(field))
    }

    /// A field that is a list of objects.
    pub fn list(&self, field: &str) -> Vec<Self> {
        let items: Vec<Box<RawValue>> = serde_json::from_str(self.text(field)).expect("a list");
        items.iter().map(|item| Self::parse(item.get())).collect()
    }

    /// A field that is a text.
    pub fn string(&self, field: &str) -> String {
        serde_json::from_str(self.text(field)).expect("a text")
    }

    /// A field that is a whole number.
    pub fn number(&self, field: &str) -> i64 {
        self.text(field).parse().expect("a whole number")
    }

    /// A field that is an amount, in nano-dollars.
    pub fn nanos(&self, field: &str) -> i64 {
        Usd::parse(self.text(field)).expect("an amount").nanos()
    }

    /// A field that is an amount in złoty with two decimals, in grosz.
    pub fn grosz(&self, field: &str) -> i64 {
        let text = self.text(field);
        let (whole, fraction) = text.split_once('.').unwrap_or_else(|| panic!("`{field}` is {text}"));
        assert_eq!(fraction.len(), 2, "`{field}` is {text}");
        format!("{whole}{fraction}").parse().expect("whole grosz")
    }

    /// The fields of the same names as sums have them.
    pub fn figures(&self) -> Figures {
        Figures {
            tokens: self.number("total_tokens"),
            requests: if self.has("total_requests") { self.number("total_requests") } else { 1 },
            cost: self.nanos("markup_cost"),
            raw_cost: if self.has("raw_cost") { self.nanos("raw_cost") } else { 0 },
        }
    }
}

/// What was booked.
pub struct Booked {
    /// The first day.
    pub from: UsageDate,
    /// The last day: today.
    pub to: UsageDate,
    /// The sums of all generations.
    pub whole: Figures,
    /// The same by member.
    pub by_user: BTreeMap<String, Figures>,
    /// How many members are in the registry beside those with usage.
    pub idle: usize,
}

/// How many members use something. With all days they have more daily rows than one page of an export.
const USERS: usize = 90;
const DAYS: u64 = 31;
const MODELS: [&str; 9] = [
    "openai/o3",
    "openai/gpt-4.1",
    "anthropic/claude-sonnet-4",
    "x-ai/grok-4",
    "lab/unlisted:free",
    "lab/other",
    "bytedance/seed",
    "bytedance-seed/other",
    "no-author",
];

/// Books a month of random usage, up to today, and registers members: some of those who use something,
/// and some who do not.
pub async fn book(storage: &Storage, organization: &str, generations: usize, seed: u64) -> Booked {
    let clock = std::sync::Arc::new(SystemClock);
    let organization = OrganizationId::new(organization).expect("an id");
    let mut random = StdRng::seed_from_u64(seed);
    register(storage, &organization).await;
    let calendar = OrganizationCalendar::default();
    let to = calendar.usage_date(mai_primitives::Clock::now(&SystemClock));
    let from = to.minus_days(DAYS - 1);
    let mut booked =
        Booked { from, to, whole: Figures::default(), by_user: BTreeMap::new(), idle: NAMES.len() - 2 };
    let mut all = Vec::with_capacity(generations);
    for number in 0..generations {
        let new = generation(&organization, number, to, calendar, &mut random);
        let row = new.row(new.started_at).expect("it can be booked");
        let figures = Figures {
            tokens: row.total_tokens,
            requests: 1,
            cost: row.markup_cost.nanos(),
            raw_cost: row.total_cost.nanos(),
        };
        let user = booked.by_user.entry(row.user_id.to_string()).or_default();
        *user = user.plus(figures);
        booked.whole = booked.whole.plus(figures);
        all.push(new);
    }
    let usage = ClientUsageTable::new(storage.clone(), clock);
    for batch in all.chunks(500) {
        usage.record_reports(&organization, batch.to_vec()).await.expect("they can be booked");
    }
    booked
}

/// Members: the first two use something, the others nothing. One name is a formula.
const NAMES: [(&str, &str); 5] = [
    ("user-0", "=HYPERLINK(\"http://x\")"),
    ("user-1", "Łucja Żak, \"Łu\""),
    ("idle-1", "Anna"),
    ("idle-2", "Ben"),
    ("idle-3", "-3"),
];

async fn register(storage: &Storage, organization: &OrganizationId) {
    let form = |(id, name): &(&str, &str)| MemberForm {
        user_id: UserId::new(id).expect("an id"),
        name: Some((*name).to_owned()),
        email: Some(format!("{id}@example.com")),
        role: MemberRole::Member,
        source: MemberSource::Csv,
        is_active: true,
    };
    let members = MemberTable::new(storage.clone(), std::sync::Arc::new(SystemClock));
    members.upsert(organization, NAMES.iter().map(form).collect()).await.expect("members");
}

fn generation(
    organization: &OrganizationId,
    number: usize,
    to: UsageDate,
    calendar: OrganizationCalendar,
    random: &mut impl RngExt,
) -> NewGeneration {
    let day = to.minus_days(random.random_range(0..DAYS));
    let user = UserId::new(format!("user-{}", random.random_range(0..USERS))).expect("an id");
    let nanos = random.random_range(0..2_000_000_000_i64) / random.random_range(1..1_000_000);
    let total_cost = Usd::from_nanos(nanos);
    NewGeneration {
        client_org_id: organization.clone(),
        id: GenerationId::new(format!("gen-{number:06}-{:x}", random.random::<u64>())).expect("an id"),
        generation_date: day,
        total_cost,
        cost_text: total_cost.to_string(),
        // Replaced by the rate of the organization; the default is the same.
        markup_rate: MarkupRate::parse("1.3").expect("a rate"),
        openrouter_user_id: openrouter_user_id(organization, &user).expect("an id"),
        user_id: user,
        model_name: ModelName::new(MODELS[random.random_range(0..MODELS.len())]).expect("a name"),
        requested_model: None,
        serving_provider: None,
        input_tokens: random.random_range(0..5_000),
        output_tokens: random.random_range(0..900),
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        is_byok: false,
        tokens_estimated: false,
        streamed: random.random(),
        source: UsageSource::Gateway,
        gateway_key_id: None,
        started_at: UnixTime::from_seconds(calendar.start_of(day).seconds() + 60),
        task: None,
    }
}
