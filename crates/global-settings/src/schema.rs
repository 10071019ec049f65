//! The tables as Diesel sees them; the migrations define them.

diesel::table! {
    /// One row of settings that hold for all organizations.
    global_settings (id) {
        /// Always `global`.
        id -> Text,
        /// Sealed by the master key.
        openrouter_provisioning_key -> Nullable<Text>,
        /// Parts per million.
        default_markup_rate -> BigInt,
        /// Always `USD`.
        billing_currency -> Text,
        /// Unix seconds.
        created_at -> BigInt,
        /// Unix seconds.
        updated_at -> BigInt,
        /// Tiers in grosz; null means the built-in ones.
        subscription_tiers -> Nullable<Text>,
        /// Roles of members; null means the built-in ones.
        billable_roles -> Nullable<Text>,
    }
}

diesel::table! {
    /// Which default markup rate held from when on.
    default_markup_rates (valid_from) {
        /// Unix seconds.
        valid_from -> BigInt,
        /// Parts per million.
        markup_rate -> BigInt,
    }
}

diesel::table! {
    /// One row with the number that grows when a gateway must load again what it keeps in memory.
    directory_revision (id) {
        /// Always 1.
        id -> Integer,
        /// How often something has changed.
        revision -> BigInt,
    }
}
