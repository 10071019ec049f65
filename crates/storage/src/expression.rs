//! SQL expressions that Diesel's own language lacks.

use diesel::{
    backend::Backend,
    expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate},
    query_builder::{AstPass, QueryFragment, QueryId},
    result::QueryResult,
    sql_types::BigInt,
};

/// `COALESCE(CAST(SUM(x) AS BIGINT), 0)`.
///
/// Diesel's own `sum` of a BIGINT is a NUMERIC, which the common backend of both databases does not
/// have. A sum beyond 64 bits is an error on both, never a rounded number.
pub fn sum_i64<E: Expression<SqlType = BigInt>>(expression: E) -> SumI64<E> {
    SumI64(expression)
}

/// The expression made by [`sum_i64`].
#[derive(Debug, Clone, Copy, QueryId)]
pub struct SumI64<E>(E);

impl<E: Expression> Expression for SumI64<E> {
    type SqlType = BigInt;
}

impl<E, GroupBy> ValidGrouping<GroupBy> for SumI64<E> {
    type IsAggregate = is_aggregate::Yes;
}

impl<E: AppearsOnTable<Source>, Source> AppearsOnTable<Source> for SumI64<E> where Self: Expression {}

impl<E: SelectableExpression<Source>, Source> SelectableExpression<Source> for SumI64<E> where
    Self: AppearsOnTable<Source>
{
}

impl<E: QueryFragment<DB>, DB: Backend> QueryFragment<DB> for SumI64<E> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("COALESCE(CAST(SUM(");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(") AS BIGINT), 0)");
        Ok(())
    }
}
