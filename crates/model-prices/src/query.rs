//! The stored list; each query runs inside of the caller's transaction.

use diesel::prelude::*;
use mai_openrouter::{ListedModel, ModelPricing};
use mai_primitives::{ModelName, UnixTime};
use mai_storage::{BATCH_ROWS, DbConnection, lock_alone, on_backend};

use crate::{
    error::{Error, Result},
    list::PriceList,
    price::ModelPrice,
    schema::{model_price_list, model_prices},
};

/// Who replaces the list is alone.
const LOCK: &str = "model prices";

/// A model as it is stored.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = model_prices, treat_none_as_default_value = false)]
struct Row {
    model_id: ModelName,
    canonical_slug: Option<ModelName>,
    name: String,
    context_length: Option<i64>,
    max_completion_tokens: Option<i64>,
    pricing: String,
}

impl From<&ListedModel> for Row {
    fn from(model: &ListedModel) -> Self {
        Self {
            model_id: model.id.clone(),
            canonical_slug: model.canonical_slug.clone(),
            name: model.name.clone(),
            context_length: model.context_length,
            max_completion_tokens: model.max_completion_tokens,
            pricing: model.pricing_text.clone(),
        }
    }
}

impl Row {
    fn price(self) -> Result<ModelPrice> {
        let pricing = ModelPricing::parse(&self.pricing)
            .map_err(|cause| Error::Stored { model: self.model_id.clone(), cause })?;
        Ok(ModelPrice::new(ListedModel {
            id: self.model_id,
            canonical_slug: self.canonical_slug,
            name: self.name,
            context_length: self.context_length,
            max_completion_tokens: self.max_completion_tokens,
            pricing_text: self.pricing,
            pricing,
        }))
    }
}

/// When the stored list was read; none where there is none.
pub fn fetched_at(conn: &mut DbConnection) -> Result<Option<UnixTime>> {
    Ok(model_price_list::table.select(model_price_list::fetched_at).first(conn).optional()?)
}

/// The stored list, unless it is the one that was read at `known`.
pub fn load_other(conn: &mut DbConnection, known: Option<UnixTime>) -> Result<Option<PriceList>> {
    let Some(at) = fetched_at(conn)?.filter(|at| Some(*at) != known) else { return Ok(None) };
    let rows: Vec<Row> = model_prices::table.select(Row::as_select()).load(conn)?;
    let models = rows.into_iter().map(Row::price).collect::<Result<_>>()?;
    Ok(Some(PriceList::new(at, models)))
}

/// Stores a list in place of the one before. False where a younger one is stored.
pub fn replace(conn: &mut DbConnection, models: &[ListedModel], at: UnixTime) -> Result<bool> {
    lock_alone(conn, LOCK)?;
    if fetched_at(conn)?.is_some_and(|stored| stored > at) {
        return Ok(false);
    }
    diesel::delete(model_prices::table).execute(conn)?;
    let rows: Vec<Row> = models.iter().map(Row::from).collect();
    for rows in rows.chunks(BATCH_ROWS) {
        on_backend!(conn, inner => diesel::insert_into(model_prices::table).values(rows).execute(inner))?;
    }
    on_backend!(conn, inner => diesel::insert_into(model_price_list::table)
        .values((model_price_list::id.eq(1), model_price_list::fetched_at.eq(at)))
        .on_conflict(model_price_list::id)
        .do_update()
        .set(model_price_list::fetched_at.eq(at))
        .execute(inner))?;
    Ok(true)
}
