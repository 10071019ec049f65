//! The tables of this crate as Diesel sees them. The migrations are the source.

#![expect(missing_docs, reason = "the columns are described by the fields of the row structs")]

diesel::table! {
    /// The ledger: one row per generation.
    processed_generations (client_org_id, id) {
        client_org_id -> Text,
        id -> Text,
        generation_date -> Date,
        processed_at -> BigInt,
        total_cost -> BigInt,
        total_tokens -> BigInt,
        markup_cost -> BigInt,
        markup_rate -> BigInt,
        cost_text -> Text,
        user_id -> Text,
        openrouter_user_id -> Text,
        model_name -> Text,
        requested_model -> Nullable<Text>,
        serving_provider -> Nullable<Text>,
        input_tokens -> BigInt,
        output_tokens -> BigInt,
        cached_tokens -> Nullable<BigInt>,
        cache_write_tokens -> Nullable<BigInt>,
        reasoning_tokens -> Nullable<BigInt>,
        is_byok -> Bool,
        tokens_estimated -> Bool,
        streamed -> Bool,
        source -> Text,
        tokens_source -> Text,
        gateway_key_id -> Nullable<Text>,
        task -> Nullable<Text>,
        started_at -> BigInt,
    }
}

diesel::table! {
    /// Reports that differ from what was booked, and pending generations that a person dismissed.
    generation_audit (client_org_id, generation_id, id) {
        client_org_id -> Text,
        generation_id -> Text,
        id -> Text,
        action -> Text,
        reason -> Nullable<Text>,
        booked_source -> Nullable<Text>,
        booked_tokens_source -> Nullable<Text>,
        booked_cost -> Nullable<BigInt>,
        booked_input_tokens -> Nullable<BigInt>,
        booked_output_tokens -> Nullable<BigInt>,
        booked_tokens_estimated -> Nullable<Bool>,
        booked_model_name -> Nullable<Text>,
        booked_user_id -> Nullable<Text>,
        booked_date -> Nullable<Date>,
        booked_markup_rate -> Nullable<BigInt>,
        reported_source -> Nullable<Text>,
        reported_cost -> Nullable<BigInt>,
        reported_input_tokens -> Nullable<BigInt>,
        reported_output_tokens -> Nullable<BigInt>,
        reported_tokens_estimated -> Nullable<Bool>,
        reported_model_name -> Nullable<Text>,
        reported_user_id -> Nullable<Text>,
        reported_date -> Nullable<Date>,
        reported_markup_rate -> Nullable<BigInt>,
        created_at -> BigInt,
    }
}

diesel::table! {
    /// Generations that were started and whose exact cost is not known yet.
    pending_generations (client_org_id, id) {
        client_org_id -> Text,
        id -> Text,
        generation_date -> Date,
        user_id -> Text,
        openrouter_user_id -> Text,
        requested_model -> Nullable<Text>,
        markup_rate -> BigInt,
        streamed -> Bool,
        gateway_key_id -> Nullable<Text>,
        task -> Nullable<Text>,
        started_at -> BigInt,
        reason -> Text,
        state -> Text,
        attempts -> Integer,
        next_attempt_at -> BigInt,
        last_error -> Nullable<Text>,
        created_at -> BigInt,
        updated_at -> BigInt,
        reservation -> Nullable<BigInt>,
    }
}

diesel::table! {
    /// Calls that upstream refused or failed and did not charge.
    failed_calls (client_org_id, id) {
        client_org_id -> Text,
        id -> Text,
        usage_date -> Date,
        user_id -> Text,
        requested_model -> Nullable<Text>,
        status -> Integer,
        reason -> Text,
        started_at -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    /// One row per run of the ledger's cleanup.
    processed_generation_cleanup_log (id) {
        id -> BigInt,
        cleanup_date -> Date,
        cutoff_date -> Date,
        days_retained -> Integer,
        records_before -> BigInt,
        records_deleted -> BigInt,
        records_remaining -> BigInt,
        old_tokens_removed -> BigInt,
        old_cost_removed -> BigInt,
        storage_saved_bytes -> BigInt,
        cleanup_duration_ms -> BigInt,
        success -> Bool,
        error_message -> Nullable<Text>,
        created_at -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(processed_generations, pending_generations);
