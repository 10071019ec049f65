//! [`sum_pln`]: amounts converted and added by the database, exact in 64-bit integers on both.
//!
//! `cost x rate` of nano-dollars and ten-thousandths leaves 64 bits, where SQLite would go on with a rounded
//! REAL. So the cost is taken apart: with `cost = a * 10^6 + b` and `a * rate = c * 10^5 + d`, the grosz are
//! `c + (d * 10^6 + b * rate) / 10^11`, and only that quotient is rounded, half away from zero. Division and
//! remainder cut towards zero on both databases, so that all parts have the sign of the cost. A rate is less
//! than 10^6 steps, and then no product leaves 64 bits: `a < 9.3 * 10^12`, `d < 10^5` and `b < 10^6`.

use diesel::{
    backend::Backend,
    expression::{
        AppearsOnTable, AsExpression, Expression, SelectableExpression, ValidGrouping, is_aggregate,
    },
    query_builder::{AstPass, QueryFragment, QueryId},
    result::QueryResult,
    sql_types::{BigInt, Nullable},
};
use mai_primitives::UsdPlnRate;

/// The present rate as it is bound.
type Bound = <Option<i64> as AsExpression<Nullable<BigInt>>>::Expression;

/// The sum in grosz of `cost`, in nano-dollars, where each row is converted by its `rate`, or by `current`
/// where that is null, and rounded as [`UsdPlnRate::convert`] rounds. Null where a row has no rate at all:
/// what is not known is not zero. The sum of no rows is 0.
pub fn sum_pln<C, R>(cost: C, rate: R, current: Option<UsdPlnRate>) -> SumPln<C, R>
where
    C: Expression<SqlType = BigInt>,
    R: Expression<SqlType = Nullable<BigInt>>,
{
    let current = AsExpression::<Nullable<BigInt>>::as_expression(current.map(UsdPlnRate::ten_thousandths));
    SumPln { cost, rate, current }
}

/// The expression made by [`sum_pln`].
#[derive(Debug, Clone, Copy, QueryId)]
pub struct SumPln<C, R> {
    cost: C,
    rate: R,
    current: Bound,
}

impl<C, R> Expression for SumPln<C, R> {
    type SqlType = Nullable<BigInt>;
}

impl<C, R, GroupBy> ValidGrouping<GroupBy> for SumPln<C, R> {
    type IsAggregate = is_aggregate::Yes;
}

impl<C: AppearsOnTable<Source>, R: AppearsOnTable<Source>, Source> AppearsOnTable<Source> for SumPln<C, R> {}

impl<C: SelectableExpression<Source>, R: SelectableExpression<Source>, Source> SelectableExpression<Source>
    for SumPln<C, R>
{
}

impl<C, R, DB> QueryFragment<DB> for SumPln<C, R>
where
    C: QueryFragment<DB>,
    R: QueryFragment<DB>,
    Bound: QueryFragment<DB>,
    DB: Backend,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        // `c` and `r` stand for the cost and the rate.
        const TEXT: &str = "CASE WHEN COUNT({r}) = COUNT(*) THEN COALESCE(CAST(SUM(\
            {c} / 1000000 * {r} / 100000 \
            + ({c} / 1000000 * {r} % 100000 * 1000000 + {c} % 1000000 * {r} \
            + CASE WHEN {c} < 0 THEN -50000000000 ELSE 50000000000 END) / 100000000000\
            ) AS BIGINT), 0) END";
        for (index, part) in TEXT.split(['{', '}']).enumerate() {
            match (index % 2, part) {
                (0, text) => out.push_sql(text),
                (_, "c") => self.cost.walk_ast(out.reborrow())?,
                _ => {
                    out.push_sql("COALESCE(");
                    self.rate.walk_ast(out.reborrow())?;
                    out.push_sql(", ");
                    self.current.walk_ast(out.reborrow())?;
                    out.push_sql(")");
                }
            }
        }
        Ok(())
    }
}
