//! The tables as Diesel sees them; the migrations define them.

#![expect(missing_docs, reason = "the columns are described by the fields of the row structs")]

diesel::table! {
    /// The entries.
    audit_log (seq) {
        seq -> BigInt,
        created_at -> BigInt,
        actor_kind -> Text,
        actor_id -> Text,
        remote -> Nullable<Text>,
        request_id -> Nullable<Text>,
        client_org_id -> Nullable<Text>,
        action -> Text,
        target -> Text,
        result -> Text,
        details -> Text,
        hash -> Text,
    }
}

diesel::table! {
    /// One row with the end of the chain.
    audit_head (id) {
        id -> Integer,
        seq -> BigInt,
        hash -> Text,
    }
}
