//! PDFs of statements that are long, short, negative, drafts, and in English. Where `MAI_STATEMENT_PAGES` names a folder, they are
//! written there to be looked at.

use mai_primitives::{Pln, UsageDate, Usd, UsdPlnRate};

use crate::statements::{
    Correction, Language, SeatLines, State, Statement, UsageLine,
    document::{Buyer, FORMAT, Period, Rate, Seller, Totals, VatOf},
    pdf::pdf,
};

fn usd(text: &str) -> Usd {
    Usd::parse(text).unwrap()
}

fn pln(text: &str) -> Pln {
    Pln::parse(text).unwrap()
}

fn day(text: &str) -> UsageDate {
    UsageDate::parse(text).unwrap()
}

fn line(model: &str, provider: &str, cost: &str) -> UsageLine {
    let rate = UsdPlnRate::parse("3.6376").unwrap();
    UsageLine {
        model: model.to_owned(),
        provider: Some(provider.to_owned()),
        requests: 12_345,
        input_tokens: Some(123_456_789),
        output_tokens: None,
        total_tokens: 133_456_789,
        cost_usd: usd(cost),
        cost_pln: rate.convert(usd(cost)),
        own: None,
    }
}

fn correction(model: &str, cost: &str) -> Correction {
    let rate = UsdPlnRate::parse("3.7001").unwrap();
    Correction {
        month: "2026-09".to_owned(),
        model: model.to_owned(),
        provider: None,
        requests: -3,
        total_tokens: -12_345,
        cost_usd: usd(cost),
        usd_pln: rate,
        table_no: "189/A/NBP/2026".to_owned(),
        effective_date: day("2026-09-29"),
        cost_pln: rate.convert(usd(cost)).unwrap(),
        own: None,
    }
}

fn sample(usage: Vec<UsageLine>, corrections: Vec<Correction>) -> Statement {
    let sum = |amounts: Vec<Pln>| Pln::checked_sum(amounts).unwrap();
    let usage_pln = sum(usage.iter().map(|line| line.cost_pln.unwrap()).collect());
    let corrections_pln = sum(corrections.iter().map(|line| line.cost_pln).collect());
    let subscription = vec![
        SeatLines { seats: 12, days: 31, days_in_month: 31, price_pln: pln("59"), cost_pln: pln("708.00") },
        SeatLines { seats: 1, days: 16, days_in_month: 31, price_pln: pln("59"), cost_pln: pln("30.45") },
    ];
    let net = sum(vec![usage_pln, corrections_pln, pln("738.45")]);
    let vat = net.share(2_300, 10_000).unwrap();
    Statement {
        format: FORMAT,
        state: State::Issued,
        number: Some("2026/11/0042".to_owned()),
        month: "2026-10".to_owned(),
        period: Period {
            from: day("2026-10-01"),
            to: day("2026-10-31"),
            time_zone: "Europe/Warsaw".to_owned(),
        },
        issue_date: Some(day("2026-11-03")),
        language: Language::Polish,
        seller: Seller {
            name: Some("Odsprzedaż Modeli Językowych Spółka z ograniczoną odpowiedzialnością".to_owned()),
            address: Some("ul. Świętokrzyska 31/33 lok. 7\n00-001 Warszawa".to_owned()),
            tax_id: Some("525-248-12-34".to_owned()),
        },
        buyer: Buyer {
            client_org_id: "zazolc".to_owned(),
            name: "Przedsiębiorstwo Produkcyjno-Usługowo-Handlowe „Zażółć Gęślą Jaźń” Spółka komandytowa w likwidacji \
                   z siedzibą w Gżegżółkach Wielkich"
                .to_owned(),
            address: Some("Os. Źródlane 15\n62-045 Gżegżółki Wielkie\nPolska".to_owned()),
            tax_id: Some("PL 777-000-11-22".to_owned()),
            email: Some("ksiegowosc+rozliczenia@zazolc-gesla-jazn.example".to_owned()),
        },
        rate: Some(Rate {
            usd_pln: UsdPlnRate::parse("3.6376").unwrap(),
            table_no: "212/A/NBP/2026".to_owned(),
            effective_date: day("2026-10-30"),
            policy: "before_period_end".to_owned(),
        }),
        totals: Totals {
            usage_usd: Usd::checked_sum(usage.iter().map(|line| line.cost_usd)).unwrap(),
            corrections_usd: Usd::checked_sum(corrections.iter().map(|line| line.cost_usd)).unwrap(),
            usage_pln: Some(usage_pln),
            subscription_pln: pln("738.45"),
            corrections_pln,
            net_pln: Some(net),
            vat_pln: Some(vat),
            gross_pln: net.checked_add(vat),
            own: None,
        },
        usage,
        subscription,
        corrections,
        vat: VatOf { rate_basis_points: Some(2_300), note: None },
    }
}

fn samples() -> Vec<(&'static str, Statement)> {
    let one = || vec![line("openai/o3", "OpenAI", "1.50000003")];
    let long = "mistralai/mistral-small-3.2-24b-instruct-2506-bardzo-dluga-nazwa-bez-odstepow:free";
    let some = vec![
        line("anthropic/claude-sonnet-4", "Anthropic", "1234.567891234"),
        line("google/gemini-2.5-flash-lite-preview-06-17", "Google", "0.000005792"),
        line(long, "Mistral AI", "17.5"),
        line("openai/gpt-4o-mini", "OpenAI", "3.25"),
    ];
    let many =
        (0..200).map(|number| line(&format!("vendor-{number}/model-{number:03}"), "Dostawca", "1.2345"));
    let negative = vec![correction("openai/o3", "-1000.5"), correction(long, "0.25")];
    let draft = Statement {
        number: None,
        issue_date: None,
        state: State::Draft,
        rate: None,
        ..sample(some.clone(), vec![])
    };
    let mut english = sample(some.clone(), vec![correction("openai/o3", "-0.25")]);
    english.language = Language::English;
    english.vat = VatOf {
        rate_basis_points: None,
        note: Some("Reverse charge, article 28b of the Polish VAT act.".to_owned()),
    };
    (english.totals.vat_pln, english.totals.gross_pln) = (Some(Pln::ZERO), english.totals.net_pln);
    vec![
        ("one", sample(one(), vec![])),
        ("some", sample(some, vec![correction("openai/o3", "0.75")])),
        ("many", sample(many.collect(), vec![])),
        ("negative", sample(one(), negative)),
        ("draft", draft),
        ("english", english),
    ]
}

#[test]
fn each_can_be_written_with_tags_and_language() {
    for (name, statement) in samples() {
        let bytes = pdf(&statement).unwrap();
        assert_eq!(bytes, pdf(&statement).unwrap(), "{name}");
        let language = if name == "english" { "/Lang(en)" } else { "/Lang(pl)" };
        for text in ["/StructTreeRoot", "/MarkInfo", "/S/Table", "/S/TH", "/S/H1", "/S/H2", language] {
            assert!(bytes.windows(text.len()).any(|part| part == text.as_bytes()), "{name}: {text}");
        }
        if let Ok(folder) = std::env::var("MAI_STATEMENT_PAGES") {
            std::fs::write(format!("{folder}/{name}.pdf"), &bytes).unwrap();
        }
    }
}
