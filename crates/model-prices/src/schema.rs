//! The tables as Diesel sees them; the migrations define them.

diesel::table! {
    /// One row: when the stored list was read.
    model_price_list (id) {
        /// Always 1.
        id -> Integer,
        /// Unix seconds.
        fetched_at -> BigInt,
    }
}

diesel::table! {
    /// The models of the stored list.
    model_prices (model_id) {
        /// The slug by which the model is asked for.
        model_id -> Text,
        /// The dated slug under which answers may name it.
        canonical_slug -> Nullable<Text>,
        /// The display name.
        name -> Text,
        /// Tokens.
        context_length -> Nullable<BigInt>,
        /// Tokens.
        max_completion_tokens -> Nullable<BigInt>,
        /// OpenRouter's own JSON object.
        pricing -> Text,
    }
}
