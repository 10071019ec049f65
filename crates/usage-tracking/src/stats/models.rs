//! Usage by model and by provider: everything that was used, and the catalogue.

use std::collections::{BTreeMap, HashMap, HashSet};

use mai_model_prices::{CATALOGUE, provider_name};
use mai_primitives::{ModelName, OrganizationId, Pln, Usd, UsdPlnRate, ratio, text::sortable};
use mai_storage::DbConnection;

use crate::{
    day_set::DaySet,
    error::Result,
    listing::{Item, SortKey},
    pln,
    query::{self, ModelSums},
    range::DayRange,
    totals::Totals,
};

/// Usage of a model over a range of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelUsage {
    /// The model.
    pub model_name: ModelName,
    /// The display name of its author.
    pub provider: Option<String>,
    /// The sums.
    pub totals: Totals,
    /// What the client is charged, as the sum of the rounded days of each model in PLN; none where no rate
    /// is known.
    pub cost_pln: Option<Pln>,
    /// Days with usage.
    pub days_used: i64,
    /// Those of them that have no rate of their own yet.
    pub days_estimated: i64,
    /// Whether the model is offered.
    pub in_catalogue: bool,
    /// The part of the organization's client price in the range, in parts per million. None where
    /// nothing was charged.
    pub share_ppm: Option<i64>,
}

/// Usage of all models of one author over a range of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderUsage {
    /// What stands before the `/` of the models' names; none for models without it.
    pub slug: Option<String>,
    /// The display name.
    pub name: Option<String>,
    /// How many of its models were used.
    pub models_used: i64,
    /// The sums.
    pub totals: Totals,
    /// What the client is charged, as the sum of the rounded days of each model in PLN; none where no rate
    /// is known.
    pub cost_pln: Option<Pln>,
    /// Days with usage.
    pub days_used: i64,
    /// Those of them that have no rate of their own yet.
    pub days_estimated: i64,
    /// The part of the organization's client price in the range, in parts per million. None where
    /// nothing was charged.
    pub share_ppm: Option<i64>,
}

/// What a list of models or of providers can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ModelSort {
    /// What the client is charged.
    #[default]
    Cost,
    /// Tokens of prompts and answers.
    Tokens,
    /// Generations.
    Requests,
    /// The name.
    Name,
    /// Days with usage.
    DaysUsed,
}

impl ModelSort {
    fn key(self, name: &str, totals: &Totals, days_used: i64) -> SortKey {
        match self {
            Self::Cost => SortKey::Number(totals.markup_cost.nanos()),
            Self::Tokens => SortKey::Number(totals.tokens),
            Self::Requests => SortKey::Number(totals.requests),
            Self::Name => SortKey::Text(sortable(name)),
            Self::DaysUsed => SortKey::Number(days_used),
        }
    }
}

impl Item for ModelUsage {
    type Sort = ModelSort;

    fn id(&self) -> &str {
        self.model_name.as_str()
    }

    fn key(&self, sort: ModelSort) -> SortKey {
        sort.key(self.model_name.as_str(), &self.totals, self.days_used)
    }

    fn texts(&self) -> Vec<&str> {
        [Some(self.model_name.as_str()), self.provider.as_deref()].into_iter().flatten().collect()
    }

    fn totals(&self) -> Totals {
        self.totals
    }

    fn cost_pln(&self) -> Option<Pln> {
        self.cost_pln
    }
}

impl Item for ProviderUsage {
    type Sort = ModelSort;

    fn id(&self) -> &str {
        self.slug.as_deref().unwrap_or_default()
    }

    fn key(&self, sort: ModelSort) -> SortKey {
        sort.key(self.name.as_deref().unwrap_or_default(), &self.totals, self.days_used)
    }

    fn texts(&self) -> Vec<&str> {
        [self.name.as_deref(), self.slug.as_deref()].into_iter().flatten().collect()
    }

    fn totals(&self) -> Totals {
        self.totals
    }

    fn cost_pln(&self) -> Option<Pln> {
        self.cost_pln
    }
}

/// Every model with usage in the range, the greatest client price first and then by name, so that the
/// sums are the organization's; then the models of the catalogue without usage, in its order.
pub(crate) fn read(
    conn: &mut DbConnection,
    org: &OrganizationId,
    range: DayRange,
    current: Option<UsdPlnRate>,
) -> Result<Vec<ModelUsage>> {
    let mut used = query::by_model(conn, org, range.from(), range.to(), current)?;
    used.sort_by(|a, b| {
        b.totals.markup_cost.cmp(&a.totals.markup_cost).then_with(|| a.model_name.cmp(&b.model_name))
    });
    let whole = Totals::sum(used.iter().map(|one| one.totals))?.markup_cost;
    let offered: HashSet<&str> = CATALOGUE.iter().map(|model| model.id).collect();
    let known: HashSet<ModelName> = used.iter().map(|one| one.model_name.clone()).collect();
    let idle = CATALOGUE.iter().filter_map(|model| ModelName::new(model.id).ok());
    let idle = idle.filter(|name| !known.contains(name)).map(|model_name| ModelSums {
        model_name,
        totals: Totals::default(),
        cost_pln: current.map(|_| Pln::ZERO),
        days_used: 0,
        days_estimated: 0,
    });
    let item = |ModelSums { model_name, totals, cost_pln, days_used, days_estimated }| ModelUsage {
        provider: model_name.author().map(|slug| provider_name(slug).to_owned()),
        in_catalogue: offered.contains(model_name.as_str()),
        share_ppm: share(&totals, whole),
        model_name,
        totals,
        cost_pln,
        days_used,
        days_estimated,
    };
    Ok(used.into_iter().chain(idle).map(item).collect())
}

/// The models of [`read`] by their authors, by slug. An author's name may belong to several slugs.
pub(crate) fn read_providers(
    conn: &mut DbConnection,
    org: &OrganizationId,
    range: DayRange,
    current: Option<UsdPlnRate>,
) -> Result<Vec<ProviderUsage>> {
    let models = read(conn, org, range, current)?;
    let whole = Totals::sum(models.iter().map(|model| model.totals))?.markup_cost;
    let mut days: HashMap<Option<String>, DaySet> = HashMap::new();
    for (model, used) in query::days_of_models(conn, org, range.from(), range.to())? {
        days.entry(model.author().map(str::to_owned)).or_default().union(&used);
    }
    let mut estimated = DaySet::default();
    for row in query::daily_rows(conn, org, range.from(), range.to())? {
        if row.usd_pln_rate.is_none() {
            estimated.insert(row.usage_date);
        }
    }
    let mut providers: BTreeMap<Option<String>, ProviderUsage> = BTreeMap::new();
    for model in models {
        let slug = model.model_name.author().map(str::to_owned);
        let provider = providers.entry(slug.clone()).or_insert_with(|| ProviderUsage {
            name: model.provider,
            models_used: 0,
            totals: Totals::default(),
            cost_pln: Some(Pln::ZERO),
            days_used: days.get(&slug).map_or(0, DaySet::count),
            days_estimated: days.get(&slug).map_or(0, |days| days.shared(&estimated)),
            share_ppm: None,
            slug,
        });
        provider.models_used += i64::from(model.totals.requests > 0);
        provider.totals = provider.totals.checked_add(model.totals)?;
        provider.cost_pln = pln::add(provider.cost_pln, model.cost_pln)?;
    }
    for provider in providers.values_mut() {
        provider.share_ppm = share(&provider.totals, whole);
    }
    Ok(providers.into_values().collect())
}

/// The part of `whole` that the client is charged for `totals`.
pub(crate) fn share(totals: &Totals, whole: Usd) -> Option<i64> {
    ratio::parts_per_million(totals.markup_cost.nanos(), whole.nanos())
}
