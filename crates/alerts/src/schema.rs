//! The tables as Diesel sees them; the migrations define them. Times are Unix seconds.

diesel::table! {
    /// Where alerts go.
    alert_destinations (id) {
        /// `alert_dest_…`
        id -> Text,
        /// Whose alerts go there; null is the reseller.
        client_org_id -> Nullable<Text>,
        /// `webhook` or `email`.
        channel -> Text,
        /// The URL or the address.
        target -> Text,
        /// What people call it.
        name -> Text,
        /// `pl` or `en`.
        language -> Text,
        /// Whether alerts about limits go there.
        wants_limits -> Bool,
        /// Whether alerts about anomalies go there.
        wants_anomalies -> Bool,
        /// Whether anything goes there.
        is_active -> Bool,
        /// When the receiver said that it is gone.
        gone_at -> Nullable<BigInt>,
        /// Sealed.
        secret -> Nullable<Text>,
        /// Sealed.
        previous_secret -> Nullable<Text>,
        /// Until when the secret before signs too.
        previous_until -> Nullable<BigInt>,
        /// When it was removed.
        removed_at -> Nullable<BigInt>,
        /// When the row was made.
        created_at -> BigInt,
        /// When it was last changed.
        updated_at -> BigInt,
        /// The begin of the hour in which replays are counted.
        replays_from -> Nullable<BigInt>,
        /// How many there were since.
        replays -> Integer,
    }
}

diesel::table! {
    /// What was noticed.
    alerts (client_org_id, id) {
        /// The organization.
        client_org_id -> Text,
        /// A UUID.
        id -> Text,
        /// `limit_reached`, `anomaly` or `test`.
        kind -> Text,
        /// `organization`, `member` or `model`.
        scope -> Text,
        /// Which of them; empty for the organization.
        subject -> Text,
        /// What people called it then.
        subject_name -> Nullable<Text>,
        /// What people called the organization then.
        organization_name -> Text,
        /// A month or a day.
        period -> Text,
        /// Percent of the limit, or 0.
        threshold -> Integer,
        /// `spend` or `requests`.
        measure -> Text,
        /// The figure.
        value -> BigInt,
        /// The limit, or from where on the figure stands out.
        bound -> BigInt,
        /// The usual figure.
        typical -> Nullable<BigInt>,
        /// What webhooks get.
        body -> Text,
        /// When it was raised.
        created_at -> BigInt,
    }
}

diesel::table! {
    /// What became of each alert at each destination.
    alert_deliveries (client_org_id, id) {
        /// The organization.
        client_org_id -> Text,
        /// A UUID.
        id -> Text,
        /// The alert.
        alert_id -> Text,
        /// The destination.
        destination_id -> Text,
        /// `webhook` or `email`.
        channel -> Text,
        /// `waiting`, `delivered` or `failed`.
        state -> Text,
        /// How often it was begun.
        attempts -> Integer,
        /// How often since it was raised or replayed.
        tries -> Integer,
        /// When it is due.
        next_attempt_at -> BigInt,
        /// In whose hands it is.
        claim -> Nullable<Text>,
        /// Until when.
        claimed_until -> Nullable<BigInt>,
        /// When it was last begun.
        last_attempt_at -> Nullable<BigInt>,
        /// The status of the answer.
        last_status -> Nullable<Integer>,
        /// What was wrong.
        last_error -> Nullable<Text>,
        /// When it succeeded last.
        delivered_at -> Nullable<BigInt>,
        /// When the row was made.
        created_at -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(alert_destinations, alerts, alert_deliveries);
