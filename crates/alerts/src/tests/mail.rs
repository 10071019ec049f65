//! What mail says, word for word.

use mai_primitives::{OrganizationId, UnixTime};

use crate::{
    AlertKind, AlertModel, Language, Measure, Scope,
    mail_text::{MailText, mail_text},
};

fn alert(kind: AlertKind, scope: Scope) -> AlertModel {
    AlertModel {
        client_org_id: OrganizationId::new("a").unwrap(),
        id: "id".into(),
        kind,
        scope,
        subject: "anna".into(),
        subject_name: Some("Anna Gęś".into()),
        organization_name: "Żółw <b>&</b> Syn".into(),
        period: "2026-11".into(),
        threshold: 80,
        measure: Measure::Spend,
        value: 8_100_000_000,
        bound: 10_000_000_000,
        typical: None,
        body: "{}".into(),
        created_at: UnixTime::from_seconds(1_795_000_000),
    }
}

#[test]
fn a_limit_in_polish_and_in_english() {
    let alert = alert(AlertKind::LimitReached, Scope::Member);
    let MailText { subject, text, html } = mail_text(&alert, Language::Polish);
    assert_eq!(subject, "Żółw <b>&</b> Syn: Anna Gęś – wykorzystano 80% limitu użytkownika na 2026-11");
    assert_eq!(
        text,
        "Wykorzystano znaczną część miesięcznego limitu.\n\nOrganizacja: Żółw <b>&</b> Syn\nUżytkownik: Anna Gęś\n\
         Miesiąc: 2026-11\nLimit: $10.00\nWykorzystano: $8.10\nPróg: 80%\n\nTę wiadomość wysłało mAI Usage. \
         Adresy powiadomień zmienia administrator organizacji.\n"
    );
    assert!(html.contains("<html lang=\"pl\">"), "{html}");
    assert!(html.contains("<td>Żółw &lt;b&gt;&amp;&lt;/b&gt; Syn</td>"), "{html}");
    assert!(!html.contains("<b>"), "{html}");
    let MailText { subject, text, .. } = mail_text(&alert, Language::English);
    assert_eq!(subject, "Żółw <b>&</b> Syn: Anna Gęś – 80% of the member's limit for 2026-11 is used");
    assert!(text.contains("\nUsed: $8.10\nThreshold: 80%\n"), "{text}");
}

#[test]
fn a_limit_that_is_used_up_says_what_follows() {
    let mut alert = alert(AlertKind::LimitReached, Scope::Organization);
    alert.threshold = 100;
    assert!(mail_text(&alert, Language::Polish).text.starts_with("Miesięczny limit został wyczerpany."));
    assert!(mail_text(&alert, Language::English).text.starts_with("The monthly limit is used up."));
}

#[test]
fn an_anomaly_shows_what_is_usual() {
    let mut alert = alert(AlertKind::Anomaly, Scope::Model);
    (alert.subject, alert.subject_name) = ("openai/o3".into(), None);
    (alert.measure, alert.value, alert.bound, alert.typical) = (Measure::Requests, 500, 80, Some(10));
    alert.period = "2026-11-25".into();
    let polish = mail_text(&alert, Language::Polish);
    assert_eq!(polish.subject, "Żółw <b>&</b> Syn: nietypowe użycie dnia 2026-11-25 – openai/o3");
    let rows =
        "Model: openai/o3\nDzień: 2026-11-25\nLiczba zapytań: 500\nZwykle (mediana): 10\nNietypowe od: 80\n";
    assert!(polish.text.contains(rows), "{}", polish.text);
    let english = mail_text(&alert, Language::English).text;
    assert!(english.contains("Requests: 500\nUsual (median): 10\nUnusual from: 80\n"), "{english}");
}

#[test]
fn a_test_says_that_it_is_one() {
    let alert = alert(AlertKind::Test, Scope::Organization);
    assert!(mail_text(&alert, Language::Polish).subject.ends_with(": próbne powiadomienie"));
    let english = mail_text(&alert, Language::English).text;
    assert!(english.starts_with("This is a test.") && !english.contains("Limit"), "{english}");
}
