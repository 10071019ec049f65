//! What the members ask for on a day. Weekdays are busier than weekends, each month busier than the
//! one before, some members ask much and some little, and each has models that they like.

use chrono::{Datelike as _, Weekday};
use mai_organization::usage_tracking::{CATALOGUE, CatalogueModel};
use mai_primitives::{GenerationId, IdError, ModelName, OrganizationCalendar, UnixTime, UsageDate, Usd};

use crate::{
    people::{Member, Organization},
    random::Random,
};

/// A model of the catalogue with its prices as whole numbers.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) name: ModelName,
    pub(crate) provider: &'static str,
    /// Nano-dollars for a token of the prompt.
    input_price: i64,
    /// Nano-dollars for a token of the answer.
    output_price: i64,
    thinks: bool,
}

/// The models of the catalogue in the order of their names, which is that of the rows.
pub(crate) fn models() -> Result<Vec<Model>, IdError> {
    let mut models = CATALOGUE.iter().map(model).collect::<Result<Vec<Model>, IdError>>()?;
    models.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(models)
}

fn model(model: &CatalogueModel) -> Result<Model, IdError> {
    // The catalogue's prices are decimals for a million tokens, and a million nano-dollars are a
    // thousandth of a dollar.
    let price = |text| Usd::parse(text).map_or(0, |price| price.nanos() / 1_000_000);
    Ok(Model {
        name: ModelName::new(model.id)?,
        provider: model.provider(),
        input_price: price(model.input_price),
        output_price: price(model.output_price),
        thinks: ["openai/o3", "openai/o4-mini-high", "x-ai/grok-4", "google/gemini-2.5-pro"]
            .contains(&model.id),
    })
}

/// One generation, before it is priced for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The member's place in the organization.
    pub(crate) member: usize,
    /// The model's place in [`models`].
    pub(crate) model: usize,
    pub(crate) input_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) cached_tokens: Option<i64>,
    pub(crate) reasoning_tokens: Option<i64>,
    pub(crate) cost: Usd,
    pub(crate) streamed: bool,
    pub(crate) started_at: UnixTime,
    number: u64,
}

impl Request {
    /// In the form of OpenRouter's ids.
    pub(crate) fn id(&self) -> Result<GenerationId, IdError> {
        GenerationId::new(format!("gen-{}-{:016x}", self.started_at.seconds(), self.number))
    }
}

/// The days of a plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Days {
    pub(crate) seed: u64,
    pub(crate) end: UsageDate,
    pub(crate) calendar: OrganizationCalendar,
}

impl Days {
    /// The requests of an organization `age` days before the end, by member. They follow from the
    /// seed, the organization and the day, whatever other days are made.
    pub(crate) fn requests(&self, organization: &Organization, models: &[Model], age: u64) -> Vec<Request> {
        let day = self.end.minus_days(age);
        let mut random = Random::keyed(&[self.seed, organization.number, age, 1]);
        let midnight = self.calendar.start_of(day);
        let mut requests = Vec::new();
        for (place, member) in organization.members.iter().enumerate() {
            for _ in 0..count(member, day, age, &mut random) {
                requests.push(request(place, member, models, midnight, &mut random));
            }
        }
        requests
    }
}

/// How many requests a member makes on a day.
fn count(member: &Member, day: UsageDate, age: u64, random: &mut Random) -> u64 {
    if !member.is_there(age) {
        return 0;
    }
    let percent_of_weekday = match day.date().weekday() {
        Weekday::Mon | Weekday::Fri => 85,
        Weekday::Tue | Weekday::Wed | Weekday::Thu => 100,
        Weekday::Sat => 12,
        Weekday::Sun => 8,
    };
    // Usage has grown from two fifths to the present amount within 400 days.
    let permille_of_trend = 1_000 - 600 * age.min(400) / 400;
    let percent_of_mood = 55 + random.below(91);
    let thousandths = member.habit * percent_of_weekday * permille_of_trend * percent_of_mood / 10_000_000;
    // What is left of a whole request decides by chance.
    thousandths / 1_000 + u64::from(random.below(1_000) < thousandths % 1_000)
}

fn request(
    place: usize,
    member: &Member,
    models: &[Model],
    midnight: UnixTime,
    random: &mut Random,
) -> Request {
    let liked = random.weighted(&[45, 27, 16, 12]);
    let model = member.favourites.get(liked).copied().unwrap_or_else(|| random.below(12));
    let model = usize::try_from(model).unwrap_or(0);
    // Products of two numbers: mostly short, now and then long.
    let input_tokens = 60 + amount(random.below(90) * random.below(90));
    let answer = 25 + amount(random.below(40) * random.below(40));
    let chosen = models.get(model);
    let reasoning_tokens = chosen.is_some_and(|model| model.thinks).then(|| amount(random.below(1_200)));
    let output_tokens = answer + reasoning_tokens.unwrap_or(0);
    let cached_tokens = (random.below(100) < 20).then_some(input_tokens / 2);
    let (input_price, output_price) = chosen.map_or((0, 0), |model| (model.input_price, model.output_price));
    let cost = Usd::from_nanos(input_tokens * input_price + output_tokens * output_price);
    // From seven in the morning, mostly until the afternoon, never beyond the shortest day.
    let seconds = 7 * 3_600 + amount(random.below(600) * 60 + random.below(240) * random.below(60));
    Request {
        member: place,
        model,
        input_tokens,
        output_tokens,
        cached_tokens,
        reasoning_tokens,
        cost,
        streamed: random.below(100) < 85,
        started_at: midnight.plus_seconds(seconds),
        number: random.next(),
    }
}

/// The numbers that we draw are far below the limit.
fn amount(drawn: u64) -> i64 {
    i64::try_from(drawn).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::people;

    fn days() -> Days {
        Days {
            seed: 1,
            end: UsageDate::parse("2026-03-31").unwrap(),
            calendar: OrganizationCalendar::parse("Europe/Warsaw").unwrap(),
        }
    }

    fn requests(age: u64) -> Vec<Request> {
        days().requests(&people::organization(1, 0, 12).unwrap(), &models().unwrap(), age)
    }

    #[test]
    fn every_request_lies_on_its_local_day_and_has_its_exact_cost() {
        let models = models().unwrap();
        let days = days();
        // Age 2 is the short day of 29 March 2026 on which summer time begins.
        for age in [0, 2, 157, 400] {
            for request in requests(age) {
                let at = chrono::DateTime::from_timestamp(request.started_at.seconds(), 0).unwrap();
                assert_eq!(days.calendar.usage_date(at), days.end.minus_days(age));
                let model = &models[request.model];
                let cost =
                    request.input_tokens * model.input_price + request.output_tokens * model.output_price;
                assert_eq!(request.cost, Usd::from_nanos(cost));
                assert!(cost > 0);
            }
        }
        let sonnet = models.iter().find(|model| model.name.as_str() == "anthropic/claude-sonnet-4").unwrap();
        // 8.00 USD for a million tokens are 8,000 nano-dollars for one.
        assert_eq!((sonnet.input_price, sonnet.output_price), (8_000, 24_000));
    }

    #[test]
    fn weekdays_are_busier_than_weekends_and_usage_grows() {
        let sum = |ages: std::ops::Range<u64>, weekend: bool| -> usize {
            let is_weekend = |age: &u64| {
                matches!(days().end.minus_days(*age).date().weekday(), Weekday::Sat | Weekday::Sun)
            };
            ages.filter(|age| is_weekend(age) == weekend).map(|age| requests(age).len()).sum()
        };
        assert!(sum(0..28, false) > 10 * sum(0..28, true));
        assert!(2 * sum(0..28, false) > 3 * sum(360..388, false));
    }

    #[test]
    fn some_ask_much_some_little_and_all_models_are_used() {
        let members = people::organization(1, 0, 12).unwrap().members;
        let all: Vec<Request> = (0..60).flat_map(requests).collect();
        let asked = |place| all.iter().filter(|request| request.member == place).count();
        let by_habit = |habit| members.iter().position(|member| member.habit == habit).unwrap();
        assert!(asked(by_habit(34_000)) > 50 * asked(by_habit(250)).max(1));
        let used: HashSet<_> = all.iter().map(|request| request.model).collect();
        assert_eq!(used.len(), 12);
        let left = members.iter().position(|member| member.left.is_some()).unwrap();
        assert_eq!(asked(left), 0);
        assert!(requests(100).iter().any(|request| request.member == left));
    }

    #[test]
    fn ids_are_unique() {
        let all: Vec<_> = (0..200).flat_map(requests).map(|request| request.id().unwrap()).collect();
        let unique: HashSet<_> = all.iter().collect();
        assert_eq!(unique.len(), all.len());
    }
}
