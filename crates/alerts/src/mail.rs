//! Sending mail by SMTP.

use std::{error::Error as _, fmt, net::IpAddr, time::Duration};

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use mai_primitives::UnixTime;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    delivery::{Outcome, Verdict},
    error::{Error, Result},
    mail_text::MailText,
};

/// How long each step of the conversation, and all of it, may take. Both fit into half of the lease.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(28);

/// A mail server and whose mail it sends.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Shows nothing of the server's password.
impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").finish_non_exhaustive()
    }
}

impl Mailer {
    /// A mailer for the server of a URL: `smtps://` is TLS from the start, `smtp://…?tls=required` begins with
    /// STARTTLS, and `smtp://` is plain. User and password stand before the host, percent-encoded. The errors
    /// are texts without the URL.
    pub fn new(url: &SecretString, from: &str) -> Result<Self, String> {
        check(url.expose_secret())?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret())
            .map_err(|_| "it is not understood; an example is smtps://user:password@mail.example".to_owned())?
            .timeout(Some(STEP_TIMEOUT))
            .build();
        let from = mailbox(from)?;
        Ok(Self { transport, from })
    }

    /// Checks a sender such as `mAI Usage <usage@reseller.example>`.
    pub fn check_from(from: &str) -> Result<(), String> {
        mailbox(from).map(|_| ())
    }

    /// One attempt. `id` makes the Message-ID, so that a mail that comes twice can be told.
    pub(crate) async fn send(&self, to: &str, id: &str, mail: MailText, now: UnixTime) -> Result<Outcome> {
        let message = self.message(to, id, mail, now)?;
        let sent = tokio::time::timeout(TOTAL_TIMEOUT, self.transport.send(message)).await;
        Ok(match sent {
            Ok(Ok(answer)) => Outcome::delivered(u16::from(answer.code()).into()),
            Ok(Err(error)) => {
                let status = error.status().map(|code| i32::from(u16::from(code)));
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                Outcome::failed(Verdict::Again, status, &format!("{error}{cause}"))
            }
            Err(_) => Outcome::failed(Verdict::Again, None, "the mail server did not answer in time"),
        })
    }

    fn message(&self, to: &str, id: &str, mail: MailText, now: UnixTime) -> Result<Message> {
        let unwritable = |error: &dyn fmt::Display| Error::Unwritable(error.to_string());
        let to: Address = to.parse().map_err(|error| unwritable(&error))?;
        let date = u64::try_from(now.seconds()).unwrap_or_default();
        let date = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(date);
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject)
            .date(date)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            // No one's holiday answers it (RFC 3834).
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(mail.text, mail.html))
            .map_err(|error| unwritable(&error))
    }
}

/// A sender such as `mAI Usage <usage@reseller.example>`.
fn mailbox(text: &str) -> Result<Mailbox, String> {
    let mailbox: Mailbox =
        text.parse().map_err(|_| "it must be an address such as `mAI Usage <usage@reseller.example>`")?;
    if mailbox.email.to_string().is_ascii() {
        Ok(mailbox)
    } else {
        Err("its address must have ASCII letters only".to_owned())
    }
}

/// Refuses what would show a password to the network, and what nobody means.
fn check(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|_| "it must be a URL such as smtps://mail.example".to_owned())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("it must name a host")?;
    let query: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let is_encrypted = match (url.scheme(), query.as_slice()) {
        ("smtps", []) => true,
        ("smtp", []) => false,
        ("smtp", [(name, value)]) if name == "tls" && value == "required" => true,
        _ => return Err("it must be smtps://…, smtp://…?tls=required or smtp://…".to_owned()),
    };
    if !url.username().is_empty() && url.password().is_none() {
        return Err("a user needs a password".to_owned());
    }
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if url.password().is_some() && !is_encrypted && !is_here {
        return Err("a password needs smtps:// or ?tls=required, except on this machine".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_servers_are_checked_without_being_quoted() {
        for fine in [
            "smtp://mail.example",
            "smtp://u:p@127.0.0.1:2525",
            "smtp://u:p@[::1]:25",
            "smtp://u:p%40w@mail.example:587?tls=required",
            "smtps://u:p@mail.example/usage.example",
        ] {
            assert!(check(fine).is_ok(), "{fine}");
        }
        for wrong in [
            "",
            "mail.example",
            "http://mail.example",
            "smtp://",
            "smtp://hunter:hunter22@mail.example",
            "smtp://hunter@mail.example",
            "smtp://hunter:hunter22@mail.example?tls=opportunistic",
            "smtps://hunter:hunter22@mail.example?tls=none",
        ] {
            let refused = check(wrong).unwrap_err();
            assert!(!refused.contains("hunter"), "{refused}");
        }
        assert!(mailbox("mAI Usage <usage@reseller.example>").is_ok());
        assert!(mailbox("usage").is_err() && mailbox("ż@reseller.example").is_err());
    }
}
