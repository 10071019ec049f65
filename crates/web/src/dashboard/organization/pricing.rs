//! What models cost the organization: its own price, with its markup.

use actix_web::HttpResponse;
use askama::Template;
use mai_model_prices::{ModelPrice, Source};
use mai_primitives::{Usd, display, text::sortable};

use super::{Here, choices};
use crate::{
    api::{
        ApiError,
        model_pricing::{ClientPrices, is_in_catalogue},
    },
    dashboard::{
        figures::Notice,
        format,
        frame::{Frame, Link, Tab},
        table::{Head, Pager, Search, Sortable, Sorting, paged},
        visit::{Visit, page},
    },
};

/// By what prices are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Provider,
    Name,
    Input,
    Output,
    Context,
}

const COLUMNS: [Sortable<Sort>; 5] = [
    ("provider", Sort::Provider, false),
    ("name", Sort::Name, false),
    ("input", Sort::Input, true),
    ("output", Sort::Output, true),
    ("context", Sort::Context, true),
];

const LISTS: [(&str, &str); 2] = [("catalogue", "pricing-catalogue"), ("all", "pricing-all")];

/// The categories, with their texts as a choice of models.
const CATEGORY_CHOICES: [(&str, &str); 5] = [
    ("Budget", "category-all-budget"),
    ("Standard", "category-all-standard"),
    ("Fast", "category-all-fast"),
    ("Premium", "category-all-premium"),
    ("Reasoning", "category-all-reasoning"),
];

/// The categories, with their texts and classes at a model.
const CATEGORIES: [(&str, &str); 5] = [
    ("Budget", "category-budget"),
    ("Standard", "category-standard"),
    ("Fast", "category-fast"),
    ("Premium", "category-premium"),
    ("Reasoning", "category-reasoning"),
];

#[derive(Template)]
#[template(path = "pricing.html")]
struct Page {
    frame: Frame,
    notices: Vec<Notice>,
    lists: Vec<Link>,
    categories: Vec<Link>,
    search: Search,
    heads: Vec<Head>,
    rows: Vec<Row>,
    pager: Pager,
    count: String,
    updated: Option<String>,
}

/// A model with its prices of a million tokens.
struct Priced {
    name: String,
    id: String,
    provider: String,
    input: Option<Usd>,
    output: Option<Usd>,
    context: Option<i64>,
    category: Option<&'static str>,
    is_variable: bool,
}

struct Row {
    name: String,
    id: String,
    provider: String,
    input: String,
    output: String,
    context: String,
    /// The class and the text.
    category: Option<(&'static str, String)>,
}

/// The page.
pub(super) async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Pricing).await?;
    let sorting = Sorting::of(&visit.address, &COLUMNS)?;
    let frame = here.frame(visit).await?;
    let list = visit.api.model_prices.prices().current();
    let now = visit.now();
    let (all, code) = match visit.address.get("list") {
        None | Some("catalogue") => (false, "catalogue"),
        Some("all") => (true, "all"),
        Some(_) => return Err(ApiError::field("list", "must be catalogue or all")),
    };
    let prices = ClientPrices::of(here.organization.markup_rate);
    let offered = list.models().iter().filter(|model| all || is_in_catalogue(model));
    let mut models = offered.map(|model| priced(prices, model)).collect::<Result<Vec<_>, _>>()?;
    let category = visit.address.get("category");
    if category.is_some_and(|asked| CATEGORIES.iter().all(|(known, _)| *known != asked)) {
        return Err(ApiError::field("category", "is no category of models"));
    }
    let text = visit.address.get("search").map(str::to_lowercase).unwrap_or_default();
    models.retain(|model| {
        let texts = [&model.name, &model.id, &model.provider];
        (text.is_empty() || texts.into_iter().any(|one| one.to_lowercase().contains(&text)))
            && category.is_none_or(|category| model.category == Some(category))
    });
    sort(&mut models, sorting);
    let count = i64::try_from(models.len()).unwrap_or(i64::MAX);
    let (shown, pager) = paged(models, &visit.address, &frame)?;
    let head = |key: &str, column| sorting.head(&visit.address, frame.t(key), column);
    let [provider, name, input, output, context] = COLUMNS;
    let page_ = Page {
        heads: vec![
            head("model", name),
            head("provider", provider),
            head("price-input", input),
            head("price-output", output),
            head("context", context),
            Head::plain(frame.t("category"), false),
        ],
        notices: notices(&frame, list.source(now)),
        lists: choices(visit, "list", code, &LISTS),
        categories: categories(visit, category),
        search: Search::of(visit, &frame.t("models-search")),
        rows: shown.into_iter().map(|model| row(&frame, model)).collect(),
        pager,
        count: frame.language.count("pricing-count", count),
        updated: list.fetched_at().map(|at| {
            let instant = format::instant(frame.language, here.organization.calendar, at);
            let ago = format::ago(frame.language, now, at);
            frame.language.with_all("pricing-updated", &[("at", &instant), ("ago", &ago)])
        }),
        frame,
    };
    page(&page_)
}

fn priced(prices: ClientPrices, model: &ModelPrice) -> Result<Priced, ApiError> {
    let (input, output) = prices.per_million(model)?;
    Ok(Priced {
        name: model.name.clone(),
        id: model.id.to_string(),
        provider: model.provider().to_owned(),
        input,
        output,
        context: model.context_length,
        category: model.category,
        is_variable: model.pricing.is_none(),
    })
}

/// Whichever way a column is sorted, equal ones are by name.
fn sort(models: &mut [Priced], sorting: Sorting<Sort>) {
    models.sort_by_cached_key(|model| (sortable(&model.name), model.id.clone()));
    let by = |one: &Priced, other: &Priced| match sorting.by {
        Sort::Provider => sortable(&one.provider).cmp(&sortable(&other.provider)),
        Sort::Name => sortable(&one.name).cmp(&sortable(&other.name)),
        Sort::Input => one.input.cmp(&other.input),
        Sort::Output => one.output.cmp(&other.output),
        Sort::Context => one.context.cmp(&other.context),
    };
    models.sort_by(|one, other| if sorting.is_descending { by(other, one) } else { by(one, other) });
}

fn notices(frame: &Frame, source: Source) -> Vec<Notice> {
    let key = match source {
        Source::HardcodedFallback => "pricing-built-in",
        Source::CacheFallback => "pricing-old",
        Source::OpenrouterApi => return Vec::new(),
    };
    vec![Notice { kind: "warning", text: frame.t(key) }]
}

fn categories(visit: &Visit, chosen: Option<&str>) -> Vec<Link> {
    let all = Link {
        href: visit.address.with(&[("category", ""), ("page", "")]).link(),
        label: visit.language.text("category-all"),
        is_current: chosen.is_none(),
    };
    let mut links = vec![all];
    links.extend(choices(visit, "category", chosen.unwrap_or_default(), &CATEGORY_CHOICES));
    links
}

fn row(frame: &Frame, model: Priced) -> Row {
    let price = |price: Option<Usd>| match price {
        _ if model.is_variable => frame.t("pricing-variable"),
        Some(price) => display::usd(price),
        None => "–".to_owned(),
    };
    let category = model.category.and_then(|code| CATEGORIES.into_iter().find(|(known, _)| *known == code));
    Row {
        input: price(model.input),
        output: price(model.output),
        context: model.context.map_or_else(|| "–".to_owned(), |tokens| frame.number(tokens)),
        category: category.map(|(_, key)| (key, frame.language.text(key))),
        name: model.name,
        id: model.id,
        provider: model.provider,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priced(name: &str, provider: &str, input: Option<i64>) -> Priced {
        Priced {
            name: name.to_owned(),
            id: name.to_lowercase(),
            provider: provider.to_owned(),
            input: input.map(Usd::from_nanos),
            output: None,
            context: None,
            category: None,
            is_variable: false,
        }
    }

    #[test]
    fn ties_go_by_name_whichever_way_a_column_is_sorted() {
        let mut models = vec![
            priced("łódź", "b", Some(2)),
            priced("Zebra", "a", Some(1)),
            priced("lew", "a", Some(2)),
            priced("Żaba", "b", None),
        ];
        let mut sorted = |by, is_descending| {
            sort(&mut models, Sorting { by, is_descending });
            models.iter().map(|model| model.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(sorted(Sort::Input, false), ["Żaba", "Zebra", "lew", "łódź"]);
        assert_eq!(sorted(Sort::Input, true), ["lew", "łódź", "Zebra", "Żaba"]);
        assert_eq!(sorted(Sort::Provider, true), ["łódź", "Żaba", "lew", "Zebra"]);
        assert_eq!(sorted(Sort::Output, true), ["lew", "łódź", "Zebra", "Żaba"]);
        assert_eq!(sorted(Sort::Name, true), ["Żaba", "Zebra", "łódź", "lew"]);
    }
}
