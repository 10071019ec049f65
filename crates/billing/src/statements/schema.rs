//! The tables as Diesel sees them; the migrations say what the columns are.

diesel::table! {
    /// Who sells.
    billing_settings (id) {
        id -> BigInt,
        seller_name -> Nullable<Text>,
        seller_address -> Nullable<Text>,
        seller_tax_id -> Nullable<Text>,
        vat -> Text,
        vat_note -> Nullable<Text>,
        numbering -> Text,
        updated_at -> BigInt,
    }
}

diesel::table! {
    /// Who buys.
    billing_profiles (client_org_id) {
        client_org_id -> Text,
        legal_name -> Nullable<Text>,
        address -> Nullable<Text>,
        tax_id -> Nullable<Text>,
        vat -> Nullable<Text>,
        vat_note -> Nullable<Text>,
        language -> Text,
        updated_at -> BigInt,
    }
}

diesel::table! {
    /// Issued statements.
    statements (client_org_id, month) {
        client_org_id -> Text,
        month -> Date,
        number -> Text,
        issue_date -> Date,
        issued_at -> BigInt,
        usd_pln_rate -> BigInt,
        rate_table_no -> Text,
        rate_effective_date -> Date,
        usage_usd -> BigInt,
        net -> BigInt,
        vat -> BigInt,
        gross -> BigInt,
        document -> Text,
        document_sha256 -> Text,
        pdf_sha256 -> Text,
    }
}

diesel::table! {
    /// What they have billed of each month and model.
    statement_usage (client_org_id, month, usage_month, model_name) {
        client_org_id -> Text,
        month -> Date,
        usage_month -> Date,
        model_name -> Text,
        requests -> BigInt,
        tokens -> BigInt,
        raw_cost -> BigInt,
        markup_cost -> BigInt,
        cost_pln -> BigInt,
    }
}

diesel::table! {
    /// The last number of each series.
    statement_series (series) {
        series -> Text,
        last_number -> BigInt,
    }
}

diesel::table! {
    /// Which statement has which number.
    statement_numbers (series, number) {
        series -> Text,
        number -> BigInt,
        client_org_id -> Text,
        month -> Date,
        document_sha256 -> Text,
    }
}
