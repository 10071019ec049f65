//! The tables of this crate as Diesel sees them. The migrations are the source.

#![expect(missing_docs, reason = "the columns are described by the fields of the row structs")]

diesel::table! {
    /// Who does the daily run now.
    batch_lease (id) {
        /// Always 1.
        id -> Integer,
        holder -> Nullable<Text>,
        token -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    /// Daily runs.
    batch_runs (id) {
        id -> Text,
        processing_date -> Date,
        started_by -> Text,
        is_forced -> Bool,
        status -> Text,
        process -> Text,
        started_at -> BigInt,
        finished_at -> Nullable<BigInt>,
        error -> Nullable<Text>,
    }
}

diesel::table! {
    /// The steps of daily runs.
    batch_steps (run_id, position) {
        run_id -> Text,
        position -> Integer,
        name -> Text,
        is_required -> Bool,
        status -> Text,
        attempts -> Integer,
        process -> Nullable<Text>,
        started_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        duration_ms -> Nullable<BigInt>,
        done -> BigInt,
        total -> Nullable<BigInt>,
        details -> Text,
        error -> Nullable<Text>,
    }
}

diesel::table! {
    /// Days whose daily rows were found equal to the ledger, or made so.
    day_validations (client_org_id, usage_date) {
        client_org_id -> Text,
        usage_date -> Date,
        validated_at -> BigInt,
        corrections -> BigInt,
        seen -> Nullable<Text>,
    }
}

diesel::table! {
    /// Days on which a member or a model stands far outside its own history.
    usage_anomalies (client_org_id, usage_date, subject_kind, subject, measure) {
        client_org_id -> Text,
        usage_date -> Date,
        subject_kind -> Text,
        subject -> Text,
        measure -> Text,
        value -> BigInt,
        median -> BigInt,
        deviation -> BigInt,
        threshold -> BigInt,
        history_days -> Integer,
        raw_cost -> BigInt,
        detected_at -> BigInt,
        acknowledged_at -> Nullable<BigInt>,
        acknowledged_by -> Nullable<Text>,
        note -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(batch_runs, batch_steps);
