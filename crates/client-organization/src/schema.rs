//! The tables as Diesel sees them; the migrations define them.

diesel::table! {
    /// The client organizations.
    client_organizations (id) {
        /// `org_…`, or the configured id in single-organization mode.
        id -> Text,
        /// What people call it.
        name -> Text,
        /// Sealed by the master key.
        openrouter_api_key -> Nullable<Text>,
        /// Hex SHA-256 of the key in clear.
        openrouter_api_key_fingerprint -> Nullable<Text>,
        /// The last four characters of the key in clear.
        openrouter_api_key_last4 -> Nullable<Text>,
        /// The id of the key in OpenRouter's management API.
        openrouter_key_hash -> Nullable<Text>,
        /// Sealed by the master key; null asks for no signature.
        webhook_secret -> Nullable<Text>,
        /// Parts per million; null is the global default.
        markup_rate -> Nullable<BigInt>,
        /// Nano-dollars of client price; null is no limit.
        monthly_limit -> Nullable<BigInt>,
        /// Where statements go.
        billing_email -> Nullable<Text>,
        /// IANA name of the zone whose days count.
        timezone -> Text,
        /// Whether an answer is read to its end when the client has left.
        drain_on_disconnect -> Bool,
        /// Sent to OpenRouter as `HTTP-Referer`.
        site_url -> Nullable<Text>,
        /// Which of NBP's tables gives a day its rate.
        day_rate_policy -> Text,
        /// Which of NBP's tables gives a statement its rate.
        statement_rate_policy -> Text,
        /// Whether its keys work.
        is_active -> Bool,
        /// Unix seconds.
        created_at -> BigInt,
        /// Unix seconds.
        updated_at -> BigInt,
    }
}

diesel::table! {
    /// Which markup rate held from when on.
    organization_markup_rates (client_org_id, valid_from) {
        /// The organization.
        client_org_id -> Text,
        /// Unix seconds.
        valid_from -> BigInt,
        /// Parts per million; null is the default rate of the time in question.
        markup_rate -> Nullable<BigInt>,
    }
}

diesel::table! {
    /// The people of the organizations.
    members (client_org_id, user_id) {
        /// The organization.
        client_org_id -> Text,
        /// The member.
        user_id -> Text,
        /// What people call the member.
        name -> Nullable<Text>,
        /// The member's address.
        email -> Nullable<Text>,
        /// `admin`, `member` or `pending`.
        role -> Text,
        /// Where the row comes from.
        source -> Text,
        /// Whether the member still belongs here.
        is_active -> Bool,
        /// Unix seconds.
        created_at -> BigInt,
        /// Unix seconds.
        updated_at -> BigInt,
    }
}

diesel::table! {
    /// The ids under which OpenRouter knows the members.
    user_client_mapping (client_org_id, user_id) {
        /// The organization.
        client_org_id -> Text,
        /// The member.
        user_id -> Text,
        /// What OpenRouter gets as `user`.
        openrouter_user_id -> Text,
        /// Whether the mapping is used.
        is_active -> Bool,
        /// Unix seconds.
        created_at -> BigInt,
        /// Unix seconds.
        updated_at -> BigInt,
    }
}

diesel::table! {
    /// The keys that open the gateway.
    gateway_keys (client_org_id, id) {
        /// The organization.
        client_org_id -> Text,
        /// `key_…`
        id -> Text,
        /// Hex SHA-256 of the key.
        key_hash -> Text,
        /// The first characters of the key.
        key_prefix -> Text,
        /// What people call the key.
        name -> Text,
        /// The member whose key it is; null is the whole organization.
        user_id -> Nullable<Text>,
        /// Whether the identity headers of its caller are believed.
        is_trusted_client -> Bool,
        /// Whether errors in a stream are made visible as Open WebUI needs it.
        is_open_webui -> Bool,
        /// Sealed by the master key; with one, only signed identities are believed.
        identity_secret -> Nullable<Text>,
        /// Calls per minute with this key; null is no limit of its own.
        requests_per_minute -> Nullable<BigInt>,
        /// Unix seconds; null is never.
        expires_at -> Nullable<BigInt>,
        /// Unix seconds; null is not revoked.
        revoked_at -> Nullable<BigInt>,
        /// Unix seconds.
        created_at -> BigInt,
        /// Unix seconds.
        updated_at -> BigInt,
    }
}

diesel::table! {
    /// The tokens that open the API.
    api_tokens (id) {
        /// `token_…`
        id -> Text,
        /// Hex SHA-256 of the token.
        token_hash -> Text,
        /// The first characters of the token.
        token_prefix -> Text,
        /// What people call the token.
        name -> Text,
        /// `reseller`, `admin` or `member`.
        role -> Text,
        /// Null for a reseller only.
        client_org_id -> Nullable<Text>,
        /// The member whose token it is.
        user_id -> Nullable<Text>,
        /// `full` or `read`.
        scope -> Text,
        /// The account that made it, itself or by another token.
        created_by -> Nullable<Text>,
        /// Unix seconds, rounded down to a minute.
        last_used_at -> Nullable<BigInt>,
        /// Unix seconds; null is never.
        expires_at -> Nullable<BigInt>,
        /// Unix seconds; null is not revoked.
        revoked_at -> Nullable<BigInt>,
        /// Unix seconds.
        created_at -> BigInt,
    }
}

diesel::table! {
    /// Ids that foreign sources use for a member, beside the one that OpenRouter gets.
    external_users (client_org_id, external_user_id) {
        /// The organization.
        client_org_id -> Text,
        /// The foreign id.
        external_user_id -> Text,
        /// The member whose it is.
        user_id -> Text,
        /// Unix seconds.
        created_at -> BigInt,
    }
}

diesel::table! {
    /// People who sign in with a password of ours.
    accounts (id) {
        /// `account_…`
        id -> Text,
        /// In lower case.
        email -> Text,
        /// What people call the owner.
        name -> Text,
        /// Argon2id in the PHC format; null until a password was chosen.
        password_hash -> Nullable<Text>,
        /// `reseller`, `admin` or `member`.
        role -> Text,
        /// Null for a reseller only.
        client_org_id -> Nullable<Text>,
        /// The member whose account it is.
        user_id -> Nullable<Text>,
        /// Whether the owner may sign in.
        is_active -> Bool,
        /// Wrong passwords since the last right one.
        failed_attempts -> BigInt,
        /// Unix seconds.
        last_failed_at -> Nullable<BigInt>,
        /// Unix seconds; until then no password is looked at.
        locked_until -> Nullable<BigInt>,
        /// Unix seconds.
        last_sign_in_at -> Nullable<BigInt>,
        /// Unix seconds.
        created_at -> BigInt,
        /// Unix seconds.
        updated_at -> BigInt,
    }
}

diesel::table! {
    /// Signed-in browsers.
    sessions (token_hash) {
        /// Hex SHA-256 of the cookie.
        token_hash -> Text,
        /// `session_…`, by which a session is named without its secret.
        id -> Text,
        /// `password`, `link` or `open_webui`.
        kind -> Text,
        /// Null where the person has no account of ours.
        account_id -> Nullable<Text>,
        /// `reseller`, `admin` or `member`.
        role -> Text,
        /// Null for a reseller only.
        client_org_id -> Nullable<Text>,
        /// The member who signed in.
        user_id -> Nullable<Text>,
        /// The session token of Open WebUI, sealed by the master key.
        sealed_token -> Nullable<Text>,
        /// Unix seconds.
        expires_at -> BigInt,
        /// Unix seconds; null is not revoked.
        revoked_at -> Nullable<BigInt>,
        /// Unix seconds, rounded down to a minute.
        last_seen_at -> BigInt,
        /// Unix seconds.
        created_at -> BigInt,
    }
}

diesel::table! {
    /// Links that sign in once.
    sign_in_links (token_hash) {
        /// Hex SHA-256 of the token in the link.
        token_hash -> Text,
        /// Null where the person has no account of ours.
        account_id -> Nullable<Text>,
        /// `reseller`, `admin` or `member`.
        role -> Text,
        /// Null for a reseller only.
        client_org_id -> Nullable<Text>,
        /// The member who signs in.
        user_id -> Nullable<Text>,
        /// Unix seconds.
        expires_at -> BigInt,
        /// Unix seconds; null is not used yet.
        used_at -> Nullable<BigInt>,
        /// Unix seconds.
        created_at -> BigInt,
    }
}

diesel::table! {
    /// What a member was until a change of its role or activity.
    member_changes (client_org_id, user_id, changed_at) {
        /// The organization.
        client_org_id -> Text,
        /// The member.
        user_id -> Text,
        /// Unix seconds.
        changed_at -> BigInt,
        /// The role until then.
        was_role -> Text,
        /// Whether the member was active until then.
        was_active -> Bool,
    }
}

diesel::table! {
    /// Whether an organization was active until a change of that.
    organization_changes (client_org_id, changed_at) {
        /// The organization.
        client_org_id -> Text,
        /// Unix seconds.
        changed_at -> BigInt,
        /// Whether it was active until then.
        was_active -> Bool,
    }
}

diesel::allow_tables_to_appear_in_same_query!(accounts, api_tokens, client_organizations, members, sessions,);

diesel::table! {
    /// What members and models may cost in a calendar month.
    usage_limits (client_org_id, scope, subject) {
        /// The organization.
        client_org_id -> Text,
        /// `member` or `model`.
        scope -> Text,
        /// A user id, or the name of a model without a variant.
        subject -> Text,
        /// Nano-dollars of client price.
        monthly_limit -> BigInt,
        /// Unix seconds.
        updated_at -> BigInt,
    }
}
