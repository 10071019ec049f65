//! Sending webhooks.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use reqwest::{Client, StatusCode, redirect::Policy};

use crate::{
    address::{PublicResolver, Reach, check_url},
    delivery::{Outcome, Verdict},
};

/// How long a connection, and the whole attempt, may take. Both fit into half of the lease.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(15);

/// Sends signed bodies to URLs.
#[derive(Clone)]
pub(crate) struct WebhookSender {
    http: Client,
    reach: Reach,
}

impl WebhookSender {
    /// Follows no redirects, which could lead to where no URL may go, asks no proxy, which would resolve names
    /// itself, and connects anew each time, so that each attempt resolves anew.
    pub(crate) fn new(reach: Reach) -> reqwest::Result<Self> {
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .user_agent(concat!("mai-usage/", env!("CARGO_PKG_VERSION")));
        if reach == Reach::Public {
            builder = builder.dns_resolver(Arc::new(PublicResolver));
        }
        Ok(Self { http: builder.build()?, reach })
    }

    /// One attempt. What the receiver says beside its status is not read.
    pub(crate) async fn send(
        &self,
        url: &str,
        (id, timestamp, signature): (&str, i64, &str),
        body: &str,
    ) -> Outcome {
        // It was checked when it was stored, but the setting may have changed.
        let url = match check_url(url, self.reach) {
            Ok(url) => url,
            Err(refused) => return Outcome::failed(Verdict::Again, None, &refused.to_string()),
        };
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body.to_owned());
        match request.send().await {
            Ok(answer) => by_status(answer.status()),
            // The URL may hold what opens a door.
            Err(error) => Outcome::failed(Verdict::Again, None, &causes(&error.without_url())),
        }
    }
}

fn by_status(status: StatusCode) -> Outcome {
    let number = i32::from(status.as_u16());
    if status.is_success() {
        return Outcome::delivered(number);
    }
    let verdict = if status == StatusCode::GONE { Verdict::Gone } else { Verdict::Again };
    let why = match status {
        StatusCode::GONE => "the receiver is gone; the destination was made inactive".to_owned(),
        status if status.is_redirection() => format!("status {number}; redirects are not followed"),
        _ => format!("status {number}"),
    };
    Outcome::failed(verdict, Some(number), &why)
}

/// An error with what lies behind it.
fn causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
