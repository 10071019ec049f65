//! The database converts and rounds exactly as [`UsdPlnRate::convert`] does.

use diesel::{
    IntoSql, RunQueryDsl,
    sql_types::{BigInt, Nullable},
};
use mai_primitives::{Pln, Usd, UsdPlnRate};
use mai_storage::{DbConnection, Result, Storage, testing::TestDb};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::sum_pln;

/// The sum over one row.
fn in_sql(storage: &Storage, cost: i64, rate: Option<i64>, current: Option<UsdPlnRate>) -> Option<Pln> {
    let found = storage.read_blocking(move |conn: &mut DbConnection| -> Result<Option<Pln>> {
        let sum = sum_pln(cost.into_sql::<BigInt>(), rate.into_sql::<Nullable<BigInt>>(), current);
        Ok(diesel::select(sum).get_result(conn)?)
    });
    found.unwrap()
}

fn rate(steps: i64) -> UsdPlnRate {
    UsdPlnRate::from_ten_thousandths(steps).unwrap()
}

#[test]
fn the_edges_are_exact() {
    TestDb::each(|storage| {
        let costs = [0, 1, 999_999, 1_000_000, 11_250_000, 11_249_999, 123_456_789_012_345, i64::MAX];
        let negative = costs.map(|cost| -cost);
        for cost in costs.into_iter().chain(negative).chain([i64::MIN]) {
            for steps in [1, 9_999, 36_376, 40_000, 999_999] {
                let expected = rate(steps).convert(Usd::from_nanos(cost));
                assert!(expected.is_some());
                assert_eq!(in_sql(storage, cost, Some(steps), None), expected, "{cost} {steps}");
            }
        }
    });
}

#[test]
fn a_row_without_a_rate_takes_the_present_one_or_is_unknown() {
    TestDb::each(|storage| {
        let cost = 1_000_000_000;
        assert_eq!(in_sql(storage, cost, None, Some(rate(40_000))), Some(Pln::from_grosz(400)));
        assert_eq!(in_sql(storage, cost, Some(30_000), Some(rate(40_000))), Some(Pln::from_grosz(300)));
        assert_eq!(in_sql(storage, cost, None, None), None);
    });
}

#[test]
fn any_amount_is_converted_as_the_type_converts_it() {
    TestDb::each(|storage| {
        // Amounts of all sizes, also such that end in half a grosz.
        let cost = prop_oneof![
            any::<i64>(),
            -2_000_000_000..2_000_000_000_i64,
            (-1_000_000..1_000_000_i64).prop_map(|half| half * 1_250_000),
        ];
        let checked = TestRunner::default().run(&(cost, 1..1_000_000_i64), |(cost, steps)| {
            let expected = rate(steps).convert(Usd::from_nanos(cost));
            prop_assert_eq!(in_sql(storage, cost, Some(steps), None), expected);
            Ok(())
        });
        checked.unwrap();
    });
}
