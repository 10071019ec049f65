//! The same types as columns, written once for every database that knows the plain type.

use diesel::{
    backend::Backend,
    deserialize::{self, FromSql},
    serialize::{self, Output, ToSql},
    sql_types::{BigInt, Date},
};

use crate::{MarkupRate, Pln, UnixTime, UsageDate, Usd, UsdPlnRate};

/// A newtype over text whose `new` checks; what the database holds was checked when it went in, and
/// is checked again.
macro_rules! text_column {
    ($name:ident) => {
        impl<DB> diesel::serialize::ToSql<diesel::sql_types::Text, DB> for $name
        where
            DB: diesel::backend::Backend,
            str: diesel::serialize::ToSql<diesel::sql_types::Text, DB>,
        {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, DB>,
            ) -> diesel::serialize::Result {
                diesel::serialize::ToSql::<diesel::sql_types::Text, DB>::to_sql(self.as_str(), out)
            }
        }

        impl<DB> diesel::deserialize::FromSql<diesel::sql_types::Text, DB> for $name
        where
            DB: diesel::backend::Backend,
            String: diesel::deserialize::FromSql<diesel::sql_types::Text, DB>,
        {
            fn from_sql(bytes: DB::RawValue<'_>) -> diesel::deserialize::Result<Self> {
                let text =
                    <String as diesel::deserialize::FromSql<diesel::sql_types::Text, DB>>::from_sql(bytes)?;
                Ok(Self::new(text)?)
            }
        }
    };
}
pub(crate) use text_column;

macro_rules! number_column {
    ($name:ident, $read:expr) => {
        impl<DB: Backend> ToSql<BigInt, DB> for $name
        where
            i64: ToSql<BigInt, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                ToSql::<BigInt, DB>::to_sql(self.as_number(), out)
            }
        }

        impl<DB: Backend> FromSql<BigInt, DB> for $name
        where
            i64: FromSql<BigInt, DB>,
        {
            fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
                let read: fn(i64) -> deserialize::Result<Self> = $read;
                read(<i64 as FromSql<BigInt, DB>>::from_sql(bytes)?)
            }
        }
    };
}

number_column!(Usd, |nanos| Ok(Usd::from_nanos(nanos)));
number_column!(Pln, |grosz| Ok(Pln::from_grosz(grosz)));
number_column!(UnixTime, |seconds| Ok(UnixTime::from_seconds(seconds)));
number_column!(MarkupRate, |ppm| Ok(MarkupRate::from_ppm(ppm)?));
number_column!(UsdPlnRate, |steps| Ok(UsdPlnRate::from_ten_thousandths(steps)?));

impl<DB: Backend> ToSql<Date, DB> for UsageDate
where
    chrono::NaiveDate: ToSql<Date, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        ToSql::<Date, DB>::to_sql(self.as_date(), out)
    }
}

impl<DB: Backend> FromSql<Date, DB> for UsageDate
where
    chrono::NaiveDate: FromSql<Date, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        <chrono::NaiveDate as FromSql<Date, DB>>::from_sql(bytes).map(UsageDate::new)
    }
}
