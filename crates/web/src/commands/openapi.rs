//! `mai-usage openapi`: the description of the API.

use anyhow::Result;

use crate::api::openapi;

pub(super) fn run() -> Result<()> {
    say!("{}", serde_json::to_string_pretty(&openapi::document())?)?;
    Ok(())
}
