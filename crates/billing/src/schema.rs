//! The tables as Diesel sees them; the migrations define them. Amounts are in grosz.

diesel::table! {
    /// Months that are over, as they were billed.
    subscription_months (client_org_id, month) {
        /// The organization.
        client_org_id -> Text,
        /// The first day of the month.
        month -> Date,
        /// The tiers in the form of the settings.
        tiers -> Text,
        /// How many seats.
        total_users -> BigInt,
        /// For a whole month.
        price_per_user -> BigInt,
        /// The sum of the lines.
        total_cost -> BigInt,
        /// Unix seconds.
        frozen_at -> BigInt,
    }
}

diesel::table! {
    /// The seats of such a month.
    subscription_lines (client_org_id, month, user_id) {
        /// The organization.
        client_org_id -> Text,
        /// The first day of the month.
        month -> Date,
        /// The member.
        user_id -> Text,
        /// The member's name at the time.
        user_name -> Nullable<Text>,
        /// The member's address at the time.
        user_email -> Nullable<Text>,
        /// The organization's day of adding.
        added_on -> Nullable<Date>,
        /// 1 to 31.
        days_charged -> BigInt,
        /// For those days.
        cost -> BigInt,
    }
}
