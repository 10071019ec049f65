//! What the mail about an alert says, in Polish and in English, as text and as HTML.

use mai_primitives::{Usd, display};

use crate::{
    alert::{AlertKind, AlertModel, Measure, Scope},
    destination::Language,
};

/// A mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailText {
    /// The subject line.
    pub subject: String,
    /// The mail as plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// The mail about an alert.
pub fn mail_text(alert: &AlertModel, language: Language) -> MailText {
    let subject = subject(alert, language);
    let intro = intro(alert, language);
    let rows = rows(alert, language);
    let footer = match language {
        Language::Polish => {
            "Tę wiadomość wysłało mAI Usage. Adresy powiadomień zmienia administrator organizacji."
        }
        Language::English => {
            "This message was sent by mAI Usage. An administrator of the organization can change where alerts go."
        }
    };
    let lines: Vec<String> = rows.iter().map(|(label, value)| format!("{label}: {value}\n")).collect();
    let cells: Vec<String> = rows
        .iter()
        .map(|(label, value)| {
            format!("<tr><th align=\"left\">{}</th><td>{}</td></tr>\n", escaped(label), escaped(value))
        })
        .collect();
    MailText {
        text: format!("{intro}\n\n{}\n{footer}\n", lines.concat()),
        html: format!(
            "<!DOCTYPE html>\n<html lang=\"{language}\">\n<head><meta charset=\"utf-8\"><title>{}</title></head>\n\
             <body>\n<p>{}</p>\n<table cellpadding=\"4\">\n{}</table>\n<p><small>{}</small></p>\n</body>\n</html>\n",
            escaped(&subject),
            escaped(&intro),
            cells.concat(),
            escaped(footer),
        ),
        subject,
    }
}

fn subject(alert: &AlertModel, language: Language) -> String {
    let (organization, subject) = (&alert.organization_name, alert.subject_shown());
    let (percent, period) = (alert.threshold, &alert.period);
    match (language, alert.kind, alert.scope) {
        (Language::Polish, AlertKind::LimitReached, Scope::Organization) => {
            format!("{organization}: wykorzystano {percent}% limitu na {period}")
        }
        (Language::Polish, AlertKind::LimitReached, Scope::Member) => {
            format!("{organization}: {subject} – wykorzystano {percent}% limitu użytkownika na {period}")
        }
        (Language::Polish, AlertKind::LimitReached, Scope::Model) => {
            format!("{organization}: {subject} – wykorzystano {percent}% limitu modelu na {period}")
        }
        (Language::Polish, AlertKind::Anomaly, _) => {
            format!("{organization}: nietypowe użycie dnia {period} – {subject}")
        }
        (Language::Polish, AlertKind::Test, _) => format!("{organization}: próbne powiadomienie"),
        (Language::English, AlertKind::LimitReached, Scope::Organization) => {
            format!("{organization}: {percent}% of the limit for {period} is used")
        }
        (Language::English, AlertKind::LimitReached, Scope::Member) => {
            format!("{organization}: {subject} – {percent}% of the member's limit for {period} is used")
        }
        (Language::English, AlertKind::LimitReached, Scope::Model) => {
            format!("{organization}: {subject} – {percent}% of the model's limit for {period} is used")
        }
        (Language::English, AlertKind::Anomaly, _) => {
            format!("{organization}: unusual usage on {period} – {subject}")
        }
        (Language::English, AlertKind::Test, _) => format!("{organization}: an alert as a test"),
    }
}

fn intro(alert: &AlertModel, language: Language) -> String {
    let text = match (language, alert.kind) {
        (Language::Polish, AlertKind::LimitReached) if alert.threshold >= 100 => {
            "Miesięczny limit został wyczerpany. Dalsze zapytania mogą być odrzucane."
        }
        (Language::Polish, AlertKind::LimitReached) => "Wykorzystano znaczną część miesięcznego limitu.",
        (Language::Polish, AlertKind::Anomaly) => "Użycie tego dnia znacznie odbiega od dotychczasowego.",
        (Language::Polish, AlertKind::Test) => {
            "To powiadomienie próbne. Wszystko działa; nic nie trzeba robić."
        }
        (Language::English, AlertKind::LimitReached) if alert.threshold >= 100 => {
            "The monthly limit is used up. Further calls may be refused."
        }
        (Language::English, AlertKind::LimitReached) => "A good part of the monthly limit is used.",
        (Language::English, AlertKind::Anomaly) => "The usage of this day is far outside of what is usual.",
        (Language::English, AlertKind::Test) => "This is a test. All is well; there is nothing to do.",
    };
    text.to_owned()
}

/// Labels and values.
fn rows(alert: &AlertModel, language: Language) -> Vec<(&'static str, String)> {
    let is_polish = language == Language::Polish;
    let word = |polish: &'static str, english: &'static str| if is_polish { polish } else { english };
    let figure = |number: i64| match alert.measure {
        Measure::Spend => display::usd(Usd::from_nanos(number)),
        Measure::Requests => number.to_string(),
    };
    let mut rows = vec![(word("Organizacja", "Organization"), alert.organization_name.clone())];
    if alert.kind == AlertKind::Test {
        return rows;
    }
    match alert.scope {
        Scope::Organization => {}
        Scope::Member => rows.push((word("Użytkownik", "Member"), alert.subject_shown().to_owned())),
        Scope::Model => rows.push((word("Model", "Model"), alert.subject_shown().to_owned())),
    }
    if alert.kind == AlertKind::LimitReached {
        rows.push((word("Miesiąc", "Month"), alert.period.clone()));
        rows.push((word("Limit", "Limit"), figure(alert.bound)));
        rows.push((word("Wykorzystano", "Used"), figure(alert.value)));
        rows.push((word("Próg", "Threshold"), format!("{}%", alert.threshold)));
        return rows;
    }
    rows.push((word("Dzień", "Day"), alert.period.clone()));
    let value = match alert.measure {
        Measure::Spend => word("Koszt", "Spending"),
        Measure::Requests => word("Liczba zapytań", "Requests"),
    };
    rows.push((value, figure(alert.value)));
    if let Some(typical) = alert.typical {
        rows.push((word("Zwykle (mediana)", "Usual (median)"), figure(typical)));
    }
    rows.push((word("Nietypowe od", "Unusual from"), figure(alert.bound)));
    rows
}

/// A text as it stands in HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
