//! The tables of this crate as Diesel sees them. The migrations are the source.

#![expect(missing_docs, reason = "the columns are described by the fields of the row structs")]

diesel::table! {
    /// Usage of an organization on one of its local days.
    client_daily_usage (client_org_id, usage_date) {
        client_org_id -> Text,
        usage_date -> Date,
        total_tokens -> BigInt,
        total_requests -> BigInt,
        raw_cost -> BigInt,
        markup_cost -> BigInt,
        primary_model -> Nullable<Text>,
        unique_users -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        usd_pln_rate -> Nullable<BigInt>,
        rate_table_no -> Nullable<Text>,
        rate_effective_date -> Nullable<Date>,
    }
}

diesel::table! {
    /// Usage of a member on one of the organization's local days.
    client_user_daily_usage (client_org_id, usage_date, user_id) {
        client_org_id -> Text,
        usage_date -> Date,
        user_id -> Text,
        openrouter_user_id -> Text,
        total_tokens -> BigInt,
        total_requests -> BigInt,
        raw_cost -> BigInt,
        markup_cost -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    /// Usage of a model on one of the organization's local days.
    client_model_daily_usage (client_org_id, usage_date, model_name) {
        client_org_id -> Text,
        usage_date -> Date,
        model_name -> Text,
        provider -> Nullable<Text>,
        total_tokens -> BigInt,
        total_requests -> BigInt,
        raw_cost -> BigInt,
        markup_cost -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    /// Usage of a member or a model on the days of a month that have their rate.
    client_monthly_usage (client_org_id, kind, usage_month, name) {
        client_org_id -> Text,
        kind -> Text,
        usage_month -> Date,
        name -> Text,
        openrouter_user_id -> Nullable<Text>,
        total_tokens -> BigInt,
        total_requests -> BigInt,
        raw_cost -> BigInt,
        markup_cost -> BigInt,
        cost_pln -> BigInt,
        days -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    /// OpenRouter's own figures of a provider key on a UTC day, beside ours.
    provider_key_usage (client_org_id, usage_date, key_fingerprint) {
        client_org_id -> Text,
        usage_date -> Date,
        key_fingerprint -> Text,
        key_last4 -> Text,
        opening_total -> BigInt,
        latest_daily -> BigInt,
        billed -> Nullable<BigInt>,
        captured -> Nullable<BigInt>,
        read_at -> BigInt,
    }
}

diesel::table! {
    /// The registry of members, as far as the statistics compare it with usage in one query, which Diesel
    /// allows for tables of the same crate only.
    members (client_org_id, user_id) {
        client_org_id -> Text,
        user_id -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(client_user_daily_usage, members);
diesel::allow_tables_to_appear_in_same_query!(client_user_daily_usage, client_daily_usage);
diesel::allow_tables_to_appear_in_same_query!(client_model_daily_usage, client_daily_usage);
