//! The tables of this crate as Diesel sees them. The migrations are the source.

#![expect(missing_docs, reason = "the columns are described by the fields of the row structs")]

diesel::table! {
    /// The tables A of NBP, with the mid rate of the US dollar only.
    nbp_rates (effective_date) {
        effective_date -> Date,
        table_no -> Text,
        mid -> BigInt,
        fetched_at -> BigInt,
    }
}

diesel::table! {
    /// One row: of which days it is known whether NBP published a table.
    nbp_calendar (id) {
        id -> BigInt,
        known_from -> Nullable<Date>,
        known_through -> Nullable<Date>,
    }
}
